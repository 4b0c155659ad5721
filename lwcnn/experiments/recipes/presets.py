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
    dual_epochs: int  # stage 1 of the paper's method
    head_epochs: int  # its phase that trains the head
    all_epochs: int  # its last phase, which trains all layers
    batch_size: int  # images per step where the paper does not state it; 32 in the author's code
    tuned_dual_epochs: int  # stage 1 of `paper_tuned`
    tuned_epochs: int  # stage 2 of `paper_tuned`
    fold_epochs: int  # a fold of the leaky K-fold
    network_epochs: int  # single networks
    repo_epochs: tuple[int, ...]  # the reproduction: each submodel, then each unfreezing step
    num_images: int | None = None  # maximum number of training images, drawn by class; None takes all

    def epochs_of_original(self, full: int, medium: int | None = None) -> int:
        """Returns the epochs for an original recipe: `full` or `medium` (hours on a CPU) at that preset, else fewer."""
        others = {"full": full, "smoke": 2, "medium": medium or self.network_epochs}
        return others.get(self.name, self.network_epochs)


PRESETS = {
    "smoke": Preset(
        "smoke", dual_epochs=1, head_epochs=1, all_epochs=1, batch_size=64, tuned_dual_epochs=1, tuned_epochs=2,
        fold_epochs=1, network_epochs=1, repo_epochs=(2, 1, 1, 1, 1), num_images=600,
    ),
    "quick": Preset(
        "quick", dual_epochs=8, head_epochs=4, all_epochs=5, batch_size=64, tuned_dual_epochs=4, tuned_epochs=17,
        fold_epochs=2, network_epochs=15, repo_epochs=(12, 2, 2, 2, 4),
    ),
    # An hour or two on two CPU cores, for networks whose own recipes take 70 to 250 epochs.
    "medium": Preset(
        "medium", dual_epochs=14, head_epochs=10, all_epochs=20, batch_size=32, tuned_dual_epochs=8, tuned_epochs=30,
        fold_epochs=5, network_epochs=30, repo_epochs=(20, 3, 3, 3, 6),
    ),
    # dual and all: the author's notebook; head: paper; repo: the reproduction's notebook
    "full": Preset(
        "full", dual_epochs=20, head_epochs=20, all_epochs=50, batch_size=32, tuned_dual_epochs=15, tuned_epochs=60,
        fold_epochs=10, network_epochs=60, repo_epochs=(30, 5, 5, 5, 10),
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
