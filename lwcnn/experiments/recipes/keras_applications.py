"""Networks of `keras.applications`, trained from random weights by our recipe, for comparison.

They are designed for larger images: on 32x32 pixels their stems and strides reduce the feature map to one pixel, unless
the first two strides are 1.
"""

from collections.abc import Callable
from dataclasses import replace

from lwcnn.data.known import ImageSpec
from lwcnn.experiments.recipes.augmentation import augmentation
from lwcnn.experiments.recipes.presets import Preset
from lwcnn.experiments.recipes.residual_se import NO_WEIGHT_DECAY
from lwcnn.experiments.recipes.types import NetworkExperiment
from lwcnn.models.configs import EFFICIENTNET_B0, MOBILENET_V2, MOMENTUM, ApplicationConfig
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Phase

# The residual network's, with a learning rate for a hundred times as many parameters; not tuned.
WARMUP_COSINE = OptimizerConfig(
    "adamw", 0.002, weight_decay=0.05, warmup=0.2, ema=0.998, no_weight_decay=NO_WEIGHT_DECAY
)

MEDIUM_EPOCHS = 15  # two hours on a CPU


def _experiment(
    name: str, network: ApplicationConfig, question: str
) -> Callable[[Preset, ImageSpec], NetworkExperiment]:
    def build(preset: Preset, images: ImageSpec) -> NetworkExperiment:
        epochs = MEDIUM_EPOCHS if preset.name == "medium" else preset.network
        phase = Phase("all", WARMUP_COSINE, epochs, augmentation=augmentation(images), batch_size=128)
        return NetworkExperiment(name=name, question=question, network=network, phases=(phase,))

    return build


_EXPERIMENTS = {
    "mobilenet_v2": (MOBILENET_V2, "comparison: MobileNetV2 from random weights, 2,270,794 parameters"),
    "mobilenet_v2_momentum": (
        replace(MOBILENET_V2, momentum=MOMENTUM),
        "the same with batch norm's momentum 0.9: after 15 epochs the statistics of 0.999 are far behind the weights",
    ),
    "mobilenet_v2_cifar": (
        replace(MOBILENET_V2, momentum=MOMENTUM, cifar_strides=True),
        "comparison: MobileNetV2 with CIFAR strides, the first two of them 1",
    ),
    "efficientnet_b0": (EFFICIENTNET_B0, "comparison: EfficientNet-B0 from random weights, 4,062,381"),
    "efficientnet_b0_cifar": (
        replace(EFFICIENTNET_B0, momentum=MOMENTUM, cifar_strides=True),
        "comparison: EfficientNet-B0 with CIFAR strides, the first two of them 1",
    ),
}
APPLICATION_EXPERIMENTS = {name: _experiment(name, *described) for name, described in _EXPERIMENTS.items()}
