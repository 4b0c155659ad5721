"""What others report, for the figures that set our models beside them; every number with its source.

"built" marks what was counted from the system's own code or layer table where its text says something else.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A published result.

    Attributes:
        name: Short, for a label.
        dataset: Name of one of our data sets.
        accuracy: Test accuracy, 0 to 1, as reported.
        is_system: Whether it is one of the systems to reproduce.
        source: Where it stands, and what to know about it.
        params: Number of parameters, moving statistics included where known.
    """

    name: str
    dataset: str
    accuracy: float
    is_system: bool
    source: str
    params: int


PUBLISHED = (
    Published("paper, as reported", "mnist", 0.99, False, "arXiv 2501.15547, abstract", 14_862),
    Published("paper, as reported", "fashion_mnist", 0.89, False, "arXiv 2501.15547, abstract", 14_862),
    Published("paper, as reported", "cifar10", 0.65, False, "arXiv 2501.15547, abstract and our count", 19_622),
    Published("School of AI", "mnist", 0.995, False, "The-School-of-AI, 8.9k parameters", 8_900),
    Published(
        "Zalando's list",
        "fashion_mnist",
        0.925,
        False,
        "zalandoresearch/fashion-mnist: under 100k parameters",
        100_000,
    ),
    Published("TinyVision 22k", "cifar10", 0.8738, False, "SaptakBhoumik/TinyVision, one run, best test epoch", 22_110),
    Published("TinyVision 31k", "cifar10", 0.8843, False, "SaptakBhoumik/TinyVision, one run, best test epoch", 31_150),
    Published("ThriftyNet", "cifar10", 0.91, False, "arXiv 2007.10106: over 91 % under 40k parameters", 40_000),
    Published("cifar10-tiniest", "cifar10", 0.944, False, "xvel/cifar10-tiniest, mean of 5 runs", 97_530),
    Published("MLPerf ResNet-8", "cifar10", 0.8719, False, "mlcommons/tiny: its own file, run here, 78k", 78_000),
    Published("BSConv-S 16", "cifar10", 0.8734, False, "zeiss-microscopy/BSConv, wrn16_1_bsconvs_p1d4", 20_731),
    Published("BSConv-U 16", "cifar10", 0.8909, False, "zeiss-microscopy/BSConv, wrn16_1_bsconvu", 28_246),
    Published("BSConv-S 28", "cifar10", 0.9022, False, "zeiss-microscopy/BSConv, wrn28_1_bsconvs", 39_547),
    Published("BSConv-U 28", "cifar10", 0.9128, False, "zeiss-microscopy/BSConv, wrn28_1_bsconvu", 53_744),
    Published("MobileNetECA-Rep", "cifar10", 0.9323, False, "emphity1/tesi-laurea: recomputed, one seed", 76_602),
    Published("ResNet-20", "cifar10", 0.926, False, "chenyaofo/pytorch-cifar-models, 0.27M parameters", 270_000),
    Published("SimpNet", "cifar10", 0.9325, False, "Coderx7/SimpNet, 300k parameters", 300_000),
    Published(
        "reproduction, as reported",
        "cifar10",
        0.695,
        True,
        "Shazer-Nadeem/lightweight-cnn-cifar10: 69.5, 68.8 and 70.2 %; claimed 20k parameters, built 334,706; "
        "814 + 1,151 + 779 s",
        334_706,
    ),
    Published(
        "extension, as reported",
        "cifar10",
        0.7825,
        True,
        "Shazer-Nadeem/Improved-lightweight-cnn-cifar10: 78.3 and 78.2 %; claimed under 30k, built 83,920; "
        "30 epochs of 89 s",
        83_920,
    ),
    Published(
        "SE-ResNet [4,4,3]",
        "cifar10",
        0.94,
        True,
        "Esteban-D-Lopez/DeepLearning-ResNet: parameters as claimed, on validation images",
        4_905_430,
    ),
    Published(
        "ResNet [4,4,4,3]",
        "cifar10",
        0.9465,
        True,
        "Hashmmath/DL-Project-1-LearningtooDeep-CIFAR-10-Classification, built",
        4_761_834,
    ),
    Published(
        "narrow ResNet-18",
        "cifar10",
        0.9553,
        True,
        "tanaya09/CS6953-Deep-Learning-Project, built; 250 epochs",
        2_802_410,
    ),
)


def published(dataset: str) -> list[Published]:
    """Returns the published results on a data set."""
    return [one for one in PUBLISHED if one.dataset == dataset]


PAPER_ACCURACY = {one.dataset: one.accuracy for one in PUBLISHED if one.name == "paper, as reported"}
"""Test accuracy by data set in the abstract of arXiv 2501.15547."""

MLPERF_TINY = {
    "float accuracy": 87.19,
    "int8 accuracy": 86.97,
    "bytes": 98_496,
    "ECE": 3.6,
    "ms": 0.039,
    "our int8 accuracy": 89.28,
    "our ms": 0.089,
}
"""MLPerf Tiny's own ResNet-8 files (mlcommons/tiny), run here on the whole CIFAR-10 test set: accuracy and ECE in
percent, and median latency on one thread in the same run as that of our best network."""
