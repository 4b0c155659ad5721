"""The CIFAR-10 reproduction and its extension, with their own recipes.

Values come from the reproduction's notebook where it shows them, else from the project's reference notes.
"""

from collections.abc import Callable
from dataclasses import replace

from lwcnn.data.augment import Augmentation, MixUpCutMix
from lwcnn.data.known import ImageSpec
from lwcnn.experiments.recipes.presets import Preset
from lwcnn.experiments.recipes.types import NetworkExperiment, ReproductionExperiment
from lwcnn.models.configs import RepoResidualSEConfig
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Phase

ADAM = OptimizerConfig("adam", 0.001)
SGD = OptimizerConfig("sgd", 0.001, momentum=0.9)
BATCH = 128
VALIDATION = 0.2  # the notebook holds out 10,000 of the 50,000 training images

# Our interpretation: dense layers and head train from the start, and the list that was empty by mistake should have
# held the four convolutions: the last one, the last two, the last three, all. Keras lists corresponding layers of both
# branches next to each other. In the notebook (cell 31) the dense layers train from the second step on.
CONVOLUTIONS = ("original_conv1", "augmented_conv1", "original_conv2", "augmented_conv2")
ALWAYS_TRAINED = ("original_dense", "augmented_dense", "head_logits")


def _repo_baseline(preset: Preset, images: ImageSpec) -> ReproductionExperiment:
    unfrozen = [ALWAYS_TRAINED + CONVOLUTIONS[-count:] for count in (1, 2, 3, 4)]
    return ReproductionExperiment(
        name="repo_baseline",
        question="the CIFAR-10 reproduction's dual model, its convolutions really unfrozen step by step",
        branches=_branches(preset, images),
        phases=_unfreezing_steps(preset, unfrozen),
        validation=VALIDATION,
    )


def _repo_baseline_frozen(preset: Preset, images: ImageSpec) -> ReproductionExperiment:
    return replace(
        _repo_baseline(preset, images),
        name="repo_baseline_frozen",
        question="the same as it ran: the convolutions never train in stage 2",
        phases=_unfreezing_steps(preset, [ALWAYS_TRAINED] * 4),
    )


def _branches(preset: Preset, images: ImageSpec) -> tuple[tuple[str, Phase], ...]:
    augmentation = Augmentation(rotation=15 / 360, translation=0.1, horizontal_flip=images.mirror)
    original = Phase("original", ADAM, preset.repo[0], patience=5, batch_size=BATCH, monitor="val_loss")
    augmented = replace(original, name="augmented", augmentation=augmentation)
    return (("original", original), ("augmented", augmented))


def _unfreezing_steps(preset: Preset, trained: list[tuple[str, ...]]) -> tuple[Phase, ...]:
    return tuple(
        Phase(f"unfreezing_{i}", SGD, epochs, names, batch_size=BATCH)
        for i, (epochs, names) in enumerate(zip(preset.repo[1:], trained), start=1)
    )


def _repo_residual_se(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    phase = Phase(
        "all",
        OptimizerConfig("adamw", 0.001, weight_decay=1e-4, warmup=0.1),
        {"full": 30, "smoke": 2}.get(preset.name, preset.network),
        patience=7,
        monitor="val_loss",
        label_smoothing=0.1,
        batch_size=BATCH,
        mixing=MixUpCutMix(mixup_alpha=0.2, cutmix_alpha=1.0),  # one of the two per batch, and no other augmentation
        dropout=(0.4, 0.2),  # as its text says; in the notebook the compiled step keeps the 0.4 of the first epoch
    )
    return NetworkExperiment(
        name="repo_residual_se",
        question="the CIFAR-10 extension's network as built, with its own recipe",
        network=RepoResidualSEConfig(),
        phases=(phase,),
        validation=VALIDATION,
    )


REPRODUCTION_EXPERIMENTS: dict[str, Callable[[Preset, ImageSpec], ReproductionExperiment | NetworkExperiment]] = {
    "repo_baseline": _repo_baseline,
    "repo_baseline_frozen": _repo_baseline_frozen,
    "repo_residual_se": _repo_residual_se,
}
