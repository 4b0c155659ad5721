"""Settings as plain data: what they hold, and that committed results are found again."""

import inspect
import json
import runpy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from lwcnn.data.augment import PAPER_AUGMENTATION, Augmentation, ColorJitter, Erasing, MixUpCutMix, RandAugment
from lwcnn.experiments.identity import check_finished
from lwcnn.experiments.recipes import EXPERIMENT_NAMES, get_experiment, with_settings
from lwcnn.experiments.recipes.techniques import TITLES
from lwcnn.system.files import read_json
from lwcnn.system.settings import added_later, plain_settings

RESULTS = Path(__file__).resolve().parents[2] / "results"
FIRST_FIELDS = ["rotation", "zoom", "translation", "brightness", "horizontal_flip", "crop_padding", "fill"]


@dataclass(frozen=True)
class Grown:
    old: tuple = (1, 2)
    new: int = added_later(3)


def test_a_field_added_later_is_left_out_where_it_has_its_default():
    assert plain_settings(Grown()) == {"old": [1, 2]}
    assert plain_settings(Grown(new=4)) == {"old": [1, 2], "new": 4}
    assert json.dumps(plain_settings(Grown(new=np.int64(4)))) == '{"old": [1, 2], "new": 4}'
    assert plain_settings({"a": (Grown(), None), "b": [Grown((), 0)]}) == {
        "a": [{"old": [1, 2]}, None],
        "b": [{"old": [], "new": 0}],
    }


def test_an_augmentation_is_recorded_as_before_it_had_the_new_settings():
    assert list(plain_settings(Augmentation())) == FIRST_FIELDS
    changed = replace(PAPER_AUGMENTATION, erasing=Erasing(0.2), color_jitter=ColorJitter(0.1))
    recorded = json.loads(json.dumps(plain_settings(changed)))
    assert list(recorded) == [*FIRST_FIELDS, "color_jitter", "erasing"]
    assert recorded["erasing"] == {"probability": 0.2, "area": [0.02, 0.33], "aspect": [0.3, 3.3], "fill": "noise"}
    assert plain_settings(Augmentation(rand_augment=RandAugment())) != plain_settings(Augmentation())


RUNS = sorted(path for path in RESULTS.glob("*/*/*/*seed*.json") if path.relative_to(RESULTS).parts[0] != "search")


@pytest.fixture(scope="module")
def of_benchmark():
    """Returns the experiment that benchmarks/flat_minima.py trains under a name, with a preset."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(RESULTS.parent / "benchmarks"))
        changed = runpy.run_path(str(RESULTS.parent / "benchmarks/flat_minima.py"))["changed"]
    return lambda name, preset: changed(name.removeprefix("technique_"), preset)


@pytest.mark.parametrize("path", RUNS, ids=lambda p: str(p.relative_to(RESULTS)))
def test_committed_results_are_recognized_as_finished(path, of_benchmark):
    dataset, experiment, preset = path.relative_to(RESULTS).parts[:3]
    name, _, epochs = experiment.partition("-epochs")
    result = read_json(path)
    if name in TITLES.keys() - set(EXPERIMENT_NAMES):
        plan = of_benchmark(name, preset)
    else:
        plan = with_settings(get_experiment(name, preset, dataset), epochs=int(epochs) if epochs else None)
    config = json.loads(json.dumps(plain_settings(plan)))
    if result.get("precision", "float32") != "float32":
        config["computing"] = {"precision": result["precision"]}
    if path.name.startswith("kfold"):
        config |= {"num_folds": result["num_folds"], "leaky": result["leaky"]}

    run = {"config": config, "data_checksum": result["data_checksum"]}
    needed = "mean_accuracy" if path.name.startswith("kfold") else "test_accuracy"
    assert check_finished(path, run, needed) == result


def test_signatures_show_what_a_field_takes():
    assert "a number from 0 to 1]" in str(inspect.signature(MixUpCutMix))
