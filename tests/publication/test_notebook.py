"""The notebook: thin, committed with small outputs and nothing of the machine, executed from top to bottom."""

import ast
import os
import re
from pathlib import Path

import nbformat
import papermill
import pytest

from lwcnn.publication.notebook.strip import main, strip
from lwcnn.system.errors import LwcnnError

NOTEBOOK = Path(__file__).resolve().parents[2] / "lightweight_cnn_cifar10.ipynb"
MAX_LINES = 10


@pytest.fixture(scope="module")
def notebook():
    """The notebook as committed."""
    return nbformat.read(NOTEBOOK, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def output_text(cell) -> str:
    """Everything that a cell showed as text."""
    data = [output.get("data", {}) for output in cell.outputs]
    return "".join(each.get("text/markdown", each.get("text/plain", "")) for each in data)


def alt_texts(cell) -> list[str]:
    """The alt text of each picture of a cell; empty where there is none."""
    pictures = [output for output in cell.outputs if "image/png" in output.get("data", {})]
    return [picture.metadata.get("image/png", {}).get("alt", "") for picture in pictures]


def wanted_figures(notebook) -> set[str]:
    return {cell.id for cell in code_cells(notebook) if cell.id.endswith("-figure")}


def test_is_committed_with_small_outputs_and_nothing_of_the_machine(notebook):
    nbformat.validate(notebook)
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert strip(text) == text and len(text) < 1_000_000
    assert {cell.id for cell in code_cells(notebook) if alt_texts(cell)} == wanted_figures(notebook)
    assert all(alt.endswith(".") for cell in code_cells(notebook) for alt in alt_texts(cell))
    texts = {cell.id: output_text(cell) for cell in code_cells(notebook)}
    assert "**CIFAR-10** from LWCNN_DATA_DIR/cifar10.npz: 50,000 training and 10,000 test images" in texts["data-open"]
    assert texts["merge-check"].count("| yes |") == 2 and "| 29,556 |" in texts["improved-train"]


def executed(*outputs) -> str:
    """An executed notebook of one cell, as papermill leaves it."""
    cell = nbformat.v4.new_code_cell("1 + 1", outputs=list(outputs), execution_count=7)
    cell.metadata = {"papermill": {"duration": 2.5, "start_time": "2026-01-01"}, "tags": []}
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"papermill": {"output_path": "/home/me/out.ipynb"}})
    return nbformat.writes(notebook, version=4)


def test_strip_keeps_what_is_shown_and_nothing_of_the_run():
    table = nbformat.v4.new_output("execute_result", {"text/markdown": "| a |", "text/plain": "T()"}, execution_count=7)
    log = nbformat.v4.new_output("stream", text="epoch 1, 12 s, /home/me/runs")
    text = strip(executed(log, table))
    (cell,) = nbformat.reads(text, as_version=4).cells
    assert cell.outputs == [nbformat.v4.new_output("execute_result", {"text/markdown": "| a |"})]
    assert not re.search('papermill|home|2026|execution_count": [0-9]', text)
    assert strip(text) == text


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (nbformat.v4.new_output("display_data", {"text/plain": "read /home/me/data.npz"}), "/home/me/data.npz"),
        (nbformat.v4.new_output("error", ename="ValueError", evalue="", traceback=[]), "a cell failed"),
        (nbformat.v4.new_output("display_data", {"image/png": "A" * 2_000_001}), "Show less"),
    ],
)
def test_strip_refuses_what_must_not_be_committed(output, message):
    with pytest.raises(LwcnnError, match=message):
        strip(executed(output))


def test_the_check_says_what_to_run(tmp_path, capsys):
    path = tmp_path / "executed.ipynb"
    path.write_text(executed())
    assert main(["--check", str(path)]) == 1
    assert f"python -m lwcnn.publication.notebook.strip {path}" in capsys.readouterr().err
    assert main([str(path)]) == 0 and main(["--check", str(path)]) == 0


def test_has_one_cell_of_parameters(notebook):
    tagged = [cell for cell in code_cells(notebook) if "parameters" in cell.metadata.get("tags", ())]
    assert len(tagged) == 1
    values = {}
    exec(tagged[0].source, values)
    assert (values["dataset"], values["preset"], values["seeds"]) == ("cifar10", "quick", [0])
    assert values["plots"] == "runs/visualizations"


def test_is_thin(notebook):
    for cell in code_cells(notebook):
        assert len(cell.source.splitlines()) <= MAX_LINES, cell.id
        own = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
        assert not any(isinstance(node, own) for node in ast.walk(ast.parse(cell.source))), cell.id


def test_imports_lwcnn_alone_and_takes_its_public_names(notebook):
    import lwcnn

    imported = set()
    for cell in code_cells(notebook):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                imported.add(ast.unparse(node))
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "lwcnn":
                assert node.attr in lwcnn.__all__, (cell.id, node.attr)
    assert imported == {"import lwcnn"}


def percents(table: str, column: str) -> list[float]:
    """The numbers in a column of a Markdown table."""
    head, _, *rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.splitlines()]
    return [float(row[head.index(column)].split()[0]) for row in rows]


def test_runs_from_any_folder_without_the_data_set(tmp_path, monkeypatch):
    """On the digits it trains `paper` and Wren, in a folder of its own, to accuracies that a reader would trust."""
    monkeypatch.delenv("LWCNN_DATA_DIR", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parent), prepend=os.pathsep)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    done = papermill.execute_notebook(
        NOTEBOOK, tmp_path / "done.ipynb", parameters={"dataset": "digits"}, cwd=tmp_path, progress_bar=False
    )  # raises where a cell does

    cells = {cell.id: cell for cell in code_cells(done) if "injected-parameters" not in cell.metadata.tags}
    texts = {name: output_text(cell) for name, cell in cells.items()}
    assert "Trained here: `paper` and Wren, preset `quick`, seed 0" in texts["data-open"]
    assert "| merged | 14,862 |" in texts["models-count"] and texts["merge-check"].count("| yes |") == 2
    assert "| head | 1,002 |" in texts["unfreezing-train"]
    accuracies = {
        name: percents(texts[name], "test %")[0] for name in ("unfreezing-here", "improved-train", "own-train")
    }
    assert all(accuracy > 95 for accuracy in accuracies.values()), accuracies
    assert percents(texts["results-table"], "test %")[0] == percents(texts["unfreezing-here"], "test %")[0]
    assert "| none |" in texts["unfreezing-here"] and "| none |" in texts["own-train"]  # warnings
    for name in ("folds-table", "ablation-table", "parts-table", "search-table"):  # of the committed results
        assert texts[name].count("\n") >= 3 and "not run" not in texts[name], name
    assert "about 20,000 (in its own README, up to 30,000) | 334,706 | 334,706" in texts["audit-table"]

    with_figures = {name for name, cell in cells.items() if any(alt_texts(cell))}
    wanted = wanted_figures(done)
    assert with_figures == wanted, {name: texts[name] for name in wanted - with_figures}

    assert (tmp_path / "runs/results/digits/paper/quick/seed0.json").exists()
    assert (tmp_path / "runs/visualizations/digits/roc.png").exists()
    assert not (tmp_path / "results").exists() and not (tmp_path / "visualizations").exists()
    assert strip((tmp_path / "done.ipynb").read_text(encoding="utf-8"))
