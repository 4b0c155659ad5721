"""Techniques one at a time: the network and recipe of `residual_se_muon` with a single change each.

All train for the preset's `network_epochs`. Command:
`lwcnn train technique_eca --dataset cifar10 --preset quick --seeds 0 1 2`.
"""

from dataclasses import dataclass, replace
from typing import Any

from lwcnn.data.augment import ColorJitter, Cutout, Erasing, GaussianBlur, MixUpCutMix, RandAugment, Sharpness
from lwcnn.data.known import ImageSpec
from lwcnn.experiments.recipes.presets import Preset
from lwcnn.experiments.recipes.residual_se import (
    DISTILLATION,
    NO_WEIGHT_DECAY,
    PLAIN_NETWORK,
    WREN_100K,
    residual_se_muon,
)
from lwcnn.experiments.recipes.types import (
    Build,
    Experiment,
    NetworkExperiment,
    Recipe,
    SnapshotExperiment,
    Teacher,
    changed,
    distilled,
)
from lwcnn.models.configs import Stage


@dataclass(frozen=True)
class Technique:
    title: str  # in tables
    group: str  # of the settings that it changes
    changes: dict[str, Any]  # settings by path
    sides: tuple[int | None, ...] = (None,)  # of the images in each phase; phases are equally long
    kind: type[NetworkExperiment] = NetworkExperiment
    teacher: Teacher | None = None


def _techniques(group: str, prefix: str, **settings: tuple[str, dict[str, Any]]) -> dict[str, Technique]:
    """Returns techniques that change settings whose paths have the same prefix."""
    return {
        key: Technique(title, group, {f"{prefix}.{name}": value for name, value in changes.items()})
        for key, (title, changes) in settings.items()
    }


_UNDECAYED = {"phases.0.optimizer.no_weight_decay": (*NO_WEIGHT_DECAY, "alpha")}  # slopes and mixing weights

