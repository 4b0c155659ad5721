"""Where the official files of public data sets come from, and how they lie on a disk: `datasets.toml`, with readers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lwcnn.data.checks import Splits
from lwcnn.data.formats import read_cifar, read_emnist, read_idx, read_stl10, read_svhn, read_tiny_imagenet
from lwcnn.data.known import ENTRIES

_CIFAR100 = partial(read_cifar, train=("train",), test="test")
_READERS: dict[str, Callable[[Path], Splits]] = {
    "mnist": read_idx,
    "fashion_mnist": read_idx,
    "kmnist": read_idx,
    "emnist_balanced": partial(read_emnist, part="balanced"),
    "emnist_letters": partial(read_emnist, part="letters"),
    "cifar10": partial(read_cifar, train=tuple(f"data_batch_{i}" for i in range(1, 6)), test="test_batch"),
    "cifar100": partial(_CIFAR100, labels="fine_labels"),
    "cifar100_coarse": partial(_CIFAR100, labels="coarse_labels"),
    "stl10": read_stl10,
    "svhn": read_svhn,
    "tiny_imagenet": read_tiny_imagenet,
}


@dataclass(frozen=True)
class Layout:
    """Official files of a data set, as described in `datasets.toml`; `read` reads them from one of the folders."""

    read: Callable[[Path], Splits]
    folders: list[str]
    marker: str
    url: str
    downloads: dict[str, str]
    members: list[str] | None = None


_FIELDS = ("folders", "marker", "url", "downloads", "members")
LAYOUTS = {
    name: Layout(read, **{field: ENTRIES[name][field] for field in _FIELDS if field in ENTRIES[name]})
    for name, read in _READERS.items()
}
