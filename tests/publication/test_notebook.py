"""The notebook: thin, committed without outputs, and executed from top to bottom."""

import ast
import os
from pathlib import Path

import nbformat
import papermill
import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "lightweight_cnn_cifar10.ipynb"
MAX_LINES = 10


@pytest.fixture(scope="module")
def notebook():
    """The notebook as committed."""
    return nbformat.read(NOTEBOOK, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def output_text(cell) -> str:
    """Everything that a cell printed or showed as text."""
    data = [output.get("text", "") or output.get("data", {}) for output in cell.outputs]
    return "".join(d if isinstance(d, str) else d.get("text/markdown", d.get("text/plain", "")) for d in data)


def test_is_valid_and_committed_without_outputs(notebook):
    nbformat.validate(notebook)
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code_cells(notebook))
    assert notebook.metadata.kernelspec.name == "python3"


def test_has_one_cell_of_parameters(notebook):
    tagged = [cell for cell in code_cells(notebook) if "parameters" in cell.metadata.get("tags", ())]
    assert len(tagged) == 1
    values = {}
    exec(tagged[0].source, values)
    assert (values["dataset"], values["preset"], values["seeds"]) == ("cifar10", "quick", [0])


def test_is_thin(notebook):
    for cell in code_cells(notebook):
        assert len(cell.source.splitlines()) <= MAX_LINES, cell.id
        own = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
        assert not any(isinstance(node, own) for node in ast.walk(ast.parse(cell.source))), cell.id


def test_takes_only_public_names(notebook):
    import lwcnn

    for cell in code_cells(notebook):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "lwcnn":
                assert node.attr in (*lwcnn.__all__, "__file__"), (cell.id, node.attr)


WITHOUT_INPUT = {"int8-bytes-figure", "latency-figure"}  # on data without committed results


def test_runs_from_any_folder_without_the_data_set(tmp_path, monkeypatch):
    """On the digits it trains everything that it shows, in a folder of its own."""
    monkeypatch.delenv("LWCNN_DATA_DIR", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parent), prepend=os.pathsep)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    executed = papermill.execute_notebook(
        NOTEBOOK,
        tmp_path / "executed.ipynb",
        parameters={"dataset": "digits", "preset": "smoke", "seeds": [0]},
        cwd=tmp_path,
        progress_bar=False,
    )  # raises where a cell does

    cells = {cell.id: cell for cell in code_cells(executed)}
    texts = {name: output_text(cell) for name, cell in cells.items()}
    assert not any(output.output_type == "error" for cell in cells.values() for output in cell.outputs)
    assert "Trained here: everything, preset `smoke`" in texts["data-open"]
    assert "14862" in texts["models-count"] and texts["merge-check"].count("True") == 2
    assert "1002" in texts["unfreezing-train"]
    assert "| digits | `paper`, from scratch | smoke |" in texts["folds-table"]
    assert "| digits | `single` |" in texts["ablation-train"] and "| digits | `residual_se` |" in texts["results-table"]
    assert "| reproduction | parameters | about 20,000 | 334,706 | 334,706" in texts["audit-table"]
    assert "of 107 test images" in texts["own-train"]

    with_figures = {name for name, cell in cells.items() if any("image/png" in o.get("data", {}) for o in cell.outputs)}
    wanted = {name for name in cells if name.endswith("-figure")} - WITHOUT_INPUT
    assert with_figures == wanted, {name: texts[name] for name in wanted - with_figures}
    for name in WITHOUT_INPUT:
        assert texts[name].startswith("*Not shown"), name

    results = tmp_path / "runs/results/digits"
    assert (results / "paper/smoke/seed0.json").exists() and (results / "paper/smoke/kfold3_seed0.json").exists()
    assert not (tmp_path / "results").exists()
