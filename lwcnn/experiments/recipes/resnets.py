"""Networks by others: three reference ResNets with their published recipes, and further networks with ours.

Where a text states no value, a comment says whether it comes from its notebook or is ours. No text excludes batch
normalization or biases from weight decay. Their weight decay is added to the gradient, so momentum multiplies it by
1 / (1 - momentum) in the long run; Keras's is decoupled, so it is ten times theirs here.
"""

from dataclasses import replace

from lwcnn.data.augment import Augmentation, ColorJitter, Cutout, Erasing, GaussianBlur, MixUpCutMix, Sharpness
from lwcnn.data.known import ImageSpec
from lwcnn.experiments.recipes.presets import Preset
from lwcnn.experiments.recipes.residual_se import WARMUP_COSINE
from lwcnn.experiments.recipes.types import Build, Experiment, NetworkExperiment, Recipe, changed, derived, in_one_phase
from lwcnn.models import configs
from lwcnn.models.configs import EFFICIENTNET_B0, MOBILENET_V2, MOMENTUM, NARROW_RESNET18
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Phase

VERTICAL_FLIP = 0.05
WARMUP = 25 / 250


def _sgd(learning_rate: float, decay: float, warmup: float, nesterov: bool | None = None) -> OptimizerConfig:
    """Returns SGD with momentum and cosine decay; `decay` is the weight decay in Keras's meaning."""
    return OptimizerConfig("sgd", learning_rate, 0.9, nesterov, weight_decay=decay, warmup=warmup)


def _warmup(preset: Preset) -> float:
    """Returns the warm-up for recipes that have none: 0, or ours for `medium`, which trains for fewer epochs."""
    return 0.1 if preset.name == "medium" else 0.0


