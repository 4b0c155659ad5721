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
    """All that a cell printed or showed as text."""
    return "".join(o.get("text", "") + o.get("data", {}).get("text/markdown", "") for o in cell.outputs)


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


WITHOUT_INPUT = {"search-figure", "int8-bytes-figure", "latency-figure"}  # on data without committed results
OTHER_FIGURES = {"improved-model", "own-predict"}


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
    assert "everything shown is trained here" in texts["data-open"]
    assert "14,862 parameters; the paper claims 14,862" in texts["models-count"]
    assert texts["merge-check"].count("yes, to the bit") == 2 and "the merge is exact" in texts["merge-check"]
    assert "| head | `head_dense`, `head_logits` | 1,002 |" in texts["unfreezing-train"]
    assert "| digits | `paper`, from scratch | smoke |" in texts["kfold-table"]
    assert "| digits | `single` |" in texts["ablation-table"] and "| digits | `residual_se` |" in texts["results-table"]
    assert "| reproduction | parameters | about 20,000 | 334,706 | 334,706" in texts["audit-table"]
    assert "`digits-three-classes`" in texts["own-train"] and "predictions are right" in texts["own-predict"]

    with_figures = {name for name, cell in cells.items() if any("image/png" in o.get("data", {}) for o in cell.outputs)}
    wanted = {name for name in cells if name.endswith("-figure")} - WITHOUT_INPUT | OTHER_FIGURES
    assert with_figures == wanted, {name: texts[name] for name in wanted - with_figures}
    for name in with_figures:  # a sentence under each, with numbers in it
        assert any(character.isdigit() for character in texts[name]) and texts[name].rstrip().endswith("."), name
    for name in WITHOUT_INPUT:
        assert texts[name].startswith("*Not shown") and "`lwcnn " in texts[name], name

    results = tmp_path / "runs/results/digits"
    assert (results / "paper/smoke/seed0.json").exists() and (results / "paper/smoke/kfold3_seed0.json").exists()
    assert not (tmp_path / "results").exists()
