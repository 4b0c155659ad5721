"""Networks of `keras.applications`, trained from random weights by our recipe, for comparison.

They are designed for larger images: on 32x32 pixels their stems and strides reduce the feature map to one pixel, unless
the first two strides are 1.
"""

from dataclasses import replace

from lwcnn.data.known import ImageSpec
from lwcnn.experiments.recipes.presets import Preset
from lwcnn.experiments.recipes.residual_se import WARMUP_COSINE, BuildNetwork, train_network
from lwcnn.experiments.recipes.types import NetworkExperiment, Recipes
from lwcnn.models.configs import EFFICIENTNET_B0, MOBILENET_V2, MOMENTUM, ApplicationConfig

MEDIUM_EPOCHS = 15  # two hours on a CPU


def _train(network: ApplicationConfig) -> BuildNetwork:
    # A learning rate for a hundred times as many parameters as the residual network's; not tuned.
    build = train_network(network, replace(WARMUP_COSINE, learning_rate=0.002))

    def shortened(preset: Preset, images: ImageSpec) -> NetworkExperiment:
        return build(replace(preset, network=MEDIUM_EPOCHS) if preset.name == "medium" else preset, images)

    return shortened


APPLICATION_EXPERIMENTS: Recipes = {
    "mobilenet_v2": ("comparison: MobileNetV2 from random weights, 2,270,794 parameters", _train(MOBILENET_V2)),
    "mobilenet_v2_momentum": (
        "MobileNetV2 with a momentum of 0.9 in batch normalization, in place of 0.999",
        _train(replace(MOBILENET_V2, momentum=MOMENTUM)),
    ),
    "mobilenet_v2_cifar": (
        "comparison: MobileNetV2 whose first two strides are 1, for small images",
        _train(replace(MOBILENET_V2, momentum=MOMENTUM, cifar_strides=True)),
    ),
    "efficientnet_b0": (
        "comparison: EfficientNet-B0 from random weights, 4,062,381 parameters",
        _train(EFFICIENTNET_B0),
    ),
    "efficientnet_b0_cifar": (
        "comparison: EfficientNet-B0 whose first two strides are 1, for small images",
        _train(replace(EFFICIENTNET_B0, momentum=MOMENTUM, cifar_strides=True)),
    ),
}