def _se_resnet(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    augmentation = Augmentation(
        rotation=10 / 360,
        horizontal_flip=images.mirror,
        crop_padding=4,
        fill="constant",
        color_jitter=ColorJitter(0.1, 0.1, 0.1),  # amounts: notebook
        sharpness=Sharpness(0.1),
        erasing=Erasing(0.2, area=(0.02, 0.1), fill="mean"),  # area: notebook, whose fill is a light gray
    )
    # learning rate: notebook; cosine: text (the notebook's run has steps)
    optimizer, epochs = _sgd(0.1, 1e-3, _warmup(preset)), preset.epochs_of_original(70, 15)
    phase = Phase("all", optimizer, epochs, augmentation=augmentation, batch_size=256)
    return NetworkExperiment(network=configs.SE_RESNET, phases=(phase,))


def _resnet_4443(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    augmentation = Augmentation(
        horizontal_flip=images.mirror,
        vertical_flip=VERTICAL_FLIP if images.mirror else 0.0,
        crop_padding=2,  # 32x32 from 36x36
        fill="constant",
        blur=GaussianBlur(0.3, sigma=(0.1, 1.5), kernel_size=3),
    )
    mixing = MixUpCutMix(mixup_alpha=0.0, cutmix_alpha=1.0, probability=0.5)  # values of CutMix's authors for CIFAR
    # The text names cosine decay, and a hybrid with steps; the notebook's first run has the steps alone.
    optimizer, epochs = _sgd(0.1, 5e-3, _warmup(preset)), preset.epochs_of_original(100)
    batch = 128  # notebook
    phase = Phase("all", optimizer, epochs, augmentation=augmentation, batch_size=batch, mixing=mixing)
    return NetworkExperiment(network=configs.RESNET_4443, phases=(phase,))


def _narrow_resnet18(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    # crop, side of Cutout, learning rate, Nesterov: notebook; batch size: the notebook's default; its run has 64
    augmentation = Augmentation(horizontal_flip=images.mirror, crop_padding=4, fill="constant", cutout=Cutout(16))
    optimizer, epochs = _sgd(0.1, 5e-3, WARMUP, nesterov=True), preset.epochs_of_original(250)
    phase = Phase("all", optimizer, epochs, augmentation=augmentation, label_smoothing=0.05, batch_size=128)
    return NetworkExperiment(network=NARROW_RESNET18, phases=(phase,))


def _few(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    changes = {
        "phases.0.optimizer.warmup": 0.0,
        "phases.0.optimizer.learning_rate": 0.02,  # ours: with the notebook's 0.1 so few steps learn nothing
        "phases.0.epochs": 1 if preset.name == "smoke" else 5,
        "phases.0.batch_size": 32,
        "validation": 1000,
        "num_images": 2000,
    }
    return changed(_narrow_resnet18(preset, images), changes)


def _resnet18(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    changes = {"network": configs.RESNET18, "phases.0.epochs": preset.epochs_of_original(250, 10)}
    return changed(_narrow_resnet18(preset, images), changes)


def _resnet8(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    augmentation = Augmentation(horizontal_flip=images.mirror, crop_padding=4)
    # Ours: MLPerf Tiny's own recipe is 500 epochs of Adam with batches of 32.
    optimizer, epochs = _sgd(0.1, 5e-3, WARMUP, nesterov=True), preset.epochs_of_original(200, 15)
    phase = Phase("all", optimizer, epochs, augmentation=augmentation, batch_size=128)
    return NetworkExperiment(network=configs.RESNET8, phases=(phase,))


# Learning rates and weight decay of these two are not tuned.
_ADAM = OptimizerConfig("adam", 0.002, warmup=WARMUP)
_ADAMW = OptimizerConfig("adamw", 0.002, weight_decay=0.05, warmup=WARMUP)


def _application(network: configs.ApplicationConfig) -> Build:
    # On 32x32 pixels their stems and strides reduce the feature map to one pixel, unless the first two strides are 1.
    # A learning rate for a hundred times as many parameters as the residual network's; not tuned.
    build = in_one_phase(network, replace(WARMUP_COSINE, learning_rate=0.002))

    def shortened(preset: Preset, images: ImageSpec) -> Experiment:  # `medium`: two hours on a CPU
        return build(replace(preset, network_epochs=15) if preset.name == "medium" else preset, images)

    return shortened


REFERENCE_EXPERIMENTS: dict[str, Recipe] = {
    "se_resnet": Recipe("reference: SE-ResNet [4,4,3], 4,905,430 trainable parameters", _se_resnet),
    "se_resnet_plain": Recipe(
        "the SE-ResNet without squeeze-and-excitation", derived(_se_resnet, {"network.se_reduction": None})
    ),
    "resnet_4443": Recipe("reference: ResNet [4,4,4,3], 4,754,218 trainable parameters, as described", _resnet_4443),
    "narrow_resnet18": Recipe("reference: narrow ResNet-18, 2,797,610 trainable parameters", _narrow_resnet18),
    "narrow_resnet18_adam": Recipe(
        "the narrow ResNet-18 with Adam in place of SGD", derived(_narrow_resnet18, {"phases.0.optimizer": _ADAM})
    ),
    "narrow_resnet18_adamw": Recipe(
        "the narrow ResNet-18 with AdamW in place of SGD", derived(_narrow_resnet18, {"phases.0.optimizer": _ADAMW})
    ),
    "narrow_resnet18_few": Recipe("the narrow ResNet-18 on 2,000 images for five epochs, without warm-up", _few),
    "resnet18": Recipe("ResNet-18 of full width, with the recipe of the narrow one", _resnet18),
    "resnet8": Recipe("comparison: MLPerf Tiny's ResNet-8, with SGD, flips and crops", _resnet8),
    "mobilenet_v2": Recipe(
        "comparison: MobileNetV2 from random weights, 2,270,794 parameters", _application(MOBILENET_V2)
    ),
    "mobilenet_v2_momentum": Recipe(
        "MobileNetV2 with a momentum of 0.9 in batch normalization, in place of 0.999",
        _application(replace(MOBILENET_V2, momentum=MOMENTUM)),
    ),
    "mobilenet_v2_cifar": Recipe(
        "comparison: MobileNetV2 whose first two strides are 1, for small images",
        _application(replace(MOBILENET_V2, momentum=MOMENTUM, cifar_strides=True)),
    ),
    "efficientnet_b0": Recipe(
        "comparison: EfficientNet-B0 from random weights, 4,062,381 parameters", _application(EFFICIENTNET_B0)
    ),
    "efficientnet_b0_cifar": Recipe(
        "comparison: EfficientNet-B0 whose first two strides are 1, for small images",
        _application(replace(EFFICIENTNET_B0, momentum=MOMENTUM, cifar_strides=True)),
    ),
}