TECHNIQUES: dict[str, Technique] = {
    **_techniques(
        "augmentation",
        "phases.0.augmentation",
        cutout=("Cutout, 8 pixels", {"cutout": Cutout(8)}),
        erasing=("random erasing", {"erasing": Erasing(0.25)}),
        rand_augment=("RandAugment (2, 9)", {"rand_augment": RandAugment(2, 9)}),
        trivial_augment=("TrivialAugment", {"policy": "trivial_augment"}),
        auto_augment=("AutoAugment", {"policy": "auto_augment"}),
        color_jitter=("color jitter 0.2", {"color_jitter": ColorJitter(0.2, 0.2, 0.2, 0.05)}),
        sharpness=("sharpness", {"sharpness": Sharpness(0.5)}),
        blur=("Gaussian blur", {"blur": GaussianBlur(0.25)}),
    ),
    **_techniques(
        "augmentation",
        "phases.0",
        mixup=("MixUp 0.2", {"mixing": MixUpCutMix(0.2, 0.0)}),
        cutmix=("CutMix 1.0", {"mixing": MixUpCutMix(0.0, 1.0)}),
    ),
    **_techniques(
        "regularization",
        "phases.0",
        smoothing=("label smoothing 0.1", {"label_smoothing": 0.1}),
        dropout=("dropout 0.4 to 0.2", {"dropout": (0.4, 0.2)}),
        batch_64=("batches of 64", {"batch_size": 64}),
    ),
    **_techniques(
        "regularization",
        "phases.0.optimizer",
        weight_decay=("twice the weight decay", {"weight_decay": 0.1}),
        no_ema=("no moving average", {"ema": None, "ema_batch_norm": False}),
    ),
    **_techniques(
        "regularization",
        "network",
        stochastic_depth=("stochastic depth 0.1", {"drop_rate": 0.1}),
        feature_noise=("feature noise of 0.1", {"feature_noise": 0.1}),
    ),
    **_techniques(
        "optimizer",
        "phases.0.optimizer",
        adamw=("AdamW for every weight", {"name": "adamw"}),
        nadam=("Nadam", {"name": "nadam"}),
        sgd=(
            "SGD, Nesterov momentum",
            {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-3},
        ),
        lion=("Lion, a tenth of the rate", {"name": "lion", "learning_rate": 0.002, "weight_decay": 0.5}),
        muon_adamw=("AdamW's rate 0.3 of Muon's", {"adam_ratio": 0.3}),
        muon_fixed_norm=("kernels of fixed norm", {"fixed_norm": True}),
        lookahead=("Lookahead, 5 steps", {"lookahead": 5}),
        schedule_free=("schedule-free AdamW", {"name": "schedule_free", "learning_rate": 0.01, "warmup": None}),
    ),
    **_techniques(
        "schedule",
        "phases.0.optimizer",
        one_cycle=("one-cycle SGD", {"name": "one_cycle", "learning_rate": 0.1, "weight_decay": 5e-3}),
        constant_rate=("constant learning rate", {"learning_rate": 0.005, "warmup": None}),
        step_decay=("rate / 10, twice", {"learning_rate": 0.01, "warmup": None, "drops": (0.5, 0.75)}),
    ),
    "warm_restarts": Technique("warm restarts, 3 cycles", "schedule", {}, (None,) * 3),
    "cyclical": Technique("cyclical rate, 3 cycles", "schedule", {"phases.0.optimizer.warmup": 0.5}, (None,) * 3),
    "resizing": Technique("resizing: 16, 24, 32", "schedule", {}, (16, 24, None)),
    "snapshots": Technique("snapshot ensemble", "schedule", {}, (None,) * 3, SnapshotExperiment),
    "distilled": Technique("distilled from Wren-100k", "distillation", {}, teacher=WREN_100K),
    **_techniques(
        "block",
        "network",
        no_attention=("no SE", {"se_reduction": None}),
        no_shortcuts=("no shortcuts", {"residual": False}),
        eca=("ECA in place of SE", {"attention": "eca"}),
        gelu=("GELU", {"activation": "gelu"}),
        relu=("ReLU", {"activation": "relu"}),
        glu=("gated expansion, ECA", {"stages.*.expansion": 1.25, "block": "glu", "attention": "eca"}),
        cbam=("CBAM-lite", {"block": "cbam"}),
        plain=("full convolutions", {"block": "plain", "stem": PLAIN_NETWORK.stem, "stages": PLAIN_NETWORK.stages}),
        branches=("parallel kernels", {"branch_kernels": (1, 3)}),
        average_pooling=("average pooling", {"pooling": "average"}),
        resolution=(
            "full resolution, ECA",
            {"stem": 24, "attention": "eca", "stem_pooling": False, "stages": (Stage(24, 2), Stage(40, 3, 5, 1.6))},
        ),
    ),
    "prelu": Technique("PReLU", "block", {"network.activation": "prelu"} | _UNDECAYED),
    "hybrid_pooling": Technique(
        "average-max pooling", "block", {"network.pooling": "hybrid", "network.head_pooling": "hybrid"} | _UNDECAYED
    ),
}
"""Changes of the recipe by key; the experiment of a key is named `technique_<key>`."""

BASE = "residual_se_muon"


def technique(key: str) -> str:
    return f"technique_{key}"


def _build(one: Technique) -> Build:
    def build(preset: Preset, images: ImageSpec) -> Experiment:
        plan = changed(residual_se_muon(preset, images), one.changes)
        if len(one.sides) > 1:
            cycle = replace(plan.phases[0], epochs=max(1, plan.phases[0].epochs // len(one.sides)))
            sides = enumerate(one.sides, start=1)
            plan = replace(plan, phases=tuple(replace(cycle, name=f"cycle_{i}", image_side=side) for i, side in sides))
        return one.kind(**vars(plan))

    return distilled(build, one.teacher, DISTILLATION) if one.teacher else build


TECHNIQUE_EXPERIMENTS: dict[str, Recipe] = {
    technique(key): Recipe(f"technique: {one.title}", _build(one)) for key, one in TECHNIQUES.items()
}

TITLES = {technique(key): one.title for key, one in TECHNIQUES.items()} | {
    "technique_sam": "SAM, radius 0.05",
    "technique_swa": "SWA, last quarter",
}
"""Titles in tables by experiment. benchmarks/flat_minima.py trains the last two, which no recipe has."""
