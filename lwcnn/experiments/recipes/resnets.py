"""Three reference ResNets, with the recipes that their texts describe.

Where a text states no value, a comment says whether it comes from its notebook or is ours. No text excludes batch
normalization or biases from weight decay. Their weight decay is added to the gradient, so momentum multiplies it by
1 / (1 - momentum) in the long run; Keras's is decoupled, so it is ten times theirs here.
"""

from collections.abc import Callable
from dataclasses import replace

from lwcnn.data.augment import Augmentation, ColorJitter, Cutout, Erasing, GaussianBlur, MixUpCutMix, Sharpness
from lwcnn.data.known import ImageSpec
from lwcnn.experiments.recipes.presets import Preset
from lwcnn.experiments.recipes.types import NetworkExperiment
from lwcnn.models.configs import NARROW_RESNET18, RESNET8, RESNET18, RESNET_4443, SE_RESNET
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Phase

MOMENTUM = 0.9
_THROUGH_MOMENTUM = 1 / (1 - MOMENTUM)
VERTICAL_FLIP = 0.05


def _sgd(learning_rate: float, decay: float, warmup: float = 0.0, nesterov: bool | None = None) -> OptimizerConfig:
    """Returns SGD with cosine decay; `decay` is the weight decay stated in the text."""
    decay = round(decay * _THROUGH_MOMENTUM, 9)
    return OptimizerConfig("sgd", learning_rate, MOMENTUM, nesterov, weight_decay=decay, warmup=warmup)


def _epochs(preset: Preset, full: int, medium: int | None = None) -> int:
    """Returns the epochs of a preset: `full` is the original's number, `medium` takes a few hours on a CPU."""
    return {"full": full, "smoke": 2, "medium": medium or preset.network}.get(preset.name, preset.network)


def _warmup(preset: Preset) -> float:
    """Returns the warm-up of originals without one: ours for `medium`, which is shorter than their training."""
    return 0.1 if preset.name == "medium" else 0.0


