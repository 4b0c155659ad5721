"""The Wren family: a network at several sizes, and a smaller one for gray images, with one long recipe.

The first blocks work at full resolution (not in `wren_15k` and `wren_fast`), the others below it. All but `wren_15k`,
which has squeeze-and-excitation, have efficient channel attention. Muon with warm-up, cosine decay and a moving average
trains them for 150 epochs at `full`, 120 with a teacher and 80 on gray images. The number of epochs is fixed, and the
test images are used once.
Command: `lwcnn train wren_30k --dataset cifar10 --preset full --seeds 0 1 2`.
"""

from dataclasses import replace
from typing import Any

from lwcnn.data.augment import Erasing, MixUpCutMix, RandAugment
from lwcnn.data.known import ImageSpec
from lwcnn.experiments.recipes.presets import Preset
from lwcnn.experiments.recipes.residual_se import DISTILLATION, WREN_100K, residual_se_muon
from lwcnn.experiments.recipes.types import Build, Experiment, Recipe, changed, derived, distilled
from lwcnn.models.configs import ResidualSEConfig, Stage

FULL_EPOCHS, GRAY_EPOCHS, TAUGHT_EPOCHS = 150, 80, 120
BATCH = 125  # divides 45,000 and 54,000 training images, so that all steps have one shape


def _network(stem: int, *stages: Stage, **settings: Any) -> ResidualSEConfig:
    return ResidualSEConfig(stem=stem, stages=stages, attention="eca", stem_pooling=False, **settings)


def _long(
    network: ResidualSEConfig, strong: bool = True, mixing: MixUpCutMix | None = None, epochs: int = FULL_EPOCHS
) -> Build:
    """Returns a function that builds the long recipe.

    The strong augmentation adds an operation, or erases parts of gray images. Digits and letters, which must not be
    mirrored, are not erased: that would hide what distinguishes them.
    """

    def build(preset: Preset, images: ImageSpec) -> Experiment:
        plan = residual_se_muon(preset, images)
        if strong and not images.is_gray:
            plan = changed(plan, {"phases.0.augmentation.rand_augment": RandAugment(1, 5)})
        elif strong and images.mirror:
            plan = changed(plan, {"phases.0.augmentation.erasing": Erasing(0.25, fill="zero")})
        full_epochs = GRAY_EPOCHS if images.is_gray else epochs
        num_epochs = full_epochs if preset.name == "full" else preset.network_epochs
        phase = replace(plan.phases[0], epochs=num_epochs, batch_size=BATCH, mixing=mixing)
        return changed(plan, {"network": network, "phases": (phase,)})

    return build


def _member(thousands: int, network: ResidualSEConfig, strong: bool = True) -> Recipe:
    question = f"the Wren family: the network with fewer than {thousands},000 parameters"
    return Recipe(question, _long(network, strong))


_WREN_30K = _network(24, Stage(24, 2), Stage(40, 3, 5, 1.6))  # 27,779 parameters on 32x32x3; 31,469 with 100 classes
_WREN_100K = _network(40, Stage(40, 2), Stage(64, 4))  # 94,120
_WREN_FAST = ResidualSEConfig(stem=24, stages=(Stage(24, 2, 3), Stage(48, 2)), attention="eca")  # 29,694

_WREN_30K_DISTILLED = distilled(
    _long(_WREN_30K, epochs=TAUGHT_EPOCHS), WREN_100K, replace(DISTILLATION, cached_epochs=30)
)
VARIANTS: dict[str, Recipe] = {
    "wren_30k_light": Recipe("wren_30k with flips and crops only", _long(_WREN_30K, strong=False)),
    "wren_30k_mixup": Recipe(
        "wren_30k with MixUp in place of RandAugment",
        _long(_WREN_30K, strong=False, mixing=MixUpCutMix(0.5, 0.0, probability=0.5, ramp=1.0)),
    ),
    "wren_30k_distilled_mixing": Recipe(
        "wren_30k distilled from wren_100k_mixing, whose logits are kept",
        derived(_WREN_30K_DISTILLED, {"teacher.experiment": "wren_100k_mixing"}),
    ),
    # The number of epochs is fixed, so validation images choose nothing: they only fit the temperature.
    "wren_30k_distilled_more_images": Recipe(
        "wren_30k_distilled with 2% instead of 10% of the training images held out",
        derived(_WREN_30K_DISTILLED, {"validation": 0.02}),
    ),
}
"""One change of `wren_30k` or `wren_30k_distilled` each."""

FAMILY_EXPERIMENTS: dict[str, Recipe] = {
    # The two smallest are expected to underfit with the strong augmentation; not tested.
    "wren_5k": _member(5, _network(12, Stage(12, 1), Stage(16, 2)), strong=False),  # 4,921 parameters
    "wren_10k": _member(10, _network(16, Stage(16, 2), Stage(24, 2, 5, 1.67)), strong=False),  # 9,790
    "wren_15k": _member(15, ResidualSEConfig(stem=32, stages=(Stage(24, 4),))),  # 14,238 on 28x28x1, for gray images
    "wren_20k": _member(20, _network(20, Stage(20, 2), Stage(32, 3, 5, 1.5))),  # 18,611
    "wren_30k": _member(30, _WREN_30K),
    "wren_100k": _member(100, _WREN_100K),
    "wren_100k_mixing": Recipe(
        "wren_100k with MixUp and CutMix", _long(_WREN_100K, mixing=MixUpCutMix(0.5, 1.0, probability=0.5))
    ),
    "wren_fast": Recipe(
        "the Wren family: accuracy at the int8 latency of MLPerf Tiny's ResNet-8", _long(_WREN_FAST, strong=False)
    ),
    "wren_30k_distilled": Recipe("wren_30k distilled from wren_100k, whose logits are kept", _WREN_30K_DISTILLED),
    **VARIANTS,
}
