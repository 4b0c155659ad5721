"""Random numbers that depend only on purpose, seed, epoch and image."""

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np

from lwcnn.system.errors import wrong


class Purpose(IntEnum):
    """First part of the key of random numbers. Stored results depend on the values: never change one."""

    TRANSFORMS = 1  # geometry and brightness, a column for each value
    ORDER = 2  # order of the images in an epoch (batches.py)
    VERTICAL_FLIP = 3
    RAND_AUGMENT = 4
    COLOR_JITTER = 5
    SHARPNESS = 6
    BLUR = 7
    CUTOUT = 8
    ERASING = 9
    ERASING_NOISE = 10
    MIXING = 11
    TRIVIAL_AUGMENT = 12
    AUTO_AUGMENT = 13


@dataclass(frozen=True)
class Draws:
    """Source of random numbers for the images of a batch; `indices` are their positions in the dataset."""

    seed: int
    epoch: int
    stream: int
    indices: np.ndarray

    def uniform(self, purpose: Purpose, num_columns: int, step: int | None = None) -> np.ndarray:
        """Returns float64 numbers in [0, 1), shape (n, num_columns); each step has independent numbers."""
        # A power of two, so that an epoch's batches share one table.
        num_rows = max(1024, 1 << int(self.indices.max()).bit_length())
        key = (int(purpose), self.seed, self.epoch, self.stream) + (() if step is None else (step,))
        return _uniform_table(key, num_rows, num_columns)[self.indices]

    def levels(self, purpose: Purpose, position: int, count: int) -> np.ndarray:
        """Returns `count` random gray levels, uint8, for the image at this position of the batch."""
        key = (int(purpose), self.seed, self.epoch, self.stream, int(self.indices[position]))
        return random_bits(key, -(-count // 8)).astype("<u8").view(np.uint8)[:count]


def random_bits(key: tuple[int, ...], count: int) -> np.ndarray:
    """Returns `count` random uint64 numbers that depend only on the key; a longer sequence starts with the shorter one.

    NumPy guarantees that the raw output of Philox and SeedSequence never changes, unlike its distributions.
    """
    # Below 2**32 each part is one word of the seed, so that different keys of equal length give different seeds.
    if not all(isinstance(part, (int, np.integer)) and 0 <= part < 2**32 for part in key):
        advice = "Give seed, epoch, stream and indices as whole numbers from 0 to 2**32 - 1"
        raise wrong(advice, f"{', '.join(map(str, key[1:]))}")
    return np.random.Philox(np.random.SeedSequence([int(part) for part in key])).random_raw(count)


def unit_interval(bits: np.ndarray) -> np.ndarray:
    """Converts random uint64 numbers to float64 in [0, 1)."""
    return (bits >> np.uint64(11)) * 2.0**-53


@lru_cache(maxsize=16)  # all operations of an epoch need ten; tables of past epochs are not read again
def _uniform_table(key: tuple[int, ...], num_rows: int, num_columns: int) -> np.ndarray:
    """Returns uniform numbers in [0, 1), shape (num_rows, num_columns); row i is the same for every `num_rows`."""
    table = unit_interval(random_bits(key, num_rows * num_columns))
    table.setflags(write=False)
    return table.reshape(num_rows, num_columns)
