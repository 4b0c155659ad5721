"""Where the official files of public data sets come from, and how they lie on a disk."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lwcnn.data.checks import Splits
from lwcnn.data.formats import (
    IDX_NAMES,
    read_cifar,
    read_emnist,
    read_idx,
    read_stl10,
    read_svhn,
    read_tiny_imagenet,
)


@dataclass(frozen=True)
class Layout:
    """Official files of a data set.

    Attributes:
        folders: Folders in which libraries store them, inside a data folder; the first one is that of downloads.
        marker: Name of one of the files, or of one of their folders, or of an IDX file without `.gz`.
        read: Function that reads them from such a folder.
        url: Address of the folder of downloads.
        downloads: Checksum of each file to download by name; SHA-256 unless it begins with `md5:`.
        members: Files to extract from a downloaded archive. None extracts all.
    """

    folders: tuple[str, ...]
    marker: str
    read: Callable[[Path], Splits]
    url: str
    downloads: dict[str, str]
    members: tuple[str, ...] | None = None


def _idx_layout(folders: tuple[str, ...], url: str, *checksums: str) -> Layout:
    downloads = {f"{name}.gz": checksum for name, checksum in zip(IDX_NAMES, checksums, strict=True)}
    return Layout(folders, IDX_NAMES[0], read_idx, url, downloads)


def _cifar_layout(name: str, archive: str, checksum: str, read: Callable[[Path], Splits]) -> Layout:
    # The last folder is that of Keras 3.
    folders = (archive, f"{name}/{archive}", f"{archive}-target/{archive}")
    url = "https://www.cs.toronto.edu/~kriz/"
    return Layout(folders, "", read, url, {f"{archive.replace('-batches-py', '-python')}.tar.gz": checksum})


def _emnist_layout(part: str) -> Layout:
    names = [f"emnist-{part}-{split}" for split in ("train", "test")]
    files = [f"{name}-{kind}-ubyte.gz" for name in names for kind in ("images-idx3", "labels-idx1")]
    return Layout(
        ("emnist/gzip", "gzip", "emnist", "EMNIST/raw"),
        files[0].removesuffix(".gz"),
        partial(read_emnist, part=part),
        "https://biometrics.nist.gov/cs_links/EMNIST/",
        {"gzip.zip": "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e"},
        tuple(f"gzip/{file}" for file in files),
    )


_CIFAR10 = partial(read_cifar, train=tuple(f"data_batch_{i}" for i in range(1, 6)), test="test_batch")
_CIFAR100 = partial(read_cifar, train=("train",), test="test")
_CIFAR100_CHECKSUM = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"
# Checksums: those of Keras and TensorFlow Datasets; Tiny-ImageNet has none of them, its MD5 is Avalanche's.
LAYOUTS = {
    "mnist": _idx_layout(
        ("mnist", "MNIST", "MNIST/raw", ""),
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
    "fashion_mnist": _idx_layout(
        ("fashion-mnist", "fashion_mnist", "FashionMNIST", "FashionMNIST/raw", ""),
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
    "kmnist": _idx_layout(
        ("kmnist", "KMNIST", "KMNIST/raw"),
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    ),
    "emnist_balanced": _emnist_layout("balanced"),
    "emnist_letters": _emnist_layout("letters"),
    "cifar10": _cifar_layout(
        "cifar10",
        "cifar-10-batches-py",
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        _CIFAR10,
    ),
    "cifar100": _cifar_layout(
        "cifar100", "cifar-100-python", _CIFAR100_CHECKSUM, partial(_CIFAR100, labels="fine_labels")
    ),
    "cifar100_coarse": _cifar_layout(
        "cifar100", "cifar-100-python", _CIFAR100_CHECKSUM, partial(_CIFAR100, labels="coarse_labels")
    ),
    "stl10": Layout(
        ("stl10_binary", "stl10/stl10_binary"),
        "train_X.bin",
        read_stl10,
        "http://ai.stanford.edu/~acoates/stl10/",
        {"stl10_binary.tar.gz": "f31fd99273a1acb8609c8db427cebb1de3f71de77758cdc0e22956e1289b9866"},
        tuple(f"stl10_binary/{part}_{kind}.bin" for part in ("train", "test") for kind in "Xy"),
    ),
    "svhn": Layout(
        ("svhn", "SVHN", ""),
        "train_32x32.mat",
        read_svhn,
        "http://ufldl.stanford.edu/housenumbers/",
        {
            "train_32x32.mat": "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
            "test_32x32.mat": "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
        },
    ),
    "tiny_imagenet": Layout(
        ("tiny-imagenet-200", "tiny_imagenet/tiny-imagenet-200"),
        "wnids.txt",
        read_tiny_imagenet,
        "http://cs231n.stanford.edu/",
        {"tiny-imagenet-200.zip": "md5:90528d7ca1a48142e341f4ef8d21d0de"},
    ),
}
