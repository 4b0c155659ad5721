"""The untrained model of an experiment."""

import keras

from lwcnn.data import ImageSpec
from lwcnn.experiments.recipes import (
    EXPERIMENT_NAMES,
    MergedExperiment,
    NetworkExperiment,
    ReproductionExperiment,
    get_experiment,
)
from lwcnn.models.baselines.reproduction import build_repo_merged
from lwcnn.models.build import build_network
from lwcnn.models.dual import build_merged_model
from lwcnn.system.errors import unknown_name


def library_model(name: str, input_shape: tuple[int, int, int] = (32, 32, 3), num_classes: int = 10) -> keras.Model:
    """Builds the final model of an experiment with random weights.

    Args:
        name: Name of the experiment.
        input_shape: Height, width and channels of the images.
        num_classes: Number of classes.

    Returns:
        A model that returns logits.

    Raises:
        LwcnnError: The experiment does not exist, or its network does not accept the shape.
    """
    if name not in EXPERIMENT_NAMES:
        raise unknown_name("model, neither a .keras file nor an experiment", name, EXPERIMENT_NAMES)
    plan = get_experiment(name, dataset=ImageSpec(input_shape, mirror=False))
    if isinstance(plan, (MergedExperiment, ReproductionExperiment)):
        build = build_merged_model if isinstance(plan, MergedExperiment) else build_repo_merged
        return build(input_shape, num_classes, [branch for branch, _ in plan.branches])
    assert isinstance(plan, NetworkExperiment)
    return build_network(input_shape, num_classes, plan.network)
