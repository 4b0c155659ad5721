"""The parts of the improved model: that each experiment differs in its part alone, and the table of their gains."""

import json

import numpy as np
import pytest

from lwcnn.experiments.recipes import get_experiment
from lwcnn.experiments.recipes.ablation import BASELINE, OPTIMIZERS, PARTS, WHOLE, left_out, only
from lwcnn.experiments.run import Folders
from lwcnn.publication.figures import from_results
from lwcnn.publication.figures.inputs import Inputs, MissingInput
from lwcnn.publication.tables.parts_table import compare_experiments, parts_table
from lwcnn.system.settings import plain_settings


def differing(a: str, b: str) -> set[str]:
    """The settings in which two experiments differ."""
    found = set()
    for kind in ("network", "phases"):
        first, second = (plain_settings(getattr(get_experiment(name), kind)) for name in (a, b))
        if kind == "phases":
            first, second = first[0], second[0]
        keys = set(first) | set(second)
        found |= {key for key in keys if first.get(key) != second.get(key)}
    return found


SETTINGS = {
    "residual": {"residual"},
    "se": {"se_reduction"},
    "mixing": {"mixing"},
    "adamw": {"optimizer"},
    "smoothing": {"label_smoothing", "dropout"},
    "ema": {"optimizer"},
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_changes_its_own_settings_alone(part):
    assert differing(only(part), BASELINE) == SETTINGS[part]
    assert differing(left_out(part), WHOLE) == SETTINGS[part]


def test_without_its_average_the_whole_keeps_its_optimizer():
    whole, without = (get_experiment(name).phases[0].optimizer for name in (WHOLE, left_out("ema")))
    assert without.ema is None and whole.ema is not None
    assert (without.name, without.learning_rate, without.warmup) == (whole.name, whole.learning_rate, whole.warmup)
    assert get_experiment(left_out("adamw")).phases[0].optimizer.ema == whole.ema


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_optimizers_compete_in_the_whole(optimizer):
    assert differing(f"parts_{optimizer}", WHOLE) == {"optimizer"}
    assert get_experiment(f"parts_{optimizer}").phases[0].optimizer.name == optimizer


def write_run(folder, name, seed, classes):
    run = folder / name / "quick"
    run.mkdir(parents=True, exist_ok=True)
    (run / f"seed{seed}.json").write_text(json.dumps({"seed": seed}))
    np.save(run / f"seed{seed}_classes.npy", np.asarray(classes, np.uint8))


def test_the_table_has_gains_from_the_files_and_names_what_was_not_run(tmp_path):
    assert parts_table(tmp_path) == ""
    data = tmp_path / "cifar10"
    labels = np.arange(40) % 4
    write_run(data, BASELINE, 0, np.zeros(40))  # 10 of 40 right
    write_run(data, only("se"), 0, np.where(np.arange(40) < 20, labels, 0))  # 5 more
    write_run(data, only("se"), 1, labels)  # no baseline with this seed
    np.save(data / "test_labels.npy", labels)
    found = compare_experiments(data, "quick", only("se"), BASELINE)
    assert found.mean == pytest.approx((20 + 5 - 10) / 40)
    rows = [line.split(" | ") for line in parts_table(tmp_path).splitlines()[2:]]
    assert len(rows) == 1 + len(PARTS) + len(OPTIMIZERS)
    assert rows[0][1:6] == ["none; all", "25.00", "", "", "not run"]
    se = next(row for row in rows if "squeeze" in row[1])
    assert se[2] == "81.25 ± 26.52"  # 62.5 and 100, of both seeds
    assert se[3].startswith("+37.50 [") and se[4] == "<0.001" and se[5:7] == ["not run", "not run"]
    assert next(row for row in rows if "RMSProp" in row[1])[6] == "not run"


def test_the_figure_has_the_parts_that_were_run(tmp_path):
    data = tmp_path / "made"
    labels = np.arange(40) % 10
    for name in (BASELINE, only("se"), only("ema")):
        for seed in (0, 1):
            write_run(data, name, seed, np.where(np.arange(40) < 10 + 5 * seed, labels, 0))
    np.save(data / "test_labels.npy", labels)
    other = {"dataset": "made", "experiment": "paper", "preset": "quick", "seed": 0, "confusion_matrix": [[40]]}
    (data / "paper" / "quick").mkdir(parents=True)
    (data / "paper" / "quick" / "seed0.json").write_text(json.dumps(other))
    for path in data.glob("parts_*/quick/*.json"):
        run = json.loads(path.read_text())
        path.write_text(json.dumps(other | run | {"experiment": path.parts[-3]}))
    (ax,) = from_results.parts(Inputs("made", Folders(results=tmp_path))).axes
    titles = {part.title for key, part in PARTS.items() if key in ("se", "ema")}
    assert {label.get_text() for label in ax.get_yticklabels()} == titles
    with pytest.raises(MissingInput, match="no `quick` run"):
        from_results.parts(Inputs("other", Folders(results=tmp_path)))
