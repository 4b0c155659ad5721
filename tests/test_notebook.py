"""The notebook: thin, committed without outputs, and executed from top to bottom."""

import ast
import os
from pathlib import Path

import nbformat
import papermill
import pytest

NOTEBOOK = Path(__file__).resolve().parents[1] / "lightweight_cnn_cifar10.ipynb"
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


def test_runs_from_any_folder_without_the_data_set(tmp_path, monkeypatch):
    monkeypatch.delenv("LWCNN_DATA_DIR", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parent), prepend=os.pathsep)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    executed = papermill.execute_notebook(
        NOTEBOOK,
        tmp_path / "executed.ipynb",
        parameters={"dataset": "digits", "preset": "smoke", "seeds": [0, 1]},
        cwd=tmp_path,
        progress_bar=False,
    )  # raises where a cell does

    cells = {cell.id: cell for cell in code_cells(executed)}
    assert not any(output.output_type == "error" for cell in cells.values() for output in cell.outputs)
    assert "14,862 parameters" in output_text(cells["models-count"])
    assert output_text(cells["merge-difference"]).count("differs by") == 2
    assert "| data | experiment |" in output_text(cells["results-table"])
    figures = [c for c in cells.values() if any("image/png" in o.get("data", {}) for o in c.outputs)]
    assert [cell.id for cell in figures] == ["data-figure", "curves-figure", "confusion-figure"]
    results = sorted(path.name for path in (tmp_path / "runs/results/digits/paper/smoke").glob("*.json"))
    assert results == ["seed0.json", "seed1.json"]
