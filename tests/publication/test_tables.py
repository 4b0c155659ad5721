"""Tables from made results, and the README's against the committed ones."""

import json
import runpy
import sys

import numpy as np
import pytest
from made_data import ROOT
from scipy.stats import binomtest

from lwcnn.publication.tables.tables import (
    BEGIN,
    END,
    ablation_table,
    all_tables,
    kfold_table,
    results_table,
    write_tables,
)
from lwcnn.system.errors import LwcnnError


def _write(results, experiment, seed, classes, labels, preset="quick"):
    folder = results / "mnist" / experiment / preset
    folder.mkdir(parents=True, exist_ok=True)
    accuracy = float((classes == labels).mean())
    result = {
        "dataset": "mnist", "experiment": experiment, "preset": preset, "seed": seed, "params": 14862,
        "val_accuracy": 0.5, "test_accuracy": accuracy, "ece": 0.015, "train_seconds": 12.4, "data_checksum": "c",
        "device": "a CPU", "num_threads": 1, "versions": {"keras": "3"}, "backend": "jax",
    }  # fmt: skip
    (folder / f"seed{seed}.json").write_text(json.dumps(result))
    np.save(folder / f"seed{seed}_classes.npy", classes.astype(np.uint8))
    np.save(results / "mnist" / "test_labels.npy", labels.astype(np.uint8))
    return accuracy


@pytest.fixture
def results(tmp_path):
    labels = np.arange(100) % 10
    for seed, (wrong, wrong_alone) in enumerate([(10, 20), (12, 18)]):
        for experiment, count in (("paper", wrong), ("single", wrong_alone)):
            classes = labels.copy()
            classes[:count] = (classes[:count] + 1) % 10
            _write(tmp_path, experiment, seed, classes, labels)
    return tmp_path


def test_results_table_has_mean_and_deviation(results):
    rows = results_table(results).splitlines()[2:]
    assert [row.split("|")[2].strip() for row in rows] == ["`paper`", "`single`"]
    cells = [cell.strip() for cell in rows[0].split("|")]
    assert cells[1:9] == ["mnist", "`paper`", "quick", "14,862", "2", "50.00", "89.00 ± 1.41", "99"]


def test_ablation_table_pairs_the_seeds(results):
    (row,) = ablation_table(results).splitlines()[2:]
    cells = [cell.strip() for cell in row.split("|")]
    assert cells[3:5] == ["-8.00 ± 2.83", "2"]
    # Seed 0: 10 images right only with `paper`, none only with `single`; seed 1: 6.
    wanted = [binomtest(0, n).pvalue for n in (10, 6)]
    assert cells[5] == ", ".join(f"{p:.3f}" for p in wanted)


def test_kfold_table_shows_the_leak(tmp_path):
    folder = tmp_path / "mnist/paper_as_published/quick"
    folder.mkdir(parents=True)
    result = {
        "dataset": "mnist", "experiment": "paper_as_published", "preset": "quick", "leaking": True,
        "accuracies": [0.99, 0.995], "test_accuracy": 0.98, "leak": 0.0125,
    }  # fmt: skip
    (folder / "kfold2_leaking_seed0.json").write_text(json.dumps(result))
    (row,) = kfold_table(tmp_path).splitlines()[2:]
    assert "99.00 99.50" in row and "99.25 ± 0.35" in row and "98.00" in row and "+1.25" in row


def test_write_tables_keeps_the_rest(results, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nSTALE\n{END}\nafter\n")
    write_tables(readme, results)
    text = readme.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "STALE" not in text
    assert all_tables(results) in text
    readme.write_text("no marks")
    with pytest.raises(LwcnnError, match="marks"):
        write_tables(readme, results)
    assert readme.read_text() == "no marks"


def test_readme_has_the_tables_of_the_committed_results():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"{BEGIN}\n{all_tables(ROOT / 'results')}\n{END}" in text, "run: lwcnn table --write README.md"


def test_the_benchmarks_readme_has_the_tables_of_the_committed_results(monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path[:])
    tables = runpy.run_path(str(ROOT / "benchmarks" / "tables.py"))
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    for name, table in tables["TABLES"].items():
        begin, end = tables["marks"](name)
        assert f"{begin}\n{table()}\n{end}" in text, "run: python benchmarks/tables.py"
