"""Wren (`residual_se_muon`) and its relatives: residual networks with squeeze-and-excitation.

They have under 30,000 parameters on color images; Wren and Wren-AdamW have under 15,000 on gray ones. `family.py` has
Wren-30k.

One phase of AdamW (or Muon) with warm-up, cosine decay and a moving average of the weights trains the whole network.
Expected accuracies: docs/results.md. Command: `lwcnn train residual_se_muon --dataset cifar10 --preset full`.
"""

from dataclasses import replace

from lwcnn.experiments.recipes.types import Recipe, Teacher, distilled, in_one_phase
from lwcnn.models.configs import ResidualSEConfig, Stage
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Distillation

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

residual_se_muon = in_one_phase(STEM_NETWORK, replace(AVERAGED, name="muon"), gray=TINY_NETWORK)

RESIDUAL_EXPERIMENTS: dict[str, Recipe] = {
    "residual_se": Recipe(
        "residual network with squeeze-and-excitation below 30,000 parameters (15,000 on gray images)",
        in_one_phase(NETWORK, WARMUP_COSINE, gray=TINY_NETWORK),
    ),
    "residual_se_small": Recipe(
        "residual network with squeeze-and-excitation below 20,000 parameters",
        in_one_phase(SMALL_NETWORK, WARMUP_COSINE),
    ),
    "residual_se_small_distilled": Recipe(
        "the same below 20,000 parameters, distilled from three networks below 30,000",
        distilled(in_one_phase(SMALL_NETWORK, WARMUP_COSINE), THREE_TEACHERS, DISTILLATION),
    ),
    "residual_se_distilled": Recipe(
        "five blocks at one resolution, distilled from three `residual_se`",
        distilled(in_one_phase(DEEP_NETWORK, AVERAGED, gray=TINY_NETWORK), THREE_TEACHERS, DISTILLATION),
    ),
    "residual_se_stem_adamw": Recipe(
        "Wren's control: the same network and schedule, with AdamW for every weight",
        in_one_phase(STEM_NETWORK, AVERAGED, gray=TINY_NETWORK),
    ),
    "residual_se_muon": Recipe(
        "Wren: five blocks at one resolution, with 1x1 convolutions trained by Muon", residual_se_muon
    ),
    "residual_plain": Recipe(
        "full 3x3 convolutions in place of depthwise blocks, with as many parameters",
        in_one_phase(PLAIN_NETWORK, WARMUP_COSINE),
    ),
    "residual_cbam": Recipe(
        "CBAM-lite (channel and spatial attention) in place of squeeze-and-excitation",
        in_one_phase(CBAM_NETWORK, WARMUP_COSINE),
    ),
}
