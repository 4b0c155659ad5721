"""MixUp and CutMix: each image of a batch is mixed with its neighbor, and its label with the neighbor's."""

from dataclasses import dataclass

import numpy as np

from lwcnn.data.augment.checks import check_amount, check_fraction, check_images, check_whole_number
from lwcnn.data.augment.draws import Purpose, random_bits, unit_interval
from lwcnn.system.errors import LwcnnError


@dataclass(frozen=True)
class MixUpCutMix:
    """Whether and how a batch is mixed; one draw holds for the whole batch.

    Args:
        mixup_alpha: 0 or more; MixUp's share of the image itself is Beta(alpha, alpha), 0 is no MixUp.
        cutmix_alpha: 0 or more; so is the share that CutMix leaves before the border cuts its box, 0 is no
            CutMix. With both above 0 a coin is tossed for each batch.
        probability: of mixing a batch, in [0, 1].
        ramp: share of the training over which the probability rises linearly from 0 to its full value, in
            [0, 1]: 0 keeps it constant, 1 reaches it at the end.

    Raises:
        LwcnnError: a value out of its range, or both alphas 0.

    Source: Zhang et al. 2017 (MixUp), Yun et al. 2019 (CutMix).
    """

    mixup_alpha: float = 0.2
    cutmix_alpha: float = 1.0
    probability: float = 1.0
    ramp: float = 0.0

    def __post_init__(self):
        check_amount("mixup_alpha", self.mixup_alpha)
        check_amount("cutmix_alpha", self.cutmix_alpha)
        check_fraction("probability", self.probability)
        check_fraction("ramp", self.ramp)
        if self.mixup_alpha == self.cutmix_alpha == 0:
            raise LwcnnError("Give mixup_alpha or cutmix_alpha above 0, or no mixing. Received: 0 for both")

    def probability_at(self, progress: float) -> float:
        """The probability of mixing a batch after this share of the training, in [0, 1]."""
        return self.probability * (min(1.0, progress / self.ramp) if self.ramp else 1.0)


@dataclass(frozen=True)
class Mix:
    """What is done to a batch.

    Args:
        share: of each image's own label, in [0, 1].
        box: (top, bottom, left, right) in pixels, pasted from the neighbor; None mixes all pixels by share.
    """

    share: float
    box: tuple[int, int, int, int] | None = None


def mix_batch(
    images: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    mixing: MixUpCutMix,
    seed: int,
    epoch: int,
    batch: int,
    progress: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a batch as mixing changes it, with soft labels, also where this batch is not mixed.

    An image's neighbor is the one before it, and the last for the first: batches are shuffled already, and a
    rolled batch mixes none with itself unless it is alone.

    Args:
        images: uint8, shape (n, height, width, channels), augmented already; left as it is.
        labels: whole numbers from 0 to num_classes - 1, shape (n,).
        num_classes: 1 or more.
        mixing: what may be done.
        seed, epoch, batch: 0 or more; the draw depends on these alone.
        progress: share of the training that is over, in [0, 1], for the ramp.

    Returns:
        (images, labels): uint8 of the shape of images, MixUp's rounded to the nearest level (in floats they
        would take four times the memory, and give the model two types of input, for less than half a level);
        float32 (n, num_classes), CutMix's the exact share of pixels.

    Raises:
        LwcnnError: arrays or numbers that do not fit.
    """
    check_images(images)
    check_whole_number("num_classes", num_classes, 1)
    check_fraction("progress", progress)
    is_integer = isinstance(labels, np.ndarray) and labels.dtype.kind in "iu" and labels.shape == images.shape[:1]
    if not is_integer or (labels.size and not 0 <= labels.min() <= labels.max() < num_classes):
        received = f"{labels.dtype} {labels.shape}" if isinstance(labels, np.ndarray) else type(labels)
        raise LwcnnError(
            f"Give a label from 0 to {num_classes - 1} for each of the {len(images)} images. Received: {received}"
        )
    height, width = images.shape[1:3]
    return apply_mix(images, labels, num_classes, draw_mix(mixing, height, width, seed, epoch, batch, progress))


def draw_mix(
    mixing: MixUpCutMix, height: int, width: int, seed: int, epoch: int, batch: int, progress: float = 1.0
) -> Mix | None:
    """Returns what is done to this batch of images of height x width pixels; None leaves it as it is."""
    draws = unit_interval(random_bits((int(Purpose.MIXING), seed, epoch, batch), 5))
    if draws[0] >= mixing.probability_at(progress):
        return None
    cuts = mixing.cutmix_alpha > 0 and (mixing.mixup_alpha == 0 or draws[1] < 0.5)
    alpha = mixing.cutmix_alpha if cuts else mixing.mixup_alpha
    # The inverse of the distribution function takes one number of Philox, whose output NumPy promises to keep,
    # which it does not of Generator.beta; between versions of SciPy it can differ in the last bits.
    from scipy.special import betaincinv  # here: it takes a fifth of a second, and names are listed without it

    share = float(betaincinv(alpha, alpha, draws[2]))
    if not cuts:
        return Mix(share)
    side = np.sqrt(1 - share)
    (top, bottom), (left, right) = (
        _interval(length, round(length * side), draw) for length, draw in ((height, draws[3]), (width, draws[4]))
    )
    return Mix(1 - (bottom - top) * (right - left) / (height * width), (top, bottom, left, right))


def apply_mix(
    images: np.ndarray, labels: np.ndarray, num_classes: int, mix: Mix | None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the batch and its soft labels as `mix_batch` does, for a draw that is known."""
    one_hot = np.zeros((len(labels), num_classes), np.float32)
    one_hot[np.arange(len(labels)), labels] = 1
    if mix is None:
        return images.copy(), one_hot
    share = np.float32(mix.share)
    soft = share * one_hot + (1 - share) * np.roll(one_hot, 1, axis=0)
    if mix.box is not None:
        top, bottom, left, right = mix.box
        mixed = images.copy()
        mixed[:, top:bottom, left:right] = np.roll(images[:, top:bottom, left:right], 1, axis=0)
        return mixed, soft
    own = images * share
    own += np.roll(images, 1, axis=0) * (1 - share)
    return np.rint(own, out=own).astype(np.uint8), soft


def _interval(length: int, size: int, draw: float) -> tuple[int, int]:
    """The first pixel and the one after the last of `size` around a uniform pixel, cut off at both ends."""
    start = int(length * draw) - size // 2
    return max(start, 0), min(start + size, length)
