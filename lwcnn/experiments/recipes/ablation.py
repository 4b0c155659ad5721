"""Ablation of the improved model: each part added alone to the baseline, and removed from the full recipe.

The baseline is the small network without shortcuts and squeeze-and-excitation, trained by Adam at a constant learning
rate. The full recipe has all parts of the extension. Both train on flipped and cropped images.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from lwcnn.data.augment import MixUpCutMix
from lwcnn.experiments.recipes.residual_se import AVERAGED, SMALL_NETWORK, WARMUP_COSINE
from lwcnn.experiments.recipes.types import Build, Recipe, derived, in_one_phase
from lwcnn.training.optimizers import OptimizerConfig

BASELINE, WHOLE = "parts_baseline", "parts_whole"
_AVERAGE: dict[str, Any] = {"ema": AVERAGED.ema, "ema_batch_norm": AVERAGED.ema_batch_norm}
_WARMUP = WARMUP_COSINE.warmup


@dataclass(frozen=True)
class Part:
    title: str  # in tables, and in the claim about its gain (lwcnn/publication/claims/claims.toml)
    changes: dict[str, Any]  # settings that add it, by path


def _of_the_optimizer(settings: dict[str, Any]) -> dict[str, Any]:
    return {f"phases.0.optimizer.{name}": value for name, value in settings.items()}


PARTS = {
    "residual": Part("residual connections", {"network.residual": True}),
    "se": Part("squeeze-and-excitation", {"network.se_reduction": SMALL_NETWORK.se_reduction}),
    "mixing": Part("MixUp and CutMix", {"phases.0.mixing": MixUpCutMix(0.2, 1.0)}),
    "adamw": Part(
        "AdamW with warm-up and cosine",
        _of_the_optimizer({name: value for name, value in vars(WARMUP_COSINE).items() if name not in _AVERAGE}),
    ),
    "smoothing": Part(
        "label smoothing, dropout 0.4 to 0.2", {"phases.0.label_smoothing": 0.1, "phases.0.dropout": (0.4, 0.2)}
    ),
    "ema": Part("moving average of the weights", _of_the_optimizer(_AVERAGE)),
}

OPTIMIZERS = {
    "adam": replace(AVERAGED, name="adam", weight_decay=None, no_weight_decay=()),
    "rmsprop": OptimizerConfig("rmsprop", 0.002, warmup=_WARMUP, **_AVERAGE),
    "sgd": OptimizerConfig("sgd", 0.1, 0.9, True, weight_decay=5e-3, warmup=_WARMUP, **_AVERAGE),
}
"""Optimizers that replace AdamW in the full recipe, with the same warm-up, cosine decay and average."""


def only(part: str) -> str:
    return f"parts_only_{part}"


def leave_one_out(part: str) -> str:
    return f"parts_no_{part}"


_baseline = in_one_phase(replace(SMALL_NETWORK, residual=False, se_reduction=None), OptimizerConfig("adam", 0.001))


def _with(parts: Iterable[str]) -> Build:
    return derived(_baseline, {path: value for part in parts for path, value in PARTS[part].changes.items()})


PARTS_EXPERIMENTS: dict[str, Recipe] = {
    BASELINE: Recipe("the small network without any part of the extension", _baseline),
    WHOLE: Recipe("the small network with every part of the extension", _with(PARTS)),
}
for key, part in PARTS.items():
    rest = [other for other in PARTS if other != key]
    PARTS_EXPERIMENTS[only(key)] = Recipe(f"{part.title}, added to the baseline", _with([key]))
    PARTS_EXPERIMENTS[leave_one_out(key)] = Recipe(f"{part.title}, removed from the full recipe", _with(rest))
for key, optimizer in OPTIMIZERS.items():
    whole = derived(_with(PARTS), {"phases.0.optimizer": optimizer})
    PARTS_EXPERIMENTS[f"parts_{key}"] = Recipe(f"{optimizer.name} in place of AdamW in the full recipe", whole)
