"""The audit: counts that the claims' systems must have, measurements from results files, and what was not run."""

import json

import pytest
from publication.made_results import write_folds, write_run

from lwcnn.publication.claims import CLAIMS
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.measurement import Measurement
from lwcnn.publication.tables.audit import AUDITS, audit_all
from lwcnn.publication.values import resolve


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Each claim's values without any results, by system and subject."""
    none = Evidence(tmp_path_factory.mktemp("none"))
    return {(one["system"], one["what"]): [resolve(name, none) for _, name in one.get("here", ())] for one in CLAIMS}


@pytest.mark.parametrize(
    ("system", "what", "value", "unit"),
    [
        ("paper", "parameters, MNIST", 14_862, "parameters"),
        ("paper", "parameters of the dual model, MNIST", 13_860, "parameters"),
        ("paper", "parameters, CIFAR-10", 19_622, "parameters"),
        ("reproduction", "parameters", 334_706, "parameters"),
        ("reproduction", "parameters in convolutions", 100 * 4200 / 334_706, "%"),
        ("extension", "parameters", 83_920, "parameters"),
        ("SE-ResNet [4,4,3]", "parameters", 4_905_430, "parameters"),
        ("ResNet [4,4,4,3]", "parameters", 4_754_218, "parameters"),
        ("narrow ResNet-18", "parameters", 2_797_610, "parameters"),
        ("SE-ResNet [4,4,3]", "memory", pytest.approx(65.037, abs=0.001), "MB"),
    ],
)
def test_counts_need_no_results_and_are_those_of_the_systems(rows, system, what, value, unit):
    found = rows[system, what][0]
    assert (found.value, found.unit) == (value, unit)
    (claim,) = (one for one in CLAIMS if (one["system"], one["what"]) == (system, what))
    assert unit != "parameters" or f"{value:,}" in claim["claimed"] + claim["built"]


def test_size_of_the_paper_is_that_with_optimizer_slots(rows):
    alone, with_slots = rows["paper", "size, MNIST"]
    assert (round(alone.value, 3), round(with_slots.value, 3)) == (0.057, 0.170)


def test_what_was_not_run_names_its_command(rows):
    assert "`lwcnn train paper --dataset cifar10 --preset full" in str(rows["paper", "accuracy, CIFAR-10"][0])
    assert "`lwcnn kfold paper_as_published --dataset mnist --leaky --results " in str(
        rows["paper", "six folds, MNIST"][1]
    )
    assert " Received: " in str(rows["paper", "accuracy, CIFAR-10"][0])


def test_measurements_are_those_of_the_largest_preset(tmp_path):
    for seed, wrong in enumerate((10, 14)):
        write_run(tmp_path, "cifar10/paper/quick", seed, wrong, ece=0.034)
    evidence = Evidence(tmp_path)
    assert str(resolve("cifar10/paper:spread", evidence)) == "88.00 ± 2.83% (quick, 2 seeds)"
    assert str(resolve("cifar10/paper:ece", evidence)) == "3.4% (ECE, quick, 2 seeds)"
    assert str(resolve("cifar10/paper:seconds", evidence)) == "120 s (quick, 2 seeds, a CPU)"
    write_run(tmp_path, "cifar10/paper/full", 0, 5)
    assert str(resolve("cifar10/paper:spread", Evidence(tmp_path))) == "95.00% (full, 1 seed)"


def test_differences_are_paired_and_have_an_interval(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path, "cifar10/paper/quick", seed, 10)
        write_run(tmp_path, "cifar10/single/quick", seed, 30, ece=0.3)
    evidence = Evidence(tmp_path)
    found = resolve("cifar10/single gain over cifar10/paper", evidence)
    assert found == resolve("cifar10/single/quick gain over cifar10/paper/quick", evidence)
    low, high = found.interval
    assert found.value == pytest.approx(-20) and low < -20 < high < 0
    assert str(found).startswith("-20.00 points [-2") and str(found).endswith("] (quick, 2 seeds)")
    assert resolve("cifar10/single/quick ece minus cifar10/paper/quick", evidence).value == pytest.approx(20)
    write_run(tmp_path, "cifar10/end_to_end/quick", 7, 30)
    shown = str(resolve("cifar10/end_to_end/quick ece minus cifar10/paper/quick", Evidence(tmp_path)))
    assert shown == "`end_to_end` and `paper` have no seed in common"
    for_all = f"--dataset cifar10 --preset quick --seeds 0 1 2 --results {tmp_path}"
    commands = [f"`lwcnn train {one} {for_all}`" for one in ("paper", "head_only")]
    assert str(resolve("cifar10/paper gain over cifar10/head_only", evidence)) == " and ".join(commands)


def test_folds_and_latency(tmp_path):
    write_folds(tmp_path, "mnist/paper/quick", [0.9, 0.92])
    write_folds(tmp_path, "mnist/paper/quick", [0.99, 0.99], leaky=True, test_accuracy=0.97)
    evidence = Evidence(tmp_path)
    assert str(resolve("mnist/paper folds from scratch:spread", evidence)) == "91.00 ± 1.41% (folds, quick)"
    assert str(resolve("mnist/paper folds not reset:spread", evidence)) == "99.00 ± 0.00% (folds, test 97.00%, quick)"
    times = {"litert": 0.0421, "onnx": 9.5, "keras": 52.5}
    rows = [{"name": name, "batch1": {"p50_ms": ms}} for name, ms in times.items()]
    entry = {"dataset": "cifar10", "experiment": "paper", "rows": rows}
    (tmp_path / "bench.json").write_text(json.dumps({"models": [entry], "machine": {"device": "a CPU"}}))
    found = {name: resolve(f"latency cifar10/paper {name}", Evidence(tmp_path)) for name in times}
    assert str(found["litert"]) == "0.042 ms (paper's method, litert, one thread of a CPU)"
    assert [str(one.bare()) for one in found.values()] == ["0.042", "9.500", "52"]


def test_the_table_has_a_row_per_claim_and_says_what_is_missing(tmp_path):
    table = audit_all(Evidence(tmp_path))
    assert len(table.rows) == len(CLAIMS)
    assert any("lwcnn train se_resnet" in str(one) for one in table.measured)
    assert AUDITS["audit_resnets"](Evidence(tmp_path)).latex().count(r"\notrun{}") == 4


def test_measurements_are_worded_at_the_end():
    assert str(Measurement(1234.5, "s", 0)) == "1,234 s"
    assert str(Measurement(-1.5, "points", 1, interval=(-2, 0.25), signed=True, origin="quick")) == (
        "-1.5 points [-2.0, +0.2] (quick)"
    )
    assert str(Measurement(67.331, "%", spread=0.63, origin="full").bare()) == "67.33 ± 0.63"
