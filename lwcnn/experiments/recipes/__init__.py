"""Every experiment as frozen data, by name and preset.

Expected accuracies and durations: docs/results.md. Command:
`lwcnn train EXPERIMENT --dataset cifar10 --preset quick --seeds 0 1 2`.
"""

from dataclasses import replace

from lwcnn.data.datasets import Dataset
from lwcnn.data.known import ImageSpec, image_spec
from lwcnn.experiments.recipes.ablation import PARTS_EXPERIMENTS
from lwcnn.experiments.recipes.family import FAMILY_EXPERIMENTS
from lwcnn.experiments.recipes.paper import PAPER_EXPERIMENTS, TUNED_EXPERIMENTS
from lwcnn.experiments.recipes.presets import PRESETS, Preset, get_preset
from lwcnn.experiments.recipes.reproduction import REPRODUCTION_EXPERIMENTS
from lwcnn.experiments.recipes.residual_se import RESIDUAL_EXPERIMENTS
from lwcnn.experiments.recipes.resnets import REFERENCE_EXPERIMENTS
from lwcnn.experiments.recipes.techniques import TECHNIQUE_EXPERIMENTS
from lwcnn.experiments.recipes.types import (
    DistilledExperiment,
    Experiment,
    FineTunedExperiment,
    MergedExperiment,
    NetworkExperiment,
    ReproductionExperiment,
    SnapshotExperiment,
    with_settings,
)
from lwcnn.system.errors import unknown_name, wrong

EXPERIMENT_GROUPS = {
    "the paper's method and its parts": PAPER_EXPERIMENTS | TUNED_EXPERIMENTS,
    "residual networks": RESIDUAL_EXPERIMENTS,
    "the Wren family, with the long recipe": FAMILY_EXPERIMENTS,
    "parts of the residual network and its recipe": PARTS_EXPERIMENTS,
    "techniques, each alone on the recipe of residual_se_muon": TECHNIQUE_EXPERIMENTS,
    "the CIFAR-10 reproduction and its extension": REPRODUCTION_EXPERIMENTS,
    "larger networks for comparison": REFERENCE_EXPERIMENTS,
}
"""Recipe of each experiment, by subject and name."""

_RECIPES = {name: recipe for group in EXPERIMENT_GROUPS.values() for name, recipe in group.items()}
EXPERIMENT_NAMES = tuple(_RECIPES)

NETWORKS = {
    "wren-100k-mixing": "wren_100k_mixing",
    "wren-100k": "wren_100k",
    "wren-30k-distilled": "wren_30k_distilled",
    "wren-30k": "wren_30k",
    "wren-20k": "wren_20k",
    "wren": "residual_se_muon",
    "wren-fast": "wren_fast",
    "wren-15k": "wren_15k",
    "wren-10k": "wren_10k",
    "wren-5k": "wren_5k",
    "wren-s": "residual_se_small",
    "wren-adamw": "residual_se",
    "paper-tuned": "paper_tuned",
    "paper": "paper",
}
"""Experiments by the name of their network. The networks that were trained are shipped."""


def get_experiment(name: str, preset: str = "quick", dataset: str | ImageSpec | Dataset = "cifar10") -> Experiment:
    """Returns an experiment by name.

    Args:
        name: Name of a network or experiment (see `lwcnn list`).
        preset: "smoke", "quick", "medium" or "full", which sets the number of epochs of each phase.
        dataset: A `Dataset` or its `spec`, or the name of a public dataset. The augmentation of our recipes depends on
            it: small images are shifted less, and digits are not mirrored.

    Returns:
        The experiment, of a subclass of `Experiment`.

    Raises:
        LwcnnError: A name is unknown; the message contains the most similar one.

    Examples:
        >>> get_experiment("paper", "full").phases[0].trainable
        ('head_*',)
    """
    length, name = get_preset(preset), NETWORKS.get(name, name)
    if name not in _RECIPES:
        others = [other for other in _RECIPES if other.replace("_", "-") not in NETWORKS]  # no network is named twice
        raise unknown_name("network or experiment", name, [*NETWORKS, *others])
    recipe = _RECIPES[name]
    images = image_spec(dataset) if isinstance(dataset, str) else getattr(dataset, "spec", dataset)
    if not isinstance(images, ImageSpec):
        raise wrong("Give a Dataset, its spec, or the name of a public dataset", repr(dataset))
    return replace(recipe.build(length, images), name=name, question=recipe.question)
