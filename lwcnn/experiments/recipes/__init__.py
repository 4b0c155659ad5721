"""Every experiment as frozen data, by name, at one of three sizes.

Expected results and durations stand in the README's table, which is made from `results/`. Command:
`lwcnn train EXPERIMENT --dataset cifar10 --preset quick --seeds 0 1 2`.
"""

from lwcnn.data import ImageSpec, image_spec
from lwcnn.experiments.recipes.ablation import PARTS_EXPERIMENTS
from lwcnn.experiments.recipes.keras_applications import APPLICATION_EXPERIMENTS
from lwcnn.experiments.recipes.paper import EXPERIMENTS, TUNED_EXPERIMENTS
from lwcnn.experiments.recipes.presets import PRESETS, Preset, get_preset
from lwcnn.experiments.recipes.reproduction import REPRODUCTION_EXPERIMENTS
from lwcnn.experiments.recipes.residual_se import RESIDUAL_EXPERIMENTS
from lwcnn.experiments.recipes.resnets import REFERENCE_EXPERIMENTS
from lwcnn.experiments.recipes.types import (
    DistilledExperiment,
    Experiment,
    MergedExperiment,
    NetworkExperiment,
    ReproductionExperiment,
    with_class_weight,
)
from lwcnn.system.errors import unknown_name

_DEPENDENT_ON_DATA = (
    TUNED_EXPERIMENTS
    | RESIDUAL_EXPERIMENTS
    | PARTS_EXPERIMENTS
    | REPRODUCTION_EXPERIMENTS
    | REFERENCE_EXPERIMENTS
    | APPLICATION_EXPERIMENTS
)
EXPERIMENT_NAMES = (*EXPERIMENTS, *_DEPENDENT_ON_DATA)

__all__ = [
    "EXPERIMENT_NAMES",
    "PRESETS",
    "DistilledExperiment",
    "Experiment",
    "MergedExperiment",
    "NetworkExperiment",
    "Preset",
    "ReproductionExperiment",
    "get_experiment",
    "get_preset",
    "with_class_weight",
]


def get_experiment(name: str, preset: str = "quick", dataset: str | ImageSpec = "cifar10") -> Experiment:
    """The experiment of that name at a preset's size.

    Args:
        name: one of `EXPERIMENT_NAMES`.
        preset: one of `PRESETS`.
        dataset: `Dataset.spec`, or the name of a public data set. Recipes of ours depend on the images: small ones
            are shifted less, and digits are not mirrored.

    Returns:
        The experiment.

    Raises:
        LwcnnError: if a name is unknown; the message names the nearest.
    """
    size = get_preset(preset)
    if name in _DEPENDENT_ON_DATA:
        images = image_spec(dataset) if isinstance(dataset, str) else dataset
        return _DEPENDENT_ON_DATA[name](size, images)
    if name not in EXPERIMENTS:
        raise unknown_name("experiment", name, EXPERIMENT_NAMES)
    return EXPERIMENTS[name](size)
