"""The residual squeeze-and-excitation network: under 30,000 parameters on color images, 15,000 on gray ones.

One phase of AdamW (or Muon) with warm-up, cosine decay and a moving average of the weights trains the whole network.
Expected accuracies: docs/results.md. Command: `lwcnn train residual_se_muon --dataset cifar10 --preset full`.
"""

from collections.abc import Callable
from dataclasses import replace

from lwcnn.data.known import ImageSpec
from lwcnn.experiments.recipes.augmentation import augmentation
from lwcnn.experiments.recipes.presets import Preset
from lwcnn.experiments.recipes.types import Distillation, DistilledExperiment, NetworkExperiment, Teacher
from lwcnn.models.configs import ResidualSEConfig, Stage
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Phase

NO_WEIGHT_DECAY = ("bias", "gamma", "beta")
WARMUP_COSINE = OptimizerConfig(
    "adamw", 0.02, weight_decay=0.05, warmup=0.2, ema=0.998, no_weight_decay=NO_WEIGHT_DECAY
)
"""Selected on validation images by `lwcnn.experiments.search`, like the networks and zero label smoothing."""

DISTILLATION = Distillation(temperature=4, label_weight=0.1)

NETWORK = ResidualSEConfig(stem=32, stages=(Stage(32, 2), Stage(40, 2)))  # 29,362 parameters on 32x32x3
SMALL_NETWORK = ResidualSEConfig(stem=24, stages=(Stage(24, 2), Stage(32, 2)))  # 18,976
TINY_NETWORK = ResidualSEConfig(stem=24, stages=(Stage(24, 2), Stage(32, 1)))  # 13,262 on 28x28x1
DEEP_NETWORK = ResidualSEConfig(stem=32, stages=(Stage(32, 5),))  # 27,892; best in the search with AdamW
STEM_NETWORK = ResidualSEConfig(stem=40, stages=(Stage(32, 5),))  # 29,556; best in the search, with Muon

# Other blocks with about the same number of parameters.
PLAIN_NETWORK = ResidualSEConfig(stem=32, stages=(Stage(20, 2, 3), Stage(32, 2, 3)), block="plain")  # 29,464
CBAM_NETWORK = replace(NETWORK, block="cbam")  # 29,758


def _residual_se(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    phase = Phase("all", WARMUP_COSINE, preset.network, augmentation=augmentation(images), batch_size=128)
    return NetworkExperiment(
        name="residual_se",
        question="how far a residual SE network goes under 30,000 parameters, or 15,000 on gray images",
        network=TINY_NETWORK if images.is_gray else NETWORK,
        phases=(phase,),
    )


def _residual_se_small(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    question = "the same under 20,000 parameters"
    return replace(_residual_se(preset, images), name="residual_se_small", question=question, network=SMALL_NETWORK)


def _residual_plain(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    question = "the depthwise blocks: full 3x3 convolutions, at equal parameters"
    return replace(_residual_se(preset, images), name="residual_plain", question=question, network=PLAIN_NETWORK)


def _residual_cbam(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    question = "attention over pixels too: CBAM-lite in place of squeeze-and-excitation"
    return replace(_residual_se(preset, images), name="residual_cbam", question=question, network=CBAM_NETWORK)


def _with_averaged_statistics(plan: NetworkExperiment) -> NetworkExperiment:
    """Returns an experiment whose moving average includes the statistics of batch normalization."""
    (phase,) = plan.phases
    return replace(plan, phases=(replace(phase, optimizer=replace(phase.optimizer, ema_batch_norm=True)),))


def _distilled(plan: NetworkExperiment, preset: Preset, name: str, question: str) -> DistilledExperiment:
    """Returns an experiment with the network and phases of another, taught by three models of `residual_se`."""
    return DistilledExperiment(
        name=name,
        question=question,
        network=plan.network,
        phases=plan.phases,
        teacher=Teacher("residual_se", "smoke" if preset.name == "smoke" else "full", (0, 1, 2)),
        distillation=DISTILLATION,
    )


def _residual_se_small_distilled(preset: Preset, images: ImageSpec) -> DistilledExperiment:
    question = "the network under 20,000 parameters, taught by three of the network under 30,000"
    return _distilled(_residual_se_small(preset, images), preset, "residual_se_small_distilled", question)


def _residual_se_distilled(preset: Preset, images: ImageSpec) -> DistilledExperiment:
    plan = _with_averaged_statistics(_residual_se(preset, images))
    network = TINY_NETWORK if images.is_gray else DEEP_NETWORK
    question = "all that helped: five blocks at one resolution, averaged moments, taught by three residual_se"
    return _distilled(replace(plan, network=network), preset, "residual_se_distilled", question)


def _residual_se_stem_adamw(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    plan = _with_averaged_statistics(_residual_se(preset, images))
    network = TINY_NETWORK if images.is_gray else STEM_NETWORK
    question = "the control of residual_se_muon: its network and schedule, with AdamW for every weight"
    return replace(plan, name="residual_se_stem_adamw", question=question, network=network)


def residual_se_muon(preset: Preset, images: ImageSpec) -> NetworkExperiment:
    control = _residual_se_stem_adamw(preset, images)
    (phase,) = control.phases
    phase = replace(phase, optimizer=replace(phase.optimizer, name="muon"))
    question = "five blocks at one resolution under a wider stem, averaged moments, 1x1 convolutions trained by Muon"
    return replace(control, name="residual_se_muon", question=question, phases=(phase,))


RESIDUAL_EXPERIMENTS: dict[str, Callable[[Preset, ImageSpec], NetworkExperiment]] = {
    "residual_se": _residual_se,
    "residual_se_small": _residual_se_small,
    "residual_se_small_distilled": _residual_se_small_distilled,
    "residual_se_distilled": _residual_se_distilled,
    "residual_se_stem_adamw": _residual_se_stem_adamw,
    "residual_se_muon": residual_se_muon,
    "residual_plain": _residual_plain,
    "residual_cbam": _residual_cbam,
}
