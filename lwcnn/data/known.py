"""Public data sets that can be loaded by name, and the image properties that recipes depend on."""

from dataclasses import dataclass

from lwcnn.system.errors import unknown_name

_DIGITS = tuple("0123456789")
_CAPITALS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
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
_CIFAR100_COARSE_CLASSES = """
aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices
household_furniture insects large_carnivores large_man-made_outdoor_things
large_natural_outdoor_scenes large_omnivores_and_herbivores medium_mammals non-insect_invertebrates
people reptiles small_mammals trees vehicles_1 vehicles_2
"""

CLASS_NAMES: dict[str, tuple[str, ...]] = {  # Tiny-ImageNet's are read from its files
    "mnist": _DIGITS,
    "fashion_mnist": (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot",
    ),
    "kmnist": ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    "emnist_balanced": (*_DIGITS, *_CAPITALS, *"abdefghnqrt"),
    "emnist_letters": _CAPITALS,
    "cifar10": (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"
    ),
    "cifar100": tuple(_CIFAR100_CLASSES.split()),
    "cifar100_coarse": tuple(_CIFAR100_COARSE_CLASSES.split()),
    "stl10": ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"),
    "svhn": _DIGITS,
    "digits": _DIGITS,
}  # fmt: skip
_GRAY, _COLOR = (28, 28, 1), (32, 32, 3)
INPUT_SHAPES: dict[str, tuple[int, int, int]] = {
    "mnist": _GRAY, "fashion_mnist": _GRAY, "kmnist": _GRAY, "emnist_balanced": _GRAY, "emnist_letters": _GRAY,
    "cifar10": _COLOR, "cifar100": _COLOR, "cifar100_coarse": _COLOR, "stl10": (96, 96, 3), "svhn": _COLOR,
    "tiny_imagenet": (64, 64, 3), "digits": _GRAY,
}  # fmt: skip
DATASET_NAMES = tuple(INPUT_SHAPES)
NUM_IMAGES: dict[str, tuple[int, int]] = {  # training, test
    "mnist": (60_000, 10_000), "fashion_mnist": (60_000, 10_000), "kmnist": (60_000, 10_000),
    "emnist_balanced": (112_800, 18_800), "emnist_letters": (124_800, 20_800),
    "cifar10": (50_000, 10_000), "cifar100": (50_000, 10_000), "cifar100_coarse": (50_000, 10_000),
    "stl10": (5_000, 8_000), "svhn": (73_257, 26_032), "tiny_imagenet": (100_000, 10_000), "digits": (1_438, 359),
}  # fmt: skip
# `Dataset.checksum` of the official images, whatever their order; that of others is unknown. CIFAR-100's was computed
# from a copy in PNG files (github.com/cyizhuo/CIFAR-100-dataset).
OFFICIAL_CHECKSUMS: dict[str, str] = {
    "mnist": "1593546d898e5c8175643075110ca478e213891e238e67b7e47e967967036e1c",
    "fashion_mnist": "8a109ab6ec049c5ea879928b470f1ed06784a2dcf102d6da7876b01c4498af41",
    "cifar10": "eb2d42bae17a16604a7138b4c536ad6c393ccb6c21595d4f9f67e425ae4a71da",
    "cifar100": "0a65bb581ec99493d7084f8e5f94ee93238d816cf45aa717a5ee5d727e785406",
    "cifar100_coarse": "bcef223a94b7260e9a90d31a6a4f4e1685a4f098cd4944084371664a0a184e6a",
    "digits": "710e7106e2dfba934509ec24478c999ba29af2f0fd85dada4405834b4caf0120",
}
# Whether a mirrored image still belongs to its class, which is not the case for digits and letters.
_MIRROR = {"fashion_mnist", "cifar10", "cifar100", "cifar100_coarse", "stl10", "tiny_imagenet"}


@dataclass(frozen=True)
class ImageSpec:
    """Image properties that a recipe may depend on, instead of a data set's name; shape is (height, width, channels).

    `mirror` says whether a mirrored image still belongs to its class.
    """

    shape: tuple[int, int, int]
    mirror: bool

    @property
    def is_gray(self) -> bool:
        """Whether images have one channel."""
        return self.shape[2] == 1


def image_spec(name: str) -> ImageSpec:
    """Returns the image properties of a public data set, one of `DATASET_NAMES`."""
    if name not in INPUT_SHAPES:
        raise unknown_name("dataset", name, DATASET_NAMES)
    return ImageSpec(INPUT_SHAPES[name], name in _MIRROR)
