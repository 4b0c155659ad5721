"""The CIFAR-10 reproduction and its extension, with their own recipes.

Values come from the notebooks of the reproduction (cells 17 to 31) and of the extension (cells 42 and 43).
"""

from lwcnn.data.augment import Augmentation, MixUpCutMix
from lwcnn.data.known import ImageSpec
from lwcnn.experiments.recipes.presets import Preset
from lwcnn.experiments.recipes.types import NetworkExperiment, Recipe, ReproductionExperiment, derived
from lwcnn.models.configs import RepoResidualSEConfig
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Phase

ADAM = OptimizerConfig("adam", 0.001)
SGD = OptimizerConfig("sgd", 0.001, momentum=0.9)
BATCH = 128
VALIDATION = 0.2  # the notebook holds out 10,000 of the 50,000 training images

# Ours: dense layers and head train from the start, and the convolutions are unfrozen one by one: the last one, the last
# two, the last three, all. Keras lists corresponding layers of both branches next to each other. The notebook (cell 31)
# means to train the output layer, then the dense layers too, and all convolutions in the last step; its list is empty.
CONVOLUTIONS = ("original_conv1", "augmented_conv1", "original_conv2", "augmented_conv2")
ALWAYS_TRAINED = ("original_dense", "augmented_dense", "head_logits")


def _baseline(preset: Preset, images: ImageSpec) -> ReproductionExperiment:
    epochs, *unfreezing = preset.repo_epochs
    augmentations = {
        "original": None,
        "augmented": Augmentation(rotation=15 / 360, translation=0.1, horizontal_flip=images.mirror),
    }
    return ReproductionExperiment(
        branches=tuple(
            (name, Phase(name, ADAM, epochs, patience=5, augmentation=one, batch_size=BATCH, monitor="val_loss"))
            for name, one in augmentations.items()
        ),
        phases=tuple(
            Phase(f"unfreezing_{i}", SGD, count, ALWAYS_TRAINED + CONVOLUTIONS[-i:], batch_size=BATCH)
            for i, count in enumerate(unfreezing, start=1)
        ),
        validation=VALIDATION,
    )


def _residual_se(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    phase = Phase(
        "all",
        OptimizerConfig("adamw", 0.001, weight_decay=1e-4, warmup=0.1),
        preset.epochs_of_original(30),
        patience=7,
        monitor="val_loss",
        label_smoothing=0.1,
        batch_size=BATCH,
        mixing=MixUpCutMix(mixup_alpha=0.2, cutmix_alpha=1.0),  # one of the two per batch, and no other augmentation
        dropout=(0.4, 0.2),  # as its text says; in the notebook the compiled step keeps the 0.4 of the first epoch
    )
    return NetworkExperiment(network=RepoResidualSEConfig(), phases=(phase,), validation=VALIDATION)


REPRODUCTION_EXPERIMENTS: dict[str, Recipe] = {
    "repo_baseline": Recipe("the CIFAR-10 reproduction, with convolutions that are unfrozen step by step", _baseline),
    "repo_baseline_frozen": Recipe(
        "the CIFAR-10 reproduction with convolutions that stay frozen in stage 2, as in its run",
        derived(_baseline, {"phases.*.trainable": ALWAYS_TRAINED}),
    ),
    "repo_residual_se": Recipe(
        "the CIFAR-10 extension's network and recipe, with its text's dropout schedule", _residual_se
    ),
}
