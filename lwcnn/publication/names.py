"""Plain names of experiments, data sets and budgets; code names appear in commands, captions and result files."""

from collections.abc import Iterable

from lwcnn.experiments.recipes.ablation import PARTS_EXPERIMENTS
from lwcnn.experiments.recipes.family import VARIANTS
from lwcnn.experiments.recipes.techniques import TECHNIQUE_EXPERIMENTS

HEADLINE = "wren_30k"
"""The most accurate network of fewer than 30,000 parameters."""

_NAMES = {
    "paper": "paper's method",
    "paper_batch64": "paper's method, batch 64",
    "paper_as_published": "paper's code",
    "paper_both_converted": "paper's code, both converted",
    "single": "one branch",
    "dual_no_augment": "no augmentation",
    "no_unfreezing": "no unfreezing",
    "layerwise": "layer by layer",
    "low_rate": "last phase at 1e-4",
    "head_only": "head only",
    "reinit_merge": "random 1×1 weights",
    "nadam_throughout": "Nadam throughout",
    "end_to_end": "no stage 1",
    "paper_tuned": "paper's network, tuned",
    "paper_tuned_one_go": "paper's network, tuned, one stage",
    "residual_se": "Wren-AdamW",
    "residual_se_small": "Wren-S",
    "residual_se_small_distilled": "Wren-S, distilled",
    "residual_se_distilled": "Wren-distilled",
    "residual_se_stem_adamw": "Wren, trained by AdamW",
    "residual_se_muon": "Wren",
    "wren_5k": "Wren-5k",
    "wren_10k": "Wren-10k",
    "wren_15k": "Wren-15k",
    "wren_20k": "Wren-20k",
    "wren_30k": "Wren-30k",
    "wren_100k": "Wren-100k",
    "wren_30k_light": "Wren-30k, flips and crops alone",
    "wren_30k_mixup": "Wren-30k, MixUp",
    "residual_plain": "Wren-AdamW, full convolutions",
    "residual_cbam": "Wren-AdamW, pixel attention",
    "repo_baseline": "reproduction's network",
    "repo_baseline_frozen": "reproduction's network, frozen",
    "repo_residual_se": "extension's network",
    "resnet8": "ResNet-8",
    "resnet18": "ResNet-18",
    "se_resnet": "SE-ResNet [4,4,3]",
    "resnet_4443": "ResNet [4,4,4,3]",
    "resnet_4443_twice": "ResNet [4,4,4,3], two rounds",
    "narrow_resnet18": "narrow ResNet-18",
    "narrow_resnet18_cold": "narrow ResNet-18, no warm-up",
    "narrow_resnet18_adam": "narrow ResNet-18, Adam",
    "narrow_resnet18_adamw": "narrow ResNet-18, AdamW",
    "se_resnet_plain": "SE-ResNet without SE",
    "narrow_resnet18_few": "narrow ResNet-18, few images",
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v2_momentum": "MobileNetV2, other momentum",
    "efficientnet_b0": "EfficientNet-B0",
}
_PRESETS = {"full": "full budget", "medium": "medium budget", "quick": "quick budget", "smoke": "smoke test"}


def display_name(experiment: str) -> str:
    """Returns the plain name of an experiment; a name without one loses its underscores."""
    name, _, epochs = experiment.partition("-epochs")  # of `with_settings`
    shown = _NAMES.get(name, name.replace("_", " "))
    return f"{shown}, {epochs} epochs" if epochs else shown


def named(experiment: str) -> str:
    """Returns the plain name and, for commands and result files, the code name: "Wren (`residual_se_muon`)"."""
    return f"{display_name(experiment)} (`{experiment}`)"


def budget(preset: str) -> str:
    """Returns the plain name of a preset."""
    return _PRESETS.get(preset, preset)


def is_part(experiment: str) -> bool:
    """Returns whether an experiment is a variant of another, of parts or techniques, which have their own tables."""
    return experiment in PARTS_EXPERIMENTS | TECHNIQUE_EXPERIMENTS | VARIANTS


def seed_names(seeds: Iterable[int]) -> str:
    """Returns "seed 1", "seeds 0–2" or "seeds 0, 2"."""
    numbers = sorted(seeds)
    if len(numbers) == 1:
        return f"seed {numbers[0]}"
    if numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"seeds {numbers[0]}–{numbers[-1]}"
    return f"seeds {', '.join(map(str, numbers))}"
