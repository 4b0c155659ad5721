"""What each technique is worth: the network and recipe of `residual_se_muon`, changed by one technique.

All train for the preset's `network` epochs, and each compares with `technique_base`. Command:
`lwcnn train technique_base technique_eca --dataset cifar10 --preset quick --seeds 0 1 2`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from lwcnn.data.augment import (
    ColorJitter,
    Cutout,
    Erasing,
    GaussianBlur,
    MixUpCutMix,
    RandAugment,
    Sharpness,
)
from lwcnn.data.known import ImageSpec
from lwcnn.experiments.recipes.presets import Preset
from lwcnn.experiments.recipes.residual_se import residual_se_muon
from lwcnn.experiments.recipes.types import NetworkExperiment, SnapshotExperiment
from lwcnn.models.configs import ResidualSEConfig, Stage
from lwcnn.training.phases import Phase

Recipe = tuple[ResidualSEConfig, Phase]


@dataclass(frozen=True)
class Technique:
    """One change of the recipe.

    Attributes:
        title: Title in tables.
        group: Group in tables, such as "augmentation".
        change: Function that applies it to a network and its phase.
        sides: Image side of each phase, or None. Phases have the same length, and a schedule and a moving average of
            their own.
        kind: Class of the experiment.
    """

    title: str
    group: str
    change: Callable[[ResidualSEConfig, Phase], Recipe]
    sides: tuple[int | None, ...] = (None,)
    kind: type[NetworkExperiment] = NetworkExperiment


def _augment(network: ResidualSEConfig, phase: Phase, **changes: Any) -> Recipe:
    assert phase.augmentation is not None
    return network, replace(phase, augmentation=replace(phase.augmentation, **changes))


def _optimize(network: ResidualSEConfig, phase: Phase, **changes: Any) -> Recipe:
    return network, replace(phase, optimizer=replace(phase.optimizer, **changes))


def _train(network: ResidualSEConfig, phase: Phase, **changes: Any) -> Recipe:
    return network, replace(phase, **changes)


def _build(network: ResidualSEConfig, phase: Phase, expansion: float | None = None, **changes: Any) -> Recipe:
    stages = tuple(replace(stage, expansion=expansion or stage.expansion) for stage in network.stages)
    return replace(network, **{"stages": stages, **changes}), phase


def _build_undecayed(network: ResidualSEConfig, phase: Phase, **changes: Any) -> Recipe:
    """Changes the network; its weights of the name "alpha", slopes and shares, have no weight decay."""
    names = (*phase.optimizer.no_weight_decay, "alpha")
    return _optimize(*_build(network, phase, **changes), no_weight_decay=names)


def _decay_twice(network: ResidualSEConfig, phase: Phase) -> Recipe:
    return _optimize(network, phase, weight_decay=2 * (phase.optimizer.weight_decay or 0))


def _techniques(group: str, change: Callable[..., Recipe], **settings: tuple[str, dict[str, Any]]) -> dict:
    return {key: Technique(title, group, partial(change, **changes)) for key, (title, changes) in settings.items()}


TECHNIQUES: dict[str, Technique] = {
    **_techniques(
        "augmentation",
        _augment,
        cutout=("Cutout, 8 pixels", {"cutout": Cutout(8)}),
        erasing=("random erasing", {"erasing": Erasing(0.25)}),
        rand_augment=("RandAugment, 2 operations of magnitude 9", {"rand_augment": RandAugment(2, 9)}),
        rand_augment_mild=("RandAugment, 1 operation of magnitude 5", {"rand_augment": RandAugment(1, 5)}),
        trivial_augment=("TrivialAugment", {"policy": "trivial_augment"}),
        auto_augment=("AutoAugment", {"policy": "auto_augment"}),
        color_jitter=("color jitter 0.2", {"color_jitter": ColorJitter(0.2, 0.2, 0.2, 0.05)}),
        sharpness=("sharpness", {"sharpness": Sharpness(0.5)}),
        blur=("Gaussian blur", {"blur": GaussianBlur(0.25)}),
        rotation=("rotation by 15 degrees", {"rotation": 15 / 360}),
    ),
    **_techniques(
        "augmentation",
        _train,
        no_augmentation=("no augmentation at all", {"augmentation": None}),
        mixup=("MixUp 0.2", {"mixing": MixUpCutMix(0.2, 0.0)}),
        mixup_ramp=("MixUp 0.5, ramped", {"mixing": MixUpCutMix(0.5, 0.0, ramp=1.0)}),
        cutmix=("CutMix 1.0", {"mixing": MixUpCutMix(0.0, 1.0)}),
        cutmix_half=("CutMix 1.0, half of the batches", {"mixing": MixUpCutMix(0.0, 1.0, probability=0.5)}),
    ),
    **_techniques(
        "regularization",
        _train,
        smoothing=("label smoothing 0.1", {"label_smoothing": 0.1}),
        dropout=("dropout 0.4 to 0.2", {"dropout": (0.4, 0.2)}),
        batch_64=("batches of 64", {"batch_size": 64}),
    ),
    "weight_decay": Technique("weight decay twice as strong", "regularization", _decay_twice),
    **_techniques(
        "regularization",
        _optimize,
        no_ema=("no moving average", {"ema": None, "ema_batch_norm": False}),
        ema_longer=("moving average 0.999", {"ema": 0.999}),
        no_ema_statistics=("statistics of batch norm not averaged", {"ema_batch_norm": False}),
    ),
    **_techniques(
        "regularization", _build, stochastic_depth=("stochastic depth 0.1", {"drop_rate": 0.1}),
        feature_noise=("noise of 0.1 on the features", {"feature_noise": 0.1}),
    ),
    **_techniques(
        "optimizer",
        _optimize,
        adamw=("AdamW for every weight", {"name": "adamw"}),
        nadam=("Nadam", {"name": "nadam"}),
        sgd=(
            "SGD with Nesterov momentum",
            {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-3},
        ),
        one_cycle=(
            "SGD, momentum in one cycle with the rate",
            {"name": "one_cycle", "learning_rate": 0.1, "weight_decay": 5e-3},
        ),
        lion=("Lion, a tenth of the rate", {"name": "lion", "learning_rate": 0.002, "weight_decay": 0.5}),
        muon_adamw=("AdamW's rate 0.3 of Muon's", {"adam_ratio": 0.3}),
        muon_fixed_norm=("Muon's kernels of fixed norm", {"fixed_norm": True}),
        lookahead=("Lookahead, 5 steps", {"lookahead": 5}),
        schedule_free=(
            "schedule-free AdamW",
            {"name": "schedule_free", "learning_rate": 0.01, "warmup": None},
        ),
        constant_rate=("constant learning rate", {"learning_rate": 0.005, "warmup": None}),
        warmup_short=("warm-up over a twentieth", {"warmup": 0.05}),
    ),
    "warm_restarts": Technique("warm restarts, 3 cycles", "schedule", _train, (None,) * 3),
    "resizing": Technique("images of 16, 24 and 32 pixels, a cycle each", "schedule", _train, (16, 24, None)),
    "snapshots": Technique(
        "ensemble of the networks after 3 cycles", "schedule", _train, (None,) * 3, SnapshotExperiment
    ),
    **_techniques(
        "block",
        _build,
        eca=("ECA for SE", {"attention": "eca"}),
        eca_wide=("ECA for SE, stem 48", {"attention": "eca", "stem": 48}),
        no_attention=("no attention", {"se_reduction": None}),
        no_residual=("no shortcuts", {"residual": False}),
        gelu=("GELU", {"activation": "gelu"}),
        relu=("ReLU", {"activation": "relu"}),
        silu=("SiLU", {"activation": "silu"}),
        glu=("gated expansion, ECA", {"expansion": 1.25, "block": "glu", "attention": "eca"}),
        cbam=("CBAM-lite", {"block": "cbam"}),
        plain=("full convolutions", {"stem": 32, "stages": (Stage(20, 2, 3), Stage(32, 2, 3)), "block": "plain"}),
        branches=("parallel depthwise kernels 1x1, 3x3", {"branch_kernels": (1, 3)}),
        average_pooling=("average pooling", {"pooling": "average"}),
        resolution=(
            "two blocks at full resolution, ECA",
            {
                "stem": 24,
                "stages": (Stage(24, 2), Stage(40, 3, 5, 1.6)),
                "attention": "eca",
                "stem_pooling": False,
            },
        ),
        resolution_glu=(
            "three gated blocks at full resolution, ECA",
            {
                "stem": 24,
                "stages": (Stage(24, 3, 5, 1), Stage(40, 3, 5, 1)),
                "block": "glu",
                "attention": "eca",
                "stem_pooling": False,
            },
        ),
    ),
    **_techniques(
        "block",
        _build_undecayed,
        prelu=("PReLU", {"activation": "prelu"}),
        hybrid_pooling=("average-max pooling", {"pooling": "hybrid", "head_pooling": "hybrid"}),
    ),
}  # fmt: skip
"""Changes of the recipe by key; the experiment of a key is named `technique_<key>`."""

BASE = "technique_base"


def technique(key: str) -> str:
    """Returns the name of the experiment with one technique."""
    return f"technique_{key}"


def _base(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    question = "the recipe of residual_se_muon, for comparison with each technique"
    return replace(residual_se_muon(preset, images), name=BASE, question=question)


def _changed(key: str, preset: Preset, images: ImageSpec) -> NetworkExperiment:
    plan, changed = _base(preset, images), TECHNIQUES[key]
    assert isinstance(plan.network, ResidualSEConfig)
    network, phase = changed.change(plan.network, plan.phases[0])
    question = f"what a technique is worth: {changed.title}"
    phases: tuple[Phase, ...] = (phase,)
    if len(changed.sides) > 1:
        cycle = replace(phase, epochs=max(1, phase.epochs // len(changed.sides)))
        phases = tuple(
            replace(cycle, name=f"cycle_{i}", image_side=side) for i, side in enumerate(changed.sides, start=1)
        )
    fields = vars(plan) | {"name": technique(key), "question": question, "network": network, "phases": phases}
    return changed.kind(**fields)


TECHNIQUE_EXPERIMENTS: dict[str, Callable[[Preset, ImageSpec], NetworkExperiment]] = {
    BASE: _base,
    **{technique(key): partial(_changed, key) for key in TECHNIQUES},
}
