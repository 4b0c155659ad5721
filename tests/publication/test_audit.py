"""The audit: counts that the claims' systems must come to, figures from results files, and what was not run."""

import numpy as np
import pytest
from made_data import ROOT

from lwcnn.publication.claims.audit import AuditRow, audit_rows, audit_table
from lwcnn.publication.claims.claims import CLAIMS
from lwcnn.publication.claims.evidence import accuracy, calibration, difference, folds, latency, training_time
from lwcnn.system.files import write_json


@pytest.fixture(scope="module")
def rows():
    """The audit without any results."""
    return {(row.system, row.what): row for row in audit_rows(ROOT / "no results here")}


def write_run(results, experiment, seed, wrong, preset="quick"):
    """A run of 100 test images, the first `wrong` of them mistaken."""
    folder, labels = results / "cifar10" / experiment / preset, np.zeros(100, np.uint8)
    write_json(
        folder / f"seed{seed}.json",
        {"seed": seed, "test_accuracy": 1 - wrong / 100, "ece": 0.034, "train_seconds": 1200.4},
    )
    np.save(folder / f"seed{seed}_classes.npy", (np.arange(100) < wrong).astype(np.uint8))
    np.save(results / "cifar10" / "test_labels.npy", labels)


@pytest.mark.parametrize(
    ("system", "what", "count"),
    [
        ("paper", "parameters, MNIST", "14,862"),
        ("paper", "parameters of the dual model, MNIST", "13,860"),
        ("paper", "parameters, CIFAR-10", "19,622"),
        ("reproduction", "parameters", "334,706"),
        ("reproduction", "parameters in convolutions", "1.3 % (4,200 of 334,706)"),
        ("extension", "parameters", "83,920"),
        ("SE-ResNet [4,4,3]", "parameters", "4,905,430"),
        ("ResNet [4,4,4,3]", "parameters", "4,754,218"),
        ("narrow ResNet-18", "parameters", "2,797,610"),
    ],
)
def test_counts_need_no_results_and_are_those_of_the_systems(rows, system, what, count):
    row = rows[system, what]
    assert count in row.here and row.measured


def test_size_of_the_paper_is_that_with_optimiser_slots(rows):
    assert "0.057 MiB" in rows["paper", "size, MNIST"].here and "0.170 MiB" in rows["paper", "size, MNIST"].here


def test_what_was_not_run_names_its_command(rows):
    row = rows["paper", "CIFAR-10"]
    assert not row.measured
    assert row.here == "not run: `lwcnn train paper --dataset cifar10 --preset full --seeds 0 1 2`"
    assert "`lwcnn kfold paper_as_published --dataset mnist --leaking`" in rows["paper", "six folds, MNIST"].here
    assert "`lwcnn bench models/cifar10-paper.keras" in rows["reproduction", "latency"].here


def test_figures_are_those_of_the_largest_preset(tmp_path):
    for seed, wrong in enumerate((10, 14)):
        write_run(tmp_path, "paper", seed, wrong)
    assert accuracy("paper")(tmp_path) == "88.00 ± 2.83 % (quick, 2 seeds)"
    write_run(tmp_path, "paper", 0, 5, preset="full")
    assert accuracy("paper")(tmp_path) == "95.00 % (full, 1 seed)"
    assert calibration("paper")(tmp_path) == "ECE 3.4 % (full, 1 seed)"
    assert training_time("paper")(tmp_path) == "1,200 s (full, 1 seed)"


def test_differences_are_paired_and_have_an_interval(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path, "paper", seed, 10)
        write_run(tmp_path, "single", seed, 30)
    text = difference("single", "paper")(tmp_path)
    assert text.startswith("-20.00 points [-2") and text.endswith("] (quick)")
    assert difference("paper", "single")(tmp_path).startswith("+20.00 points")
    assert "lwcnn train paper head_only" in difference("paper", "head_only")(tmp_path)


def test_folds_and_latency(tmp_path):
    folder = tmp_path / "mnist/paper/quick"
    write_json(folder / "kfold6_seed0.json", {"accuracies": [0.9, 0.92]})
    write_json(folder / "kfold6_leaking_seed0.json", {"accuracies": [0.99, 0.99], "test_accuracy": 0.97})
    assert folds("paper", "mnist")(tmp_path) == "folds 91.00 ± 1.41 % (quick)"
    assert folds("paper", "mnist", leaking=True)(tmp_path) == "folds 99.00 ± 0.00 %, test 97.00 % (quick)"
    entry = {"model": "models/cifar10-paper.keras", "rows": [{"name": "litert", "batch1": {"p50_ms": 0.0421}}]}
    write_json(tmp_path / "bench.json", {"models": [entry]})
    assert latency("paper", "litert")(tmp_path) == "`paper` 0.0421 ms (litert, one CPU thread)"


def test_table_has_a_row_a_claim():
    rows = [AuditRow("a", "b", "c", "d", "e")]
    assert audit_table(rows).splitlines()[2:] == ["| a | b | c | d | e |"]
    assert all("|" not in text for one in CLAIMS for text in (one.system, one.what, one.claimed, one.built))
    assert len({(one.system, one.what) for one in CLAIMS}) == len(CLAIMS)
