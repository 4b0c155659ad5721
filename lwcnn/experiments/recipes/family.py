"""The Wren family: a network at several sizes, and a smaller one for gray images, with one long recipe.

The first blocks work at full resolution and the others at half of it, with efficient channel attention. Muon with
warm-up, cosine decay and a moving average trains them for 150 epochs at `full`. The number of epochs is fixed, and the
test images are used once. Command: `lwcnn train wren_30k --dataset cifar10 --preset full --seeds 0 1 2`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lwcnn.data.augment import Erasing, MixUpCutMix, RandAugment
from lwcnn.data.known import ImageSpec
from lwcnn.experiments.recipes.augmentation import augmentation as augment
from lwcnn.experiments.recipes.presets import Preset
from lwcnn.experiments.recipes.residual_se import STEM_NETWORK, residual_se_muon
from lwcnn.experiments.recipes.types import Distillation, DistilledExperiment, NetworkExperiment, Teacher
from lwcnn.models.configs import ResidualSEConfig, Stage

FULL_EPOCHS, GRAY_EPOCHS = 150, 80
BATCH = 125  # divides 45,000 and 54,000 training images, so that no step has a shape of its own


def _network(stem: int, *stages: Stage) -> ResidualSEConfig:
    return ResidualSEConfig(stem=stem, stages=stages, attention="eca", stem_pooling=False)


FAMILY = {
    "wren_5k": _network(12, Stage(12, 1), Stage(16, 2)),  # 4,921 parameters on 32x32x3
    "wren_10k": _network(16, Stage(16, 2), Stage(24, 2, 5, 1.67)),  # 9,790
    "wren_15k": ResidualSEConfig(stem=32, stages=(Stage(24, 4),)),  # 14,238 on 28x28x1, for gray images
    "wren_20k": _network(20, Stage(20, 2), Stage(32, 3, 5, 1.5)),  # 18,611
    "wren_30k": _network(24, Stage(24, 2), Stage(40, 3, 5, 1.6)),  # 27,779; 31,469 with 100 classes
    "wren_100k": _network(40, Stage(40, 2), Stage(64, 4)),  # 94,120
}
"""Networks by the name of their experiment, whose number is the limit of their parameters."""

DISTILLATION = Distillation(temperature=4, label_weight=0.5)


def _plan(name: str, network: ResidualSEConfig, preset: Preset, images: ImageSpec, strong: bool) -> NetworkExperiment:
    """Returns a network with the long recipe; the strong augmentation adds an operation, or erases gray images."""
    base = residual_se_muon(preset, images)
    (phase,) = base.phases
    added: dict[str, Any] = (
        {"erasing": Erasing(0.25, fill="zero")} if images.is_gray else {"rand_augment": RandAugment(1, 5)}
    )
    augmentation = replace(augment(images), **(added if strong else {}))
    full = GRAY_EPOCHS if images.is_gray else FULL_EPOCHS
    epochs = full if preset.name == "full" else preset.network
    phase = replace(phase, epochs=epochs, batch_size=BATCH, augmentation=augmentation)
    question = f"the Wren family: how far fewer than {name.removeprefix('wren_').removesuffix('k')},000 parameters go"
    return replace(base, name=name, question=question, network=network, phases=(phase,))


def _member(name: str) -> Callable[[Preset, ImageSpec], NetworkExperiment]:
    strong = name not in ("wren_5k", "wren_10k")  # these underfit without it
    return lambda preset, images: _plan(name, FAMILY[name], preset, images, strong)


def _light(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    plan = _plan("wren_30k", FAMILY["wren_30k"], preset, images, strong=False)
    return replace(plan, name="wren_30k_light", question="the strong augmentation: wren_30k with flips and crops alone")


def _mixup(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    plan = _light(preset, images)
    phases = tuple(replace(phase, mixing=MixUpCutMix(0.5, 0.0, probability=0.5, ramp=1.0)) for phase in plan.phases)
    question = "the augmentation: wren_30k with flips, crops and MixUp whose probability rises to a half"
    return replace(plan, name="wren_30k_mixup", question=question, phases=phases)


def _pooled(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    plan = _plan("wren_30k", STEM_NETWORK, preset, images, strong=True)
    question = "the blocks at full resolution: the network of residual_se_muon with the long recipe"
    return replace(plan, name="wren_30k_pooled", question=question)


def _glu(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    network = replace(_network(24, Stage(24, 3, 5, 1), Stage(40, 3, 5, 1)), block="glu")
    plan = _plan("wren_30k", network, preset, images, strong=True)
    return replace(plan, name="wren_30k_glu", question="the block: wren_30k with gated expansions")


def _distilled(preset: Preset, images: ImageSpec) -> DistilledExperiment:
    plan = _plan("wren_30k", FAMILY["wren_30k"], preset, images, strong=True)
    smoke = preset.name == "smoke"
    return DistilledExperiment(
        name="wren_30k_distilled",
        question="a teacher: wren_30k taught by the narrow ResNet-18",
        network=plan.network,
        phases=plan.phases,
        teacher=Teacher("narrow_resnet18", "smoke" if smoke else "medium", (0,)),
        distillation=DISTILLATION,
    )


VARIANTS: dict[str, Callable[[Preset, ImageSpec], NetworkExperiment]] = {
    "wren_30k_light": _light,
    "wren_30k_mixup": _mixup,
    "wren_30k_pooled": _pooled,
    "wren_30k_glu": _glu,
    "wren_30k_distilled": _distilled,
}
"""One change of `wren_30k` each."""

FAMILY_EXPERIMENTS = {name: _member(name) for name in FAMILY} | VARIANTS
