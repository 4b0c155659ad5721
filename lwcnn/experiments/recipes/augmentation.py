"""The augmentation that our recipes share, chosen by what is known of the images."""

from lwcnn.data.augment import Augmentation
from lwcnn.data.known import ImageSpec

CROP_SHARE = 1 / 8  # fraction of the shorter side: 4 of 32 pixels, as usual on CIFAR-10


def augmentation(images: ImageSpec, crop_share: float = CROP_SHARE) -> Augmentation:
    """Returns flips and shifted crops; for gray images that must not be mirrored, small rotations, zooms and shifts.

    Crops are padded by a fraction of the shorter side, half of it for gray images, which are usually centered.
    """
    if images.is_gray and not images.mirror:
        return Augmentation(rotation=0.03, zoom=0.1, translation=0.08, fill="constant")
    share = crop_share / 2 if images.is_gray else crop_share
    padding = max(1, round(share * min(images.shape[:2])))
    return Augmentation(horizontal_flip=images.mirror, crop_padding=padding)
