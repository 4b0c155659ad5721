"""Random numbers that belong to an image, an epoch and a purpose, and to nothing else."""

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np

from lwcnn.system.errors import LwcnnError


class Purpose(IntEnum):
    """What numbers are drawn for: the first word of their key, so that no purpose changes another's draws.

    Stored results depend on the numbers: give a new purpose a number of its own and never change one.
    """

    TRANSFORMS = 1  # geometry and brightness: the columns of `draw_transforms`
    ORDER = 2  # of the images in an epoch (batches.py)
    VERTICAL_FLIP = 3
    RAND_AUGMENT = 4
    COLOR_JITTER = 5
    SHARPNESS = 6
    BLUR = 7
    CUTOUT = 8
    ERASING = 9
    ERASING_NOISE = 10
    MIXING = 11


@dataclass(frozen=True)
class Draws:
    """Where the random numbers of some images come from.

    Args:
        seed: of the run, 0 or more.
        epoch: 0 or more.
        stream: 0 or more; another number draws independently for the same image, seed and epoch.
        indices: whole numbers of 0 or more, shape (n,): each image's index in its data set.
    """

    seed: int
    epoch: int
    stream: int
    indices: np.ndarray

    def uniform(self, purpose: Purpose, num_columns: int, step: int | None = None) -> np.ndarray:
        """Returns float64 in [0, 1), shape (n, num_columns); another step draws independently."""
        num_rows = 1024
        while num_rows <= self.indices.max(initial=0):  # whole powers of two: an epoch's batches share one table
            num_rows *= 2
        key = (int(purpose), self.seed, self.epoch, self.stream) + (() if step is None else (step,))
        return _uniform_table(key, num_rows, num_columns)[self.indices]

    def levels(self, purpose: Purpose, position: int, count: int) -> np.ndarray:
        """Returns `count` random gray levels, uint8, for the image at this position among the indices."""
        key = (int(purpose), self.seed, self.epoch, self.stream, int(self.indices[position]))
        return random_bits(key, -(-count // 8)).astype("<u8").view(np.uint8)[:count]


def random_bits(key: tuple[int, ...], count: int) -> np.ndarray:
    """Returns uint64 random numbers that depend on the key alone: their purpose, the seed, the epoch, ...

    NumPy promises that the raw output of Philox and of SeedSequence stays as it is, which it does not of the
    distributions made from it. The first numbers of a longer draw are those of a shorter one.
    """
    # Below 2**32 each is one word of the seed, so that two keys of one length never mean the same words.
    if not all(isinstance(part, (int, np.integer)) and 0 <= part < 2**32 for part in key):
        raise LwcnnError(f"Give seed, epoch and stream as whole numbers from 0 to 2**32 - 1. Received: {key}")
    return np.random.Philox(np.random.SeedSequence([int(part) for part in key])).random_raw(count)


def unit_interval(bits: np.ndarray) -> np.ndarray:
    """Returns uint64 random numbers as float64 in [0, 1)."""
    return (bits >> np.uint64(11)) * 2.0**-53


@lru_cache(maxsize=32)
def _uniform_table(key: tuple[int, ...], num_rows: int, num_columns: int) -> np.ndarray:
    """Uniform numbers in [0, 1), shape (num_rows, num_columns): row i is image i's, whatever num_rows is."""
    table = unit_interval(random_bits(key, num_rows * num_columns))
    table.setflags(write=False)
    return table.reshape(num_rows, num_columns)
