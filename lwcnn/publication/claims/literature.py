"""What others report, for the figures that set our models beside them; every number with its source.

"r": recalled, not read in the source; "built": counted from the system's own code or layer table where its text says
something else.
"""

from dataclasses import dataclass

SEEDS, RECORD = "system to reproduce", "public record"


@dataclass(frozen=True)
class Published:
    """A published result.

    Attributes:
        name: short, for a label.
        dataset: ours, by name.
        accuracy: test accuracy, 0 to 1, as reported.
        kind: SEEDS or RECORD.
        source: where it stands, and what to know about it.
        params: parameters, moving statistics included where known.
        train_seconds: training time, on its author's two-core CPU.
        int8_bytes: size of the int8 file; `accuracy` is then that of the int8 model.
    """

    name: str
    dataset: str
    accuracy: float
    kind: str
    source: str
    params: int | None = None
    train_seconds: float | None = None
    int8_bytes: int | None = None


PUBLISHED = (
    Published("Isong 2025", "mnist", 0.99, RECORD, "arXiv 2501.15547, abstract", 14_862),
    Published("Isong 2025", "fashion_mnist", 0.89, RECORD, "arXiv 2501.15547, abstract", 14_862),
    Published("Isong 2025", "cifar10", 0.65, RECORD, "arXiv 2501.15547, abstract and our count", 19_622),
    Published("School of AI", "mnist", 0.995, RECORD, "The-School-of-AI, 8.9k parameters", 8_900),
    Published(
        "Zalando's list",
        "fashion_mnist",
        0.925,
        RECORD,
        "zalandoresearch/fashion-mnist: under 100k parameters",
        100_000,
    ),
    Published(
        "TinyVision 22k", "cifar10", 0.8738, RECORD, "SaptakBhoumik/TinyVision, one run, best test epoch", 22_110
    ),
    Published(
        "TinyVision 31k", "cifar10", 0.8843, RECORD, "SaptakBhoumik/TinyVision, one run, best test epoch", 31_150
    ),
    Published("ThriftyNet", "cifar10", 0.91, RECORD, "arXiv 2007.10106: over 91 % under 40k parameters", 40_000),
    Published("cifar10-tiniest", "cifar10", 0.944, RECORD, "xvel/cifar10-tiniest, mean of 5 runs", 97_530),
    Published("MLPerf ResNet-8", "cifar10", 0.8719, RECORD, "mlcommons/tiny: its own file, run here, 78k", 78_000),
    Published("BSConv-S 16", "cifar10", 0.8734, RECORD, "zeiss-microscopy/BSConv, wrn16_1_bsconvs_p1d4", 20_731),
    Published("BSConv-U 16", "cifar10", 0.8909, RECORD, "zeiss-microscopy/BSConv, wrn16_1_bsconvu", 28_246),
    Published("BSConv-S 28", "cifar10", 0.9022, RECORD, "zeiss-microscopy/BSConv, wrn28_1_bsconvs", 39_547),
    Published("BSConv-U 28", "cifar10", 0.9128, RECORD, "zeiss-microscopy/BSConv, wrn28_1_bsconvu", 53_744),
    Published("MobileNetECA-Rep", "cifar10", 0.9323, RECORD, "emphity1/tesi-laurea: recomputed, one seed", 76_602),
    Published("ResNet-20", "cifar10", 0.926, RECORD, "chenyaofo/pytorch-cifar-models, 0.27M parameters", 270_000),
    Published("SimpNet", "cifar10", 0.9325, RECORD, "Coderx7/SimpNet, 300k parameters", 300_000),
    Published(
        "MLPerf ResNet-8", "cifar10", 0.8697, RECORD, "mlcommons/tiny: its int8 file, run here", int8_bytes=98_496
    ),
    Published("µNAS", "cifar10", 0.865, RECORD, "arXiv 2010.14246: 11.4 kB (r)", int8_bytes=11_400),
    Published(
        "dual-model rerun",
        "cifar10",
        0.695,
        SEEDS,
        "Shazer-Nadeem/lightweight-cnn-cifar10: 69.5, 68.8 and 70.2 %; claimed 20k parameters, built 334,706; "
        "814 + 1,151 + 779 s",
        334_706,
        2_744,
    ),
    Published(
        "residual SE rerun",
        "cifar10",
        0.7825,
        SEEDS,
        "Shazer-Nadeem/Improved-lightweight-cnn-cifar10: 78.3 and 78.2 %; claimed under 30k, built 83,920; "
        "30 epochs of 89 s",
        83_920,
        2_670,
    ),
    Published(
        "SE-ResNet [4,4,3]",
        "cifar10",
        0.94,
        SEEDS,
        "Esteban-D-Lopez/DeepLearning-ResNet: parameters as claimed, on validation images",
        4_905_430,
    ),
    Published(
        "ResNet [4,4,4,3]",
        "cifar10",
        0.9465,
        SEEDS,
        "Hashmmath/DL-Project-1-LearningtooDeep-CIFAR-10-Classification, built",
        4_761_834,
    ),
    Published(
        "narrow ResNet-18",
        "cifar10",
        0.9553,
        SEEDS,
        "tanaya09/CS6953-Deep-Learning-Project, built; 250 epochs",
        2_802_410,
    ),
)


def published(dataset: str, quantity: str) -> list[Published]:
    """The published results on a data set that give a quantity: "params", "train_seconds" or "int8_bytes"."""
    return [one for one in PUBLISHED if one.dataset == dataset and getattr(one, quantity) is not None]


PAPER_ACCURACY = {one.dataset: one.accuracy for one in PUBLISHED if one.name == "Isong 2025"}
"""Test accuracy by data set in the abstract of arXiv 2501.15547."""
