"""The improved network: what it is, how it was found, and whether it reaches what was set out for it."""

import re
from collections.abc import Callable

import numpy as np

from lwcnn.experiments.recipes import get_experiment
from lwcnn.experiments.recipes.ablation import BASELINE, PARTS, WHOLE, left_out, only
from lwcnn.experiments.recipes.residual_se import DEEP_NETWORK, NETWORK, SMALL_NETWORK, STEM_NETWORK, TINY_NETWORK
from lwcnn.experiments.search import AVERAGED
from lwcnn.models.configs import ResidualSE
from lwcnn.publication.claims.goals import GOALS
from lwcnn.publication.claims.literature import RECORD, published
from lwcnn.publication.figures.inputs import MissingInput
from lwcnn.publication.report.evidence import Evidence
from lwcnn.publication.report.latex import DISPLAY_NAMES, code, escape, gain, joined, number_word, percent, whole

PARTS_PRESET = "quick"


def network(description: ResidualSE) -> Callable[[Evidence], str]:
    """A network's widths and blocks, in words."""
    stages = [f"{number_word(stage.blocks)} of width {stage.filters}" for stage in description.stages]
    blocks = joined(stages, "and then")
    return lambda evidence: f"a stem of {description.stem} filters and blocks, {blocks}"


def block(evidence: Evidence) -> str:
    """The settings that all blocks share."""
    stage = NETWORK.stages[0]
    k = stage.kernel_size
    return (
        f"a ${k}\\times{k}$ depthwise convolution with batch normalisation, a pointwise convolution to "
        f"{stage.expansion:g} times the width, hard swish, a pointwise convolution back, and squeeze-and-excitation "
        f"with reduction {NETWORK.se_reduction}"
    )


def recipe(evidence: Evidence) -> str:
    """The recipe of `residual_se` on CIFAR-10, from its settings."""
    (phase,) = get_experiment("residual_se", "full", "cifar10").phases
    optimizer, augmentation = phase.optimizer, phase.augmentation
    smoothing = f"label smoothing {phase.label_smoothing:g}" if phase.label_smoothing else "no label smoothing"
    mixing = "MixUp and CutMix" if phase.mixing else "no MixUp or CutMix"
    return (
        f"AdamW at {optimizer.learning_rate:g} with weight decay {optimizer.weight_decay:g} (not on biases and batch "
        f"normalisation), warm-up over {100 * optimizer.warmup:.0f}\\,\\% of the steps and a cosine to zero, a moving "
        f"average of the weights with decay {optimizer.ema:g}, which is what is assessed, batch {phase.batch_size}, "
        f"{phase.epochs} epochs, flips and crops after padding by {augmentation.crop_padding}, {smoothing}, {mixing}"
    )


def search(evidence: Evidence) -> str:
    """How many trials, of what length, and how they came out."""
    trials = evidence.trials
    if not trials:
        raise MissingInput("no trial of the search was run")
    best, worst = trials[0], trials[-1]
    base = next((place for place, trial in enumerate(trials, start=1) if trial["trial"] == "base"), None)
    text = (
        f"{len(trials)} trials of {trials[0]['epochs']} epochs, one seed each, from "
        f"{percent(worst['val_accuracy'], 1)}\\,\\% ({code(worst['trial'])}) to "
        f"{percent(best['val_accuracy'], 1)}\\,\\% ({code(best['trial'])}) on validation images"
    )
    if base:
        text += f"; the base has {percent(trials[base - 1]['val_accuracy'], 1)}\\,\\%, place {base}"
    return text


def goals(evidence: Evidence) -> str:
    """Which of the goals set for a CPU are met, of those that were run."""
    met, missed, open_ = [], [], []
    for goal in GOALS:
        name = f"{code(goal.experiment)} on {DISPLAY_NAMES[goal.dataset]}"
        if not any(key[:2] == (goal.dataset, goal.experiment) for key in evidence.groups):
            open_.append(name)
            continue
        mean = 100 * float(np.mean(evidence.accuracies(goal.dataset, goal.experiment)))
        (met if mean >= goal.least else missed).append(name)
    if not met and not missed:
        raise MissingInput("none of the improved networks was run")
    parts = [f"met by {joined(met)}" if met else "met by none of those run"]
    parts += [f"missed by {joined(missed)}"] if missed else []
    parts += [f"not yet tried for {joined(open_)}"] if open_ else []
    return "; ".join(parts)


def records(evidence: Evidence) -> str:
    """The public figures at or near the size of the improved network."""
    found = [one for one in published("cifar10", "params") if one.kind == RECORD and 20_000 < one.params <= 100_000]
    found.sort(key=lambda one: one.params)
    return joined([f"{percent(one.accuracy, 1)}\\,\\% at {whole(one.params)} ({escape(one.name)})" for one in found])


