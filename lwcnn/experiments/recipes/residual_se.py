"""Wren (`residual_se_muon`) and its relatives: residual networks with squeeze-and-excitation.

They have under 30,000 parameters on color images; Wren and Wren-AdamW have under 15,000 on gray ones. `family.py` has
Wren-30k.

One phase of AdamW (or Muon) with warm-up, cosine decay and a moving average of the weights trains the whole network.
Expected accuracies: docs/results.md. Command: `lwcnn train residual_se_muon --dataset cifar10 --preset full`.
"""

from collections.abc import Callable
from dataclasses import replace

from lwcnn.data.known import ImageSpec
from lwcnn.experiments.recipes.presets import Preset, augmentation
from lwcnn.experiments.recipes.types import DistilledExperiment, NetworkExperiment, Recipes, Teacher
from lwcnn.models.configs import NetworkConfig, ResidualSEConfig, Stage
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Distillation, Phase

NO_WEIGHT_DECAY = ("bias", "gamma", "beta")
WARMUP_COSINE = OptimizerConfig(
    "adamw", 0.02, weight_decay=0.05, warmup=0.2, ema=0.998, no_weight_decay=NO_WEIGHT_DECAY
)
"""Selected on validation images by `lwcnn.experiments.search`, like the networks and zero label smoothing."""

AVERAGED = replace(WARMUP_COSINE, ema_batch_norm=True)  # the statistics of batch normalization too

NETWORK = ResidualSEConfig(stem=32, stages=(Stage(32, 2), Stage(40, 2)))  # 29,362 parameters on 32x32x3
SMALL_NETWORK = ResidualSEConfig(stem=24, stages=(Stage(24, 2), Stage(32, 2)))  # 18,976
TINY_NETWORK = ResidualSEConfig(stem=24, stages=(Stage(24, 2), Stage(32, 1)))  # 13,262 on 28x28x1
DEEP_NETWORK = ResidualSEConfig(stem=32, stages=(Stage(32, 5),))  # 27,892; best in the search with AdamW
STEM_NETWORK = ResidualSEConfig(stem=40, stages=(Stage(32, 5),))  # 29,556; best in the search, with Muon

# Other blocks with about the same number of parameters.
PLAIN_NETWORK = ResidualSEConfig(stem=32, stages=(Stage(20, 2, 3), Stage(32, 2, 3)), block="plain")  # 29,464
CBAM_NETWORK = replace(NETWORK, block="cbam")  # 29,758

DISTILLATION = Distillation(temperature=4, label_weight=0.1)
THREE_TEACHERS = Teacher("residual_se", "full", (0, 1, 2))
WREN_100K = Teacher("wren_100k", "full", (0,))

BuildNetwork = Callable[[Preset, ImageSpec], NetworkExperiment]


def train_network(
    network: NetworkConfig, optimizer: OptimizerConfig = WARMUP_COSINE, gray: NetworkConfig | None = None
) -> BuildNetwork:
    """Returns a function that builds an experiment of one phase; gray images get the network `gray`, if given."""

    def build(preset: Preset, images: ImageSpec) -> NetworkExperiment:
        phase = Phase("all", optimizer, preset.network, augmentation=augmentation(images), batch_size=128)
        return NetworkExperiment(network=gray if gray and images.is_gray else network, phases=(phase,))

    return build


def distilled(student: BuildNetwork, teacher: Teacher, distillation: Distillation = DISTILLATION) -> BuildNetwork:
    """Returns a function that builds a student's experiment; with the preset "smoke", the teacher's is "smoke" too."""

    def build(preset: Preset, images: ImageSpec) -> DistilledExperiment:
        taught_by = replace(teacher, preset="smoke") if preset.name == "smoke" else teacher
        return DistilledExperiment(**vars(student(preset, images)), teacher=taught_by, distillation=distillation)

    return build


residual_se_muon = train_network(STEM_NETWORK, replace(AVERAGED, name="muon"), gray=TINY_NETWORK)

RESIDUAL_EXPERIMENTS: Recipes = {
    "residual_se": (
        "residual network with squeeze-and-excitation below 30,000 parameters (15,000 on gray images)",
        train_network(NETWORK, gray=TINY_NETWORK),
    ),
    "residual_se_small": (
        "residual network with squeeze-and-excitation below 20,000 parameters",
        train_network(SMALL_NETWORK),
    ),
    "residual_se_small_distilled": (
        "the same below 20,000 parameters, distilled from three networks below 30,000",
        distilled(train_network(SMALL_NETWORK), THREE_TEACHERS),
    ),
    "residual_se_distilled": (
        "five blocks at one resolution, distilled from three `residual_se`",
        distilled(train_network(DEEP_NETWORK, AVERAGED, gray=TINY_NETWORK), THREE_TEACHERS),
    ),
    "residual_se_stem_adamw": (
        "Wren's control: the same network and schedule, with AdamW for every weight",
        train_network(STEM_NETWORK, AVERAGED, gray=TINY_NETWORK),
    ),
    "residual_se_muon": (
        "Wren: five blocks at one resolution, with 1x1 convolutions trained by Muon",
        residual_se_muon,
    ),
    "residual_plain": (
        "full 3x3 convolutions in place of depthwise blocks, with as many parameters",
        train_network(PLAIN_NETWORK),
    ),
    "residual_cbam": (
        "CBAM-lite (channel and spatial attention) in place of squeeze-and-excitation",
        train_network(CBAM_NETWORK),
    ),
}
