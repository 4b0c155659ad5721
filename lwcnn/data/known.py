"""Public data sets that can be loaded by name, and the image properties that recipes depend on."""

from dataclasses import dataclass

from lwcnn.system.errors import unknown_name

DATASET_NAMES: tuple[str, ...] = ("mnist", "fashion_mnist", "cifar10", "cifar100", "digits")

_CIFAR100_CLASSES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray
road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
wardrobe whale willow_tree wolf woman worm
"""
_DIGITS = tuple("0123456789")

CLASS_NAMES: dict[str, tuple[str, ...]] = {
    "mnist": _DIGITS,
    "fashion_mnist": (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot",
    ),
    "cifar10": (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"
    ),
    "cifar100": tuple(_CIFAR100_CLASSES.split()),
    "digits": _DIGITS,
}  # fmt: skip
INPUT_SHAPES: dict[str, tuple[int, int, int]] = {
    "mnist": (28, 28, 1),
    "fashion_mnist": (28, 28, 1),
    "cifar10": (32, 32, 3),
    "cifar100": (32, 32, 3),
    "digits": (28, 28, 1),
}
NUM_IMAGES: dict[str, tuple[int, int]] = {  # training, test
    "mnist": (60_000, 10_000),
    "fashion_mnist": (60_000, 10_000),
    "cifar10": (50_000, 10_000),
    "cifar100": (50_000, 10_000),
    "digits": (1_438, 359),
}
# `Dataset.checksum` of the official images; CIFAR-100's is unknown.
OFFICIAL_CHECKSUMS: dict[str, str] = {
    "mnist": "1593546d898e5c8175643075110ca478e213891e238e67b7e47e967967036e1c",
    "fashion_mnist": "8a109ab6ec049c5ea879928b470f1ed06784a2dcf102d6da7876b01c4498af41",
    "cifar10": "eb2d42bae17a16604a7138b4c536ad6c393ccb6c21595d4f9f67e425ae4a71da",
    "digits": "710e7106e2dfba934509ec24478c999ba29af2f0fd85dada4405834b4caf0120",
}
# Whether a mirrored image still belongs to its class, which is not the case for digits.
_MAY_FLIP = {"mnist": False, "fashion_mnist": True, "cifar10": True, "cifar100": True, "digits": False}


@dataclass(frozen=True)
class ImageSpec:
    """Image properties that a training recipe may depend on, instead of a data set's name.

    Attributes:
        shape: Image shape (height, width, channels).
        mirror: Whether a mirrored image still belongs to its class.
    """

    shape: tuple[int, int, int]
    mirror: bool

    @property
    def is_gray(self) -> bool:
        """Whether images have one channel."""
        return self.shape[2] == 1


def image_spec(name: str) -> ImageSpec:
    """Returns the image properties of a public data set.

    Args:
        name: One of `DATASET_NAMES`.

    Raises:
        LwcnnError: If the name is unknown.
    """
    if name not in INPUT_SHAPES:
        raise unknown_name("dataset", name, DATASET_NAMES)
    return ImageSpec(INPUT_SHAPES[name], _MAY_FLIP[name])