def int8_records(evidence: Evidence) -> str:
    """The public figures of int8 files."""
    found = [(one, escape(one.name).replace("µ", r"$\mu$")) for one in published("cifar10", "int8_bytes")]
    return joined(
        [f"{percent(one.accuracy, 1)}\\,\\% in {whole(one.int8_bytes)} bytes ({name})" for one, name in found]
    )


def teaching(evidence: Evidence) -> str:
    """The settings of the distillation."""
    plan = get_experiment("residual_se_small_distilled", "full", "cifar10")
    how = plan.distillation
    return (
        f"taught by the mean logits of {number_word(len(plan.teacher.seeds))} {code(plan.teacher.experiment)} at "
        f"temperature {how.temperature:g}, with {100 * how.label_weight:.0f}\\,\\% of the loss left to the labels"
    )


def claimed_points(claim: str) -> float:
    """The least gain that a claim speaks of: 5.0 of "+5 to +8"."""
    return float(re.findall(r"\d+", claim)[0])


def parts(evidence: Evidence) -> str:
    """Which of the claimed single gains are found, alone on the baseline and in the whole."""
    texts = []
    pairs = {
        "Alone on the baseline": lambda key: (only(key), BASELINE),
        "In the whole": lambda key: (WHOLE, left_out(key)),
    }
    for where, pair in pairs.items():
        sides: dict[str, list[str]] = {"reaches": [], "may reach": [], "stays below": []}
        for key, part in PARTS.items():
            if part.claim is None or not _were_run(evidence, pair(key)):
                continue
            found = evidence.difference("cifar10", *pair(key), PARTS_PRESET)
            least = claimed_points(part.claim) / 100
            side = "reaches" if found.mean >= least else "may reach" if found.high >= least else "stays below"
            sides[side].append(_IN_LISTS[key])
        words = {
            "reaches": "the mean gain reaches what is claimed for",
            "may reach": "only the upper end of the interval does for",
            "stays below": "the whole interval lies below the claim for",
        }
        if not any(sides.values()):
            raise MissingInput(f"no part of the improved model was run: {where.lower()}")
        texts.append(
            f"{where}, " + "; ".join(f"{words[side]} {joined(names)}" for side, names in sides.items() if names)
        )
    return ". ".join(texts)


_IN_LISTS = {
    "residual": "residual connections",
    "se": "squeeze-and-excitation",
    "mixing": "MixUp with CutMix",
    "adamw": "AdamW with its schedule",
    "smoothing": "label smoothing with falling dropout",
}


def _were_run(evidence: Evidence, names: tuple[str, str]) -> bool:
    return all(("cifar10", name, PARTS_PRESET) in evidence.groups for name in names)


def optimizers(evidence: Evidence) -> str:
    """AdamW against the others in the whole."""
    titles = {"adam": "Adam", "rmsprop": "RMSProp", "sgd": "SGD with momentum"}
    found = [
        f"{gain(evidence.difference('cifar10', WHOLE, f'parts_{key}', PARTS_PRESET))} against {title}"
        for key, title in titles.items()
    ]
    return joined(found)


def distillation(evidence: Evidence) -> str:
    """What the teacher adds, at equal epochs."""
    student, alone = "residual_se_small_distilled", "residual_se_small"
    preset = evidence.runs("cifar10", student)[0]["preset"]
    return gain(evidence.difference("cifar10", student, alone, preset))


def muon_trials(evidence: Evidence) -> str:
    """What Muon gains over AdamW in trials that differ in nothing else."""
    found = {trial["trial"]: trial["val_accuracy"] for trial in evidence.trials}
    pairs = [(name, name.replace(f"muon+{AVERAGED}", AVERAGED)) for name in found if f"muon+{AVERAGED}" in name]
    gains = sorted(100 * (found[name] - found[other]) for name, other in pairs if other in found)
    if not gains:
        raise MissingInput("no trial has a twin that Muon trained")
    return f"{joined([f'{points:.1f}' for points in gains])} points over AdamW on {number_word(len(gains))} networks"


SENTENCES: dict[str, Callable[[Evidence], str]] = {
    "network": network(NETWORK),
    "small network": network(SMALL_NETWORK),
    "tiny network": network(TINY_NETWORK),
    "taught network": network(DEEP_NETWORK),
    "muon network": network(STEM_NETWORK),
    "muon trials": muon_trials,
    "block": block,
    "recipe": recipe,
    "search": search,
    "number of trials": lambda evidence: str(len(evidence.trials)),
    "goals": goals,
    "records": records,
    "int8 records": int8_records,
    "teaching": teaching,
    "parts": parts,
    "optimizers": optimizers,
    "distillation": distillation,
}
