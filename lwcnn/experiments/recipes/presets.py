"""Shared by the recipes: training lengths, and an augmentation that depends on the properties of the images."""

from dataclasses import dataclass

from lwcnn.data.augment import Augmentation
from lwcnn.data.known import ImageSpec
from lwcnn.system.errors import require_known

CROP_SHARE = 1 / 8  # fraction of the shorter side: 4 of 32 pixels, as usual on CIFAR-10


@dataclass(frozen=True)
class Preset:
    """Training length of every experiment, in (maximum) numbers of epochs."""

    name: str
    dual: int  # stage 1 of the paper's method
    head: int  # its phase that trains the head
    all: int  # its last phase, which trains all layers
    batch_size: int  # images per step where the paper does not state it; 32 in the author's code
    tuned_dual: int  # stage 1 of `paper_tuned`
    tuned: int  # stage 2 of `paper_tuned`
    fold: int  # a fold of the leaky K-fold
    network: int  # single networks
    repo: tuple[int, ...]  # the reproduction: each submodel, then each unfreezing step
    num_images: int | None = None  # maximum number of training images, drawn by class; None takes all

    def epochs_of_original(self, full: int, medium: int | None = None) -> int:
        """Returns the epochs for an original recipe: `full` or `medium` (hours on a CPU) at that preset, else fewer."""
        return {"full": full, "smoke": 2, "medium": medium or self.network}.get(self.name, self.network)


PRESETS = {
    "smoke": Preset(
        "smoke", dual=1, head=1, all=1, batch_size=64, tuned_dual=1, tuned=2, fold=1, network=1,
        repo=(2, 1, 1, 1, 1), num_images=600,
    ),
    "quick": Preset(
        "quick", dual=8, head=4, all=5, batch_size=64, tuned_dual=4, tuned=17, fold=2, network=15,
        repo=(12, 2, 2, 2, 4),
    ),
    # An hour or two on two CPU cores, for networks whose own recipes take 70 to 250 epochs.
    "medium": Preset(
        "medium", dual=14, head=10, all=20, batch_size=32, tuned_dual=8, tuned=30, fold=5, network=30,
        repo=(20, 3, 3, 3, 6),
    ),
    # dual and all: the author's notebook; head: paper; repo: the reproduction's notebook
    "full": Preset(
        "full", dual=20, head=20, all=50, batch_size=32, tuned_dual=15, tuned=60, fold=10, network=60,
        repo=(30, 5, 5, 5, 10),
    ),
}  # fmt: skip


def get_preset(name: str) -> Preset:
    require_known("preset", name, PRESETS)
    return PRESETS[name]


def augmentation(images: ImageSpec, crop_share: float = CROP_SHARE) -> Augmentation:
    """Returns flips and shifted crops; for gray images that must not be mirrored, small rotations, zooms and shifts.

    Crops are padded by a fraction of the shorter side, half of it for gray images, which are usually centered.
    """
    if images.is_gray and not images.mirror:
        return Augmentation(rotation=0.03, zoom=0.1, translation=0.08, fill="constant")
    share = crop_share / 2 if images.is_gray else crop_share
    padding = max(1, round(share * min(images.shape[:2])))
    return Augmentation(horizontal_flip=images.mirror, crop_padding=padding)
