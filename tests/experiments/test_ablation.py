"""The parts of the improved model: that each experiment differs in its part alone, and the table of their gains."""

import pytest
from publication.made_results import write_run

from lwcnn.experiments.folders import Folders
from lwcnn.experiments.recipes import get_experiment
from lwcnn.experiments.recipes.ablation import BASELINE, OPTIMIZERS, PARTS, WHOLE, leave_one_out, only
from lwcnn.publication.figures import intervals
from lwcnn.publication.figures.inputs import Inputs, MissingInput
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
    assert differing(leave_one_out(part), WHOLE) == SETTINGS[part]


def test_without_its_average_the_whole_keeps_its_optimizer():
    whole, without = (get_experiment(name).phases[0].optimizer for name in (WHOLE, leave_one_out("ema")))
    assert without.ema is None and whole.ema is not None
    assert (without.name, without.learning_rate, without.warmup) == (whole.name, whole.learning_rate, whole.warmup)
    assert get_experiment(leave_one_out("adamw")).phases[0].optimizer.ema == whole.ema


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_optimizers_compete_in_the_whole(optimizer):
    assert differing(f"parts_{optimizer}", WHOLE) == {"optimizer"}
    assert get_experiment(f"parts_{optimizer}").phases[0].optimizer.name == optimizer


def test_the_figure_has_the_parts_that_were_run(tmp_path):
    write_run(tmp_path, "made/paper/quick", 0, 10)
    for name in (BASELINE, only("se"), only("ema")):
        for seed in (0, 1):
            write_run(tmp_path, f"made/{name}/quick", seed, 50 + 5 * seed)
    ax, *_ = intervals.parts(Inputs("made", Folders(results=tmp_path))).axes
    titles = {part.title for key, part in PARTS.items() if key in ("se", "ema")}
    assert {label.get_text() for label in ax.get_yticklabels()} == titles
    with pytest.raises(MissingInput, match="no `quick` run"):
        intervals.parts(Inputs("other", Folders(results=tmp_path)))
