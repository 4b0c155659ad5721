"""MixUp and CutMix: each image of a batch and its label are mixed with those of its neighbor."""

from dataclasses import dataclass

import numpy as np

from lwcnn.data.augment.draws import Purpose, random_bits, unit_interval
from lwcnn.system.errors import wrong
from lwcnn.system.settings import Amount, Fraction, Settings


@dataclass(frozen=True)
class MixUpCutMix(Settings):
    """MixUp and CutMix settings. Method, mixing ratio and box are random per batch.

    Args:
        mixup_alpha: Float of 0 or more. MixUp's ratio is drawn from Beta(alpha, alpha); 0 turns MixUp off.
        cutmix_alpha: Float of 0 or more. CutMix's ratio, before its box is clipped at the border, is drawn
            from Beta(alpha, alpha); 0 turns CutMix off. If both are on, each batch uses one of them with
            probability 1/2.
        probability: Float in [0, 1]. Probability of mixing a batch.
        ramp: Float in [0, 1]. Fraction of training over which the probability increases linearly from 0 to its
            full value: 0 keeps it constant, 1 reaches it at the end.

    Raises:
        LwcnnError: A value is out of range, or both alphas are 0.

    Examples:
        >>> mixing = lwcnn.augment.MixUpCutMix(mixup_alpha=0.2, cutmix_alpha=1.0, probability=0.5)

    Source: Zhang et al. 2017 (MixUp), Yun et al. 2019 (CutMix).
    """

    mixup_alpha: Amount = 0.2
    cutmix_alpha: Amount = 1.0
    probability: Fraction = 1.0
    ramp: Fraction = 0.0

    def __post_init__(self):
        super().__post_init__()
        if self.mixup_alpha == self.cutmix_alpha == 0:
            raise wrong("Give mixup_alpha or cutmix_alpha above 0, or turn mixing off", "0 for both")

    def probability_at(self, progress: float) -> float:
        """Returns the probability of mixing a batch at `progress`, the completed fraction of training."""
        return self.probability * (min(1.0, progress / self.ramp) if self.ramp else 1.0)


@dataclass(frozen=True)
class Mix:
    """Mixing of one batch: by CutMix if there is a box, otherwise by MixUp."""

    share: float  # weight of each image's own label, and with MixUp of its pixels
    box: tuple[int, int, int, int] | None = None  # (top, bottom, left, right), pasted from the neighbor


def draw_mix(
    mixing: MixUpCutMix, height: int, width: int, seed: int, epoch: int, batch: int, progress: float = 1.0
) -> Mix | None:
    """Returns the random mixing of a batch of images of height x width pixels; None if it is not mixed."""
    draws = unit_interval(random_bits((int(Purpose.MIXING), seed, epoch, batch), 5))
    if draws[0] >= mixing.probability_at(progress):
        return None
    cuts = mixing.cutmix_alpha > 0 and (mixing.mixup_alpha == 0 or draws[1] < 0.5)
    alpha = mixing.cutmix_alpha if cuts else mixing.mixup_alpha
    # Inverts the distribution function at one number from Philox: NumPy guarantees its output, but not that of
    # Generator.beta. Between versions of SciPy the last bits can differ.
    from scipy.special import betaincinv  # a slow import, which listing names does not need

    share = float(betaincinv(alpha, alpha, draws[2]))
    if not cuts:
        return Mix(share)
    side = np.sqrt(1 - share)
    (top, bottom), (left, right) = (
        _interval(length, round(length * side), draw) for length, draw in ((height, draws[3]), (width, draws[4]))
    )
    return Mix(1 - (bottom - top) * (right - left) / (height * width), (top, bottom, left, right))


def mix_images(images: np.ndarray, mix: Mix | None) -> np.ndarray:
    """Returns a batch of uint8 images, each mixed with the previous one; batches are already shuffled.

    MixUp's images are rounded to gray levels: floats would take four times the memory.
    """
    if mix is None:
        return images.copy()
    if mix.box is not None:
        top, bottom, left, right = mix.box
        mixed = images.copy()
        mixed[:, top:bottom, left:right] = np.roll(images[:, top:bottom, left:right], 1, axis=0)
        return mixed
    share = np.float32(mix.share)
    own = images * share
    own += np.roll(images, 1, axis=0) * (1 - share)
    return np.rint(own, out=own).astype(np.uint8)


def mix_labels(labels: np.ndarray, num_classes: int, mix: Mix | None) -> np.ndarray:
    """Returns the soft labels, float32 (n, num_classes), of images mixed by `mix_images`."""
    one_hot = np.eye(num_classes, dtype=np.float32)[labels]
    share = np.float32(1 if mix is None else mix.share)
    return share * one_hot + (1 - share) * np.roll(one_hot, 1, axis=0)


def _interval(length: int, size: int, draw: float) -> tuple[int, int]:
    """Returns start and stop of an interval of `size` pixels around a random pixel, clipped at both ends."""
    start = int(length * draw) - size // 2
    return max(start, 0), min(start + size, length)