def _se_resnet(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    augmentation = Augmentation(
        rotation=10 / 360,
        horizontal_flip=images.mirror,
        crop_padding=4,
        fill="constant",
        color_jitter=ColorJitter(0.1, 0.1, 0.1),  # amounts: notebook
        sharpness=Sharpness(0.1),
        erasing=Erasing(0.2, area=(0.02, 0.1), fill="mean"),  # area: notebook, whose fill is near the mean
    )
    # learning rate: notebook; cosine: text (the notebook's run has steps)
    phase = Phase(
        "all", _sgd(0.1, 1e-4, _warmup(preset)), _epochs(preset, 70, 15), augmentation=augmentation, batch_size=256
    )
    return NetworkExperiment(
        name="se_resnet",
        question="reference: SE-ResNet [4,4,3], 4,905,430 parameters",
        network=SE_RESNET,
        phases=(phase,),
    )


def _se_resnet_plain(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    whole = _se_resnet(preset, images)
    question = "squeeze-and-excitation: the SE-ResNet without it"
    return replace(whole, name="se_resnet_plain", question=question, network=replace(SE_RESNET, se_reduction=None))


def _resnet_4443(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    flip = images.mirror
    augmentation = Augmentation(
        horizontal_flip=flip,
        vertical_flip=VERTICAL_FLIP if flip else 0.0,
        crop_padding=2,  # 32x32 from 36x36
        fill="constant",
        blur=GaussianBlur(0.3, sigma=(0.1, 1.5), kernel_size=3),
    )
    phase = Phase(
        "all",
        _sgd(0.1, 5e-4, _warmup(preset)),
        _epochs(preset, 100),
        augmentation=augmentation,
        batch_size=128,  # notebook
        mixing=MixUpCutMix(mixup_alpha=0.0, cutmix_alpha=1.0, probability=0.5),  # values of CutMix's authors for CIFAR
    )
    return NetworkExperiment(
        name="resnet_4443",
        question="reference: ResNetConfig [4,4,4,3], 4,754,218 parameters, as described",
        network=RESNET_4443,
        phases=(phase,),
    )


def _resnet_4443_twice(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    described = _resnet_4443(preset, images)
    (first,) = described.phases
    second = replace(first, name="again", optimizer=_sgd(0.01, 5e-4))
    # The two runs in the log have no CutMix and crop from 40x40; the first has a step schedule instead of the cosine.
    question = "the same with a second run as long, cosine from 0.01, which the log has and the text does not"
    return replace(described, name="resnet_4443_twice", question=question, phases=(first, second))


def _narrow_resnet18(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    augmentation = Augmentation(
        horizontal_flip=images.mirror,
        crop_padding=4,  # notebook
        fill="constant",
        cutout=Cutout(16),  # side: notebook
    )
    phase = Phase(
        "all",
        _sgd(0.1, 5e-4, warmup=25 / 250, nesterov=True),  # learning rate, Nesterov: notebook
        _epochs(preset, 250),
        augmentation=augmentation,
        label_smoothing=0.05,
        batch_size=128,  # the notebook's default; its run has 64
    )
    return NetworkExperiment(
        name="narrow_resnet18",
        question="reference: narrow ResNet-18, 2,797,610 parameters",
        network=NARROW_RESNET18,
        phases=(phase,),
    )


def _narrow_resnet18_cold(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    warm = _narrow_resnet18(preset, images)
    (phase,) = warm.phases
    phases = (replace(phase, optimizer=replace(phase.optimizer, warmup=0.0)),)
    question = "the warm-up: the narrow ResNet-18 with the cosine alone"
    return replace(warm, name="narrow_resnet18_cold", question=question, phases=phases)


def _narrow_resnet18_few(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    cold = _narrow_resnet18_cold(preset, images)
    (phase,) = cold.phases
    optimizer = replace(phase.optimizer, learning_rate=0.02)  # ours: with the notebook's 0.1 so few steps learn nothing
    epochs = 1 if preset.name == "smoke" else 5
    return replace(
        cold,
        name="narrow_resnet18_few",
        question="a check: five epochs of the narrow ResNet-18 on 2,000 images, without warm-up",
        phases=(replace(phase, optimizer=optimizer, epochs=epochs, batch_size=32),),
        validation=1000,
        num_images=2000,
    )


def _narrow_resnet18_adam(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    return _with_optimizer(preset, images, "adam", OptimizerConfig("adam", 0.002, warmup=25 / 250))


def _narrow_resnet18_adamw(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    return _with_optimizer(preset, images, "adamw", OptimizerConfig("adamw", 0.002, weight_decay=0.05, warmup=25 / 250))


def _with_optimizer(preset: Preset, images: ImageSpec, name: str, optimizer: OptimizerConfig) -> NetworkExperiment:
    """Returns the narrow ResNet-18 with another optimizer; its learning rate and weight decay are not tuned."""
    plan = _narrow_resnet18(preset, images)
    phases = tuple(replace(phase, optimizer=optimizer) for phase in plan.phases)
    question = f"the optimizer: the narrow ResNet-18 with {optimizer.name} in place of SGD"
    return replace(plan, name=f"narrow_resnet18_{name}", question=question, phases=phases)


def _resnet18(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    narrow = _narrow_resnet18(preset, images)
    phases = tuple(replace(phase, epochs=_epochs(preset, 250, 10)) for phase in narrow.phases)
    question = "the texts' baseline: ResNet-18 of full width, with the recipe of the narrow one"
    return replace(narrow, name="resnet18", question=question, network=RESNET18, phases=phases)


def _resnet8(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    narrow = _narrow_resnet18(preset, images)
    augmentation = Augmentation(horizontal_flip=images.mirror, crop_padding=4)
    phases = tuple(
        replace(phase, epochs=_epochs(preset, 200, 15), augmentation=augmentation, label_smoothing=0.0)
        for phase in narrow.phases
    )
    question = "comparison: MLPerf Tiny's ResNet-8, with SGD, flips and crops"
    return replace(narrow, name="resnet8", question=question, network=RESNET8, phases=phases)


REFERENCE_EXPERIMENTS: dict[str, Callable[[Preset, ImageSpec], NetworkExperiment]] = {
    "se_resnet": _se_resnet,
    "se_resnet_plain": _se_resnet_plain,
    "resnet_4443": _resnet_4443,
    "resnet_4443_twice": _resnet_4443_twice,
    "narrow_resnet18": _narrow_resnet18,
    "narrow_resnet18_cold": _narrow_resnet18_cold,
    "narrow_resnet18_adam": _narrow_resnet18_adam,
    "narrow_resnet18_adamw": _narrow_resnet18_adamw,
    "narrow_resnet18_few": _narrow_resnet18_few,
    "resnet18": _resnet18,
    "resnet8": _resnet8,
}
