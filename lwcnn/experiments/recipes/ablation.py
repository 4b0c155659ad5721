"""Ablation of the improved model: each part added alone to the baseline, and left out of the whole.

The baseline is the small network without shortcuts and squeeze-and-excitation, trained by Adam at a constant learning
rate. The whole has all parts of the extension, with its values for MixUp, CutMix (alpha 0.2 and 1.0), label smoothing
(0.1) and dropout (0.4 to 0.2). Both train on flipped and cropped images for the preset's `network` epochs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from lwcnn.data.augment import MixUpCutMix
from lwcnn.data.known import ImageSpec
from lwcnn.experiments.recipes.augmentation import augmentation
from lwcnn.experiments.recipes.presets import Preset
from lwcnn.experiments.recipes.residual_se import SMALL_NETWORK, WARMUP_COSINE
from lwcnn.experiments.recipes.types import NetworkExperiment
from lwcnn.models.configs import ResidualSEConfig
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Phase

Recipe = tuple[ResidualSEConfig, Phase]
BASELINE_OPTIMIZER = OptimizerConfig("adam", 0.001)
AVERAGED = replace(WARMUP_COSINE, ema_batch_norm=True)
BASELINE, WHOLE = "parts_baseline", "parts_whole"


@dataclass(frozen=True)
class Part:
    """One part of the improved model.

    Attributes:
        title: Title in tables.
        claim: Gain that the extension claims for it, in percentage points; None if it claims none.
        add: Function that adds the part to a network and its phase.
    """

    title: str
    claim: str | None
    add: Callable[[ResidualSEConfig, Phase], Recipe]


def _averaged(optimizer: OptimizerConfig, like: OptimizerConfig) -> OptimizerConfig:
    """Returns the optimizer with the moving average settings of `like`."""
    return replace(optimizer, ema=like.ema, ema_batch_norm=like.ema_batch_norm)


PARTS = {
    "residual": Part(
        "residual connections", "+3 to +4", lambda network, phase: (replace(network, residual=True), phase)
    ),
    "se": Part(
        "squeeze-and-excitation",
        "about +2",
        lambda network, phase: (replace(network, se_reduction=SMALL_NETWORK.se_reduction), phase),
    ),
    "mixing": Part(
        "MixUp and CutMix",
        "+5 to +8",
        lambda network, phase: (network, replace(phase, mixing=MixUpCutMix(0.2, 1.0))),
    ),
    "adamw": Part(
        "AdamW with warm-up and cosine",
        "+2 to +3",
        lambda network, phase: (network, replace(phase, optimizer=_averaged(WARMUP_COSINE, phase.optimizer))),
    ),
    "smoothing": Part(
        "label smoothing, dropout 0.4 to 0.2",
        "+1 to +2",
        lambda network, phase: (network, replace(phase, label_smoothing=0.1, dropout=(0.4, 0.2))),
    ),
    "ema": Part(
        "moving average of the weights",
        None,
        lambda network, phase: (network, replace(phase, optimizer=_averaged(phase.optimizer, AVERAGED))),
    ),
}

OPTIMIZERS = {
    "adam": replace(AVERAGED, name="adam", weight_decay=None, no_weight_decay=()),
    "rmsprop": _averaged(OptimizerConfig("rmsprop", 0.002, warmup=WARMUP_COSINE.warmup), AVERAGED),
    "sgd": _averaged(OptimizerConfig("sgd", 0.1, 0.9, True, weight_decay=5e-3, warmup=WARMUP_COSINE.warmup), AVERAGED),
}
"""Optimizers that replace AdamW in the whole, with the same warm-up, cosine decay and average."""


def _maker(name: str, question: str, parts: tuple[str, ...], optimizer: OptimizerConfig | None = None) -> Callable:
    """Returns a function that builds the baseline with some parts."""

    def build(preset: Preset, images: ImageSpec) -> NetworkExperiment:
        network = replace(SMALL_NETWORK, residual=False, se_reduction=None)
        phase = Phase("all", BASELINE_OPTIMIZER, preset.network, augmentation=augmentation(images), batch_size=128)
        for part in parts:
            network, phase = PARTS[part].add(network, phase)
        phase = replace(phase, optimizer=optimizer or phase.optimizer)
        return NetworkExperiment(name=name, question=question, network=network, phases=(phase,))

    return build


def _all() -> dict[str, Callable[[Preset, ImageSpec], NetworkExperiment]]:
    every = tuple(PARTS)
    made = {
        BASELINE: _maker(BASELINE, "the small network without any part, for comparison", ()),
        WHOLE: _maker(WHOLE, "the small network with every part of the extension, for comparison", every),
    }
    for key, part in PARTS.items():
        alone, without = only(key), leave_one_out(key)
        rest = tuple(k for k in every if k != key)
        made[alone] = _maker(alone, f"{part.title}, alone on the baseline", (key,))
        made[without] = _maker(without, f"{part.title}, left out of the whole", rest)
    for key, optimizer in OPTIMIZERS.items():
        name = f"parts_{key}"
        made[name] = _maker(name, f"{optimizer.name} in place of AdamW in the whole", every, optimizer)
    return made


def only(part: str) -> str:
    """Returns the name of the experiment that adds one part to the baseline."""
    return f"parts_only_{part}"


def leave_one_out(part: str) -> str:
    """The name of the experiment with every part but one."""
    return f"parts_no_{part}"


PARTS_EXPERIMENTS = _all()
