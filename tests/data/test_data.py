"""Tests that datasets load identically from every file format, and that invalid files are reported."""

import errno
import gzip
import hashlib
import http.server
import io
import os
import pickle
import re
import struct
import tarfile
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pooch
import pytest
from made_data import ROOT
from PIL import Image
from scipy.io import savemat

from lwcnn.data import formats
from lwcnn.data.datasets import load_dataset
from lwcnn.data.formats import READERS, enlarge_digits
from lwcnn.data.known import (
    CLASS_NAMES,
    DATASET_NAMES,
    ENTRIES,
    INPUT_SHAPES,
    NUM_IMAGES,
    OFFICIAL_CHECKSUMS,
    is_dataset_name,
)
from lwcnn.data.sources import cache_folder, find_dataset
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import read_json

IDX_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
SHARED_DATA = os.environ.get("LWCNN_DATA_DIR")


def made_arrays(shape=(28, 28), num_train=60, num_test=30, num_classes=10, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "x_train": rng.integers(0, 256, (num_train, *shape), dtype=np.uint8),
        "y_train": (np.arange(num_train) % num_classes).astype(np.uint8),
        "x_test": rng.integers(0, 256, (num_test, *shape), dtype=np.uint8),
        "y_test": (np.arange(num_test) % num_classes).astype(np.uint8),
    }


def save(path, **arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)
    return path


def shuffled(arrays, seed=1):
    rng = np.random.default_rng(seed)
    train, test = rng.permutation(len(arrays["x_train"])), rng.permutation(len(arrays["x_test"]))
    return {key: array[train if key.endswith("train") else test] for key, array in arrays.items()}


def assert_same_data(first, second):
    assert first.checksum == second.checksum
    for key in ("x_train", "y_train", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(first, key), getattr(second, key))


def images_with_labels(images, labels):
    return sorted((image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True))


@pytest.fixture(autouse=True)
def own_machine(tmp_path, monkeypatch):
    """Provides an empty Keras cache, no data folder, and no network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("LWCNN_DATA_DIR", raising=False)
    for name, entry in ENTRIES.items():
        monkeypatch.setitem(ENTRIES, name, entry | {"url": "http://127.0.0.1:9/"})  # nobody listens


# ---- canonical order


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_any_arrangement_gives_the_same_arrays(tmp_path, name):
    arrays = made_arrays((28, 28) if name == "mnist" else (32, 32, 3))
    save(tmp_path / "a" / f"{name}.npz", **arrays)
    save(tmp_path / "b" / f"{name}.npz", **shuffled(arrays))
    first, second = load_dataset(name, tmp_path / "a"), load_dataset(name, tmp_path / "b")
    assert_same_data(first, second)
    for part in ("train", "test"):
        assert images_with_labels(arrays[f"x_{part}"], arrays[f"y_{part}"]) == images_with_labels(
            getattr(first, f"x_{part}"), getattr(first, f"y_{part}")
        )


def test_duplicates_keep_one_order_even_with_other_labels(tmp_path):
    arrays = made_arrays()
    arrays["x_train"][20:40] = arrays["x_train"][0]  # 20 copies, with all ten labels
    arrays["x_train"][40:44] = arrays["x_train"][4]
    first = load_dataset(save(tmp_path / "a.npz", **arrays))
    for seed in range(3):
        assert_same_data(first, load_dataset(save(tmp_path / "b.npz", **shuffled(arrays, seed))))
    copies = (first.x_train == arrays["x_train"][0][..., None]).all(axis=(1, 2, 3))
    assert copies.sum() == 21
    assert (np.diff(np.flatnonzero(copies)) == 1).all()
    assert (np.diff(first.y_train[copies]) >= 0).all()


def test_order_is_that_of_the_hashes(tmp_path):
    dataset = load_dataset(save(tmp_path / "a.npz", **made_arrays()))
    hashes = [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in dataset.x_train]
    assert hashes == sorted(hashes)


def test_checksum_covers_pixels_labels_and_split(tmp_path):
    arrays = made_arrays()
    checksums = {load_dataset(save(tmp_path / "a.npz", **arrays)).checksum}
    other_pixel = {**arrays, "x_test": arrays["x_test"].copy()}
    other_pixel["x_test"][3, 4, 5] ^= 1
    other_label = {**arrays, "y_train": arrays["y_train"].copy()}
    other_label["y_train"][0] = 9
    moved = {key: array[1:] if "train" in key else array for key, array in arrays.items()}
    other_shape = {key: array.reshape(-1, 14, 56) if key.startswith("x") else array for key, array in arrays.items()}
    for changed in (other_pixel, other_label, moved, other_shape):
        checksums.add(load_dataset(save(tmp_path / "b.npz", **changed)).checksum)
    assert len(checksums) == 5


def test_checksum_is_pinned(tmp_path):
    # Results and weights carry this number: it must not change with a version, a platform or an int type.
    dataset = load_dataset(save(tmp_path / "a.npz", **made_arrays(seed=7)))
    assert dataset.checksum == "0feff21fe57cadf6da4bb8c63d80650f5b5848e07a4566795320be7d266f3aeb"
    digest = hashlib.sha256()
    for array in (dataset.x_train, dataset.y_train, dataset.x_test, dataset.y_test):
        digest.update(str(array.shape).encode() + array.tobytes())
    assert dataset.checksum == digest.hexdigest()


def test_types_and_shapes(tmp_path):
    dataset = load_dataset(save(tmp_path / "a.npz", **made_arrays()))
    assert dataset.input_shape == (28, 28, 1)
    assert dataset.x_train.shape == (60, 28, 28, 1)
    assert (dataset.x_train.dtype, dataset.y_train.dtype, dataset.y_test.dtype) == (np.uint8, np.int64, np.int64)
    assert dataset.num_classes == 10
    assert dataset.class_names == tuple("0123456789")
    assert (dataset.name, dataset.source) == (f"a-{dataset.checksum[:8]}", "a.npz")


# ---- where data is found


def test_data_dir_comes_before_the_variable_and_the_cache(tmp_path, monkeypatch):
    places = [tmp_path / "given", tmp_path / "variable", tmp_path / "keras" / "datasets"]
    for seed, place in enumerate(places):
        save(place / "mnist.npz", **made_arrays(seed=seed))
    monkeypatch.setenv("LWCNN_DATA_DIR", str(places[1]))
    found = [load_dataset("mnist", places[0]), load_dataset("mnist")]
    assert find_dataset("mnist") == "LWCNN_DATA_DIR/mnist.npz"
    monkeypatch.delenv("LWCNN_DATA_DIR")
    found.append(load_dataset("mnist"))
    assert [d.source.split(" (")[0] for d in found] == [
        "data_dir/mnist.npz", "LWCNN_DATA_DIR/mnist.npz", "Keras's cache/mnist.npz",
    ]  # fmt: skip
    assert len({d.checksum for d in found}) == 3
    assert all(str(tmp_path) not in d.source for d in found)


def test_a_dataset_is_named_by_its_images_not_by_its_file(tmp_path):
    path = save(tmp_path / "mnist.npz", **made_arrays())
    mine, other = load_dataset(path), load_dataset(save(tmp_path / "b" / "mnist.npz", **made_arrays(seed=1)))
    assert mine.name == f"mnist-{mine.checksum[:8]}" != other.name
    by_name = load_dataset("mnist", tmp_path)
    assert (by_name.name, by_name.source) == (mine.name, "data_dir/mnist.npz (not the official images)")
    official = load_dataset("digits")
    arrays = {key: getattr(official, key) for key in ("x_train", "y_train", "x_test", "y_test")}
    copy = load_dataset(save(tmp_path / "copy.npz", **arrays, class_names=np.array([f"n{i}" for i in range(10)])))
    assert (copy.name, copy.class_names, copy.source) == ("digits", official.class_names, "copy.npz")


def test_arrays_that_are_not_used_are_named(tmp_path, caplog):
    arrays = made_arrays()
    load_dataset(save(tmp_path / "a.npz", **arrays, x_val=arrays["x_test"], y_val=arrays["y_test"]))
    assert "Left out arrays of a.npz: x_val, y_val" in caplog.messages


@pytest.mark.parametrize("name", ["kmnist", "cifar100"])
def test_a_file_of_a_public_name_is_official_by_its_checksum_or_where_that_is_unknown_by_its_size(tmp_path, name):
    shape = (28, 28, 1) if name == "kmnist" else (32, 32, 3)
    small = made_arrays(shape, num_train=120, num_classes=len(CLASS_NAMES[name]))
    dataset = load_dataset(save(tmp_path / f"{name}.npz", **small), tmp_path)
    assert load_dataset(name, tmp_path).name == dataset.name == f"{name}-{dataset.checksum[:8]}"


def test_test_images_among_the_training_images_are_told(caplog):
    images, labels = made_arrays((28, 28, 1))["x_train"], made_arrays((28, 28, 1))["y_train"]
    load_dataset(((images[50:], labels[50:]), (images[:50], labels[:50])))
    assert not caplog.messages
    load_dataset(((images, labels), (images[:50], labels[:50])))
    (told,) = caplog.messages
    assert told.startswith("Images in both parts: 50 of 50 test images")


def test_images_that_are_all_equal_are_told(caplog):
    images, labels = np.zeros((60, 32, 32, 3), np.uint8), np.arange(60) % 3
    load_dataset(((images, labels), (images[:12], labels[:12])))
    assert caplog.messages == [
        "Images in both parts: 12 of 12 test images. Test accuracy is too high; remove them from one part.",
        "Images under more than one class: 1. Keep each in one class.",
    ]


def test_images_under_two_classes_are_told(caplog):
    images, labels = made_arrays((28, 28, 1))["x_train"], made_arrays((28, 28, 1))["y_train"]
    load_dataset((np.concatenate([images, images[:3]]), np.concatenate([labels, labels[1:3], labels[2:3]])))
    assert caplog.messages == ["Images under more than one class: 2. Keep each in one class."]


@pytest.mark.parametrize("size", [0, 24.0, "24", (24,), (24, 0), (9, 7, 2)])
def test_sizes_are_integers(size):
    with pytest.raises(LwcnnError, match=f"Give size as .*Received: size={re.escape(repr(size))}"):
        load_dataset("digits", size=size)


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3)])
def test_color_images_may_be_mirrored_unless_their_owner_says_no(tmp_path, shape):
    path = save(tmp_path / "a.npz", **made_arrays(shape))
    assert load_dataset(path).mirror == (shape[2] == 3)
    said = save(tmp_path / "b.npz", **made_arrays(shape), mirror=np.array(shape[2] == 1))
    assert load_dataset(said).mirror == (shape[2] == 1)
    assert load_dataset(said, mirror=True).mirror and not load_dataset(said, mirror=False).mirror
    names = [load_dataset(said, mirror=mirror).name for mirror in (None, shape[2] == 1, shape[2] != 1)]
    assert names[0] == names[1] and names[2] == f"{names[0]}-{'no_mirror' if shape[2] == 1 else 'mirror'}"
    for wrong, told in (("yes", "yes"), (np.array(3), "3"), (np.array([True]), r"dtype bool, shape \(1,\)")):
        with pytest.raises(LwcnnError, match=f"single True or False.*Received: {told}"):
            load_dataset(save(tmp_path / "c.npz", **made_arrays(shape), mirror=wrong))


def test_relative_and_empty_variable(tmp_path, monkeypatch):
    save(tmp_path / "d" / "mnist.npz", **made_arrays())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LWCNN_DATA_DIR", "d")
    assert find_dataset("mnist") == "LWCNN_DATA_DIR/mnist.npz"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LWCNN_DATA_DIR", "~/d")
    assert find_dataset("mnist") == "LWCNN_DATA_DIR/mnist.npz"
    monkeypatch.setenv("LWCNN_DATA_DIR", "")
    assert find_dataset("mnist") is None


def cifar_batch(images, labels):
    rows = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), 3072)
    labels = [int(label) for label in labels]
    keys = {b"labels": labels, b"fine_labels": labels, b"coarse_labels": [label // 5 for label in labels]}
    return pickle.dumps({b"data": rows, b"batch_label": b"x", **keys}, 2)


def write_cifar(folder, arrays, name, monkeypatch):
    """Writes CIFAR's files and makes their checksums the official ones."""
    folder.mkdir(parents=True)
    names = [f"data_batch_{i}" for i in range(1, 6)] if name == "cifar10" else ["train"]
    for part, file in zip(np.array_split(np.arange(len(arrays["x_train"])), len(names)), names):
        (folder / file).write_bytes(cifar_batch(arrays["x_train"][part], arrays["y_train"][part]))
    test = folder / ("test_batch" if name == "cifar10" else "test")
    test.write_bytes(cifar_batch(arrays["x_test"], arrays["y_test"]))
    for path in folder.iterdir():
        monkeypatch.setitem(formats.CIFAR_MD5, path.name, hashlib.md5(path.read_bytes()).hexdigest())


@pytest.mark.parametrize(
    ("name", "inner", "in_cache"),
    [
        ("cifar10", "cifar-10-batches-py", False),
        ("cifar10", "cifar10/cifar-10-batches-py", False),
        ("cifar10", "cifar-10-batches-py", True),
        ("cifar10", "cifar-10-batches-py-target/cifar-10-batches-py", True),
        ("cifar100", "cifar-100-python", False),
        ("cifar100", "cifar-100-python-target/cifar-100-python", True),
    ],
)
def test_extracted_cifar_archive(tmp_path, monkeypatch, name, inner, in_cache):
    num_classes = len(CLASS_NAMES[name])
    arrays = made_arrays((32, 32, 3), num_train=60 if name == "cifar10" else 120, num_classes=num_classes)
    save(tmp_path / "npz" / f"{name}.npz", **shuffled(arrays))
    root = tmp_path / "keras" / "datasets" if in_cache else tmp_path / "data"
    write_cifar(root / inner, arrays, name, monkeypatch)
    dataset = load_dataset(name, None if in_cache else root)
    assert dataset.source.startswith(f"{'Keras' if in_cache else 'data_dir'}")
    assert dataset.class_names == CLASS_NAMES[name]
    assert_same_data(dataset, load_dataset(name, tmp_path / "npz"))


def write_idx(folder, arrays, compressed=False, names=IDX_NAMES):
    folder.mkdir(parents=True, exist_ok=True)
    for name, key in zip(names, ("x_train", "y_train", "x_test", "y_test"), strict=True):
        array = arrays[key]
        data = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
        (folder / (f"{name}.gz" if compressed else name)).write_bytes(gzip.compress(data) if compressed else data)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("name", "inner", "in_cache"),
    [
        ("mnist", "MNIST", False),
        ("mnist", "mnist", False),
        ("mnist", "MNIST/raw", False),
        ("fashion_mnist", "fashion_mnist", False),
        ("fashion_mnist", "fashion-mnist", True),
    ],
)
def test_idx_files(tmp_path, name, inner, in_cache, compressed):
    arrays = made_arrays()
    save(tmp_path / "npz" / f"{name}.npz", **shuffled(arrays))
    root = tmp_path / "keras" / "datasets" if in_cache else tmp_path / "data"
    write_idx(root / inner, arrays, compressed)
    dataset = load_dataset(name, None if in_cache else root)
    assert_same_data(dataset, load_dataset(name, tmp_path / "npz"))
    assert find_dataset("fashion_mnist" if name == "mnist" else "mnist", None if in_cache else root) is None


def test_idx_files_with_dots(tmp_path):
    write_idx(tmp_path / "mnist", made_arrays(), names=[name.replace("-idx", ".idx") for name in IDX_NAMES])
    (tmp_path / "mnist" / IDX_NAMES[0]).mkdir()  # Kaggle's archive has both
    assert load_dataset("mnist", tmp_path).x_train.shape == (60, 28, 28, 1)


def test_find_dataset():
    assert [name for name in DATASET_NAMES if find_dataset(name)] == ["digits"]


# ---- digits


def test_digits():
    dataset = load_dataset("digits")
    assert dataset.checksum == OFFICIAL_CHECKSUMS["digits"]
    assert "28x28" in dataset.source and "not the official" not in dataset.source
    assert (dataset.x_train.shape, dataset.x_test.shape) == ((1438, 28, 28, 1), (359, 28, 28, 1))
    assert dataset.x_train.max() == 255
    shares = np.bincount(dataset.y_test) / np.bincount(np.concatenate([dataset.y_train, dataset.y_test]))
    np.testing.assert_allclose(shares, 0.2, atol=0.004)


def test_a_data_set_of_another_size_has_another_name_and_keeps_the_rest(tmp_path, monkeypatch):
    official, small = load_dataset("digits"), load_dataset("digits", size=(14, 16, 3))
    assert small.name == f"digits-{small.checksum[:8]}" and small.source == f"{official.source}, resized"
    assert small.x_train.shape == (1438, 14, 16, 3) and not small.mirror
    assert (small.class_names, len(small.x_test)) == (official.class_names, 359)
    np.testing.assert_array_equal(small.x_train[..., 0], small.x_train[..., 2])
    assert load_dataset("digits", size=28).name == "digits"
    monkeypatch.setitem(NUM_IMAGES, "svhn", (60, 30))  # its checksum is unknown: the shape must fit
    save(tmp_path / "svhn.npz", **made_arrays((32, 32, 3)))
    assert load_dataset("svhn", tmp_path).name == "svhn"
    assert load_dataset("svhn", tmp_path, size=16).name.startswith("svhn-")


def test_digits_are_enlarged_as_by_opencv():
    images = np.random.default_rng(0).integers(0, 17, (20, 8, 8))
    expected = [cv2.resize(i * (255 / 16), (28, 28), interpolation=cv2.INTER_LINEAR) for i in images]
    np.testing.assert_allclose(enlarge_digits(images), expected, atol=0.5001)
    assert (enlarge_digits(np.full((1, 8, 8), 16)) == 255).all()


# ---- forms that people have


@pytest.mark.parametrize(
    "change, said",
    [
        ({"x_train": lambda x: x / 255}, r"as uint8, 0..255: .images \* 255.0.*float64, values from 0 to 1"),
        ({"x_train": lambda x: x.astype(np.int16) * 16}, "as uint8, 0..255.*dtype int16, values from 0 to 4080"),
        ({"x_train": lambda x: np.where(x == 9, np.nan, x)}, "as uint8, 0..255.*values from nan to nan"),
        ({"x_train": lambda x: x > 9}, r"as uint8, 0..255.*Received: dtype bool"),
        ({"x_train": lambda x: x.astype(str)}, "as uint8, 0..255.*Received: dtype <U"),
        ({"y_train": lambda y: y.astype(str)}, "as class numbers: class_names, labels = numpy.unique"),
        ({"y_train": lambda y: y.astype(str).astype(object)}, "'y_train.npy' holds.*never unpickled.*number or string"),
        ({"y_train": lambda y: y + 1, "y_test": lambda y: y + 1}, "Give y_train - 1 and y_test - 1"),
        ({"y_train": lambda y: y * 0, "y_test": lambda y: y * 0}, r"at least two classes .*. Received: 1 \(0\) .in "),
    ],
)
def test_other_forms_get_advice_that_fits(tmp_path, change, said):
    arrays = made_arrays()
    arrays["x_train"][0] = [0, 255] * 14
    path = save(tmp_path / "a.npz", **{key: change.get(key, np.asarray)(array) for key, array in arrays.items()})
    with pytest.raises(LwcnnError, match=f"{said}.*a.npz"):
        load_dataset(path)


def test_a_file_that_is_called_dots_stays_in_its_folder(tmp_path):
    dataset = load_dataset(save(tmp_path / "...npz", **made_arrays()))
    assert dataset.name == f"unnamed-{dataset.checksum[:8]}"


def test_images_have_four_channels_at_most():
    four, five = (made_arrays((6, 6, channels)) for channels in (4, 5))
    assert load_dataset((four["x_train"], four["y_train"])).input_shape == (6, 6, 4)
    with pytest.raises(LwcnnError, match="last axis.*at most 4 are supported"):
        load_dataset((five["x_train"], five["y_train"]))


def test_a_public_name_has_its_own_class_names(tmp_path):
    save(tmp_path / "mnist.npz", **made_arrays(), class_names=np.array(list("abcdefghij")))
    assert load_dataset("mnist", tmp_path).class_names == CLASS_NAMES["mnist"]


def test_class_names_are_read_from_bytes_and_must_differ(tmp_path):
    latin = [b"n%d" % i for i in range(8)] + ["kő".encode(), "café".encode("latin-1")]
    path = save(tmp_path / "a.npz", **made_arrays(), class_names=np.array(latin))
    assert load_dataset(path).class_names[7:] == ("n7", "kő", "café")
    save(path, **made_arrays(), class_names=np.array(["cat", "dog"] * 5))
    with pytest.raises(LwcnnError, match="a distinct name. Received: 'cat', 'dog' more than once \\(in .*a.npz'\\)$"):
        load_dataset(path)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "cifar100"])
def test_committed_results_are_of_the_official_images_and_classes(name):
    path = next((ROOT / "results" / name).glob("*/full/seed0.json"))
    result = read_json(path)
    assert result["data_checksum"] == OFFICIAL_CHECKSUMS[name]
    assert tuple(result["per_class_accuracy"]) == CLASS_NAMES[name]
    num_train = result["num_train_images"] + result["num_val_images"]
    assert (num_train, np.sum(result["confusion_matrix"])) == NUM_IMAGES[name]


# ---- bad input


def test_unknown_name():
    with pytest.raises(LwcnnError, match="Did you mean 'fashion_mnist'.*Received: 'fashon_mnist'"):
        load_dataset("fashon_mnist")


@pytest.mark.parametrize("source", ["gone.npz", Path("gone"), "./gone"])
def test_a_path_is_no_unknown_name(source):
    assert not is_dataset_name(source)


def test_missing_data_dir(tmp_path, monkeypatch):
    with pytest.raises(LwcnnError, match="data_dir=.*gone"):
        load_dataset("mnist", tmp_path / "gone")
    monkeypatch.setenv("LWCNN_DATA_DIR", "/no/such/folder")
    with pytest.raises(LwcnnError, match="Set LWCNN_DATA_DIR.*Received: LWCNN_DATA_DIR='/no/such/folder'"):
        find_dataset("cifar10")


@pytest.mark.parametrize("named", [False, True])
def test_a_broken_file_of_the_user_is_reported(tmp_path, named):
    path = tmp_path / "mnist.npz"
    path.write_bytes(b"text")
    with pytest.raises(LwcnnError, match="Not an .npz.*Received:.*mnist.npz"):
        load_dataset("mnist", tmp_path) if named else load_dataset(path)


def test_for_an_image_its_folder_is_asked_for(tmp_path):
    (tmp_path / "cat.JPG").write_bytes(b"\xff\xd8")
    with pytest.raises(LwcnnError, match="Give a folder of images with a subfolder per class.*Received: .*cat.JPG"):
        load_dataset(tmp_path / "cat.JPG")


def test_archive_with_broken_or_missing_files(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    write_cifar(folder, made_arrays((32, 32, 3)), "cifar10", monkeypatch)
    batch = folder / "data_batch_3"
    for content in (batch.read_bytes()[:5000], b"", pickle.dumps({b"data": 3})):
        batch.write_bytes(content)
        with pytest.raises(LwcnnError, match="data_batch_3 does not have the official checksum.*Received:.*cifar-10"):
            load_dataset("cifar10", tmp_path)
    batch.unlink()
    with pytest.raises(LwcnnError, match="missing.*data_batch_3.*Received: "):
        load_dataset("cifar10", tmp_path)


def test_archive_cannot_run_code(tmp_path, monkeypatch):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    folder = tmp_path / "cifar-10-batches-py"
    write_cifar(folder, made_arrays((32, 32, 3)), "cifar10", monkeypatch)
    (folder / "test_batch").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(LwcnnError, match="not have the official checksum"):
        load_dataset("cifar10", tmp_path)
    assert not (tmp_path / "harm").exists()


def test_an_image_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    files, _ = official_files("tiny_imagenet", tmp_path, monkeypatch)
    (archive,) = files.values()
    zipfile.ZipFile(io.BytesIO(archive)).extractall(tmp_path)
    (tmp_path / "tiny-imagenet-200/val/images/val_3.JPEG").write_bytes(b"half")
    with pytest.raises(LwcnnError, match="Extract the official archive again.*val_3.JPEG.*Received:.*tiny-imagenet"):
        load_dataset("tiny_imagenet", tmp_path)


@pytest.mark.parametrize("start", [(1, 8), (0, 9)])  # no IDX file; signed bytes
def test_idx_files_hold_unsigned_bytes(tmp_path, start):
    write_idx(tmp_path / "mnist", made_arrays())
    path = tmp_path / "mnist" / IDX_NAMES[2]
    path.write_bytes(struct.pack(">HB", *start) + path.read_bytes()[3:])
    with pytest.raises(LwcnnError, match="t10k-images-idx3-ubyte is not an IDX file of bytes.*Received:.*mnist"):
        load_dataset("mnist", tmp_path)


@pytest.mark.parametrize("compressed", [False, True])
def test_broken_idx_files(tmp_path, compressed):
    write_idx(tmp_path / "mnist", made_arrays(), compressed)
    path = tmp_path / "mnist" / (IDX_NAMES[2] + (".gz" if compressed else ""))
    whole = path.read_bytes()
    for content in (whole[:-100], b"", b"12345678"):
        path.write_bytes(content)
        with pytest.raises(LwcnnError, match="missing, truncated or corrupt.*Received:.*mnist"):
            load_dataset("mnist", tmp_path)
    path.unlink()
    with pytest.raises(LwcnnError, match="missing.*t10k-images-idx3-ubyte.*Received:"):
        load_dataset("mnist", tmp_path)


def test_keras_cache_is_where_keras_has_it(tmp_path, monkeypatch):
    assert cache_folder() == tmp_path / "keras" / "datasets"  # KERAS_HOME, though not made yet
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".keras" / "datasets"
    monkeypatch.setattr(os, "access", lambda *_: False)  # of a folder that is not writable
    assert cache_folder() == Path(tempfile.gettempdir()) / ".keras" / "datasets"


def test_wrong_keys(tmp_path):
    path = save(tmp_path / "a.npz", images=np.zeros(3), labels=np.zeros(3))
    with pytest.raises(LwcnnError, match="under the keys x_train.*Received: keys images, labels"):
        load_dataset(path)


X, Y = made_arrays()["x_train"], made_arrays()["y_train"].astype(np.int64)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x_train": X[0]}, r"shape \(28, 28\)"),
        ({"x_train": X[:, 0]}, r"shape \(60, 28\)"),
        ({"x_train": X[None, ..., None]}, r"shape \(1, 60, 28, 28, 1\)"),
        ({"x_train": np.uint8(3)}, r"shape \(\)"),
        ({"x_train": np.zeros((60, 3, 28, 28), np.uint8)}, "last axis.*transpose"),
        ({"x_test": np.zeros((30, 32, 32), np.uint8)}, r"Received: \(28, 28, 1\) and \(32, 32, 1\)"),
        ({"x_test": np.zeros((30, 28, 28, 3), np.uint8)}, r"\(28, 28, 3\)"),
        ({"y_train": Y.astype(np.float32)}, r"as integers.*astype.*dtype float32"),
        ({"y_train": np.eye(10)[Y]}, r"instead of one-hot rows: labels.argmax"),
        ({"y_train": np.eye(10, dtype=int)[Y]}, r"one-hot"),
        ({"y_train": np.eye(10)[Y] + np.eye(10)[0]}, "one class per image: several are not supported"),
        ({"y_train": Y[:, None, None]}, r"the shape \(n,\)"),
        ({"y_train": Y[:, None][:, :0]}, r"shape \(60, 0\)"),
        ({"y_train": np.int64(1)}, r"shape \(\)"),
        ({"y_train": Y[:-1]}, "Received: 59 in 'y_train' for 60 images"),
        ({"y_train": Y - 1}, "from -1 to 8"),
        ({"y_train": np.where(Y == 9, 2**64 - 1, Y.astype(np.uint64))}, "18446744073709551615"),
        ({"y_train": np.where(Y == 9, 10**9, Y)}, "label 1000000000 for 60 training images"),
        ({"y_test": np.full(30, 10)}, r"labels from 0 to 9 in 'y_test'.*Received: 10"),
        ({"y_test": np.full(30, -2)}, "from -2 to -2"),
        ({"y_train": np.where(Y == 4, 3, Y)}, "no training image of class 4"),
        ({"y_train": np.where(Y == 0, 1, Y)}, "no training image of class 0"),
        ({"x_train": X[:0], "y_train": Y[:0]}, r"at least one image in 'x_train'.*\(0, 28, 28\)"),
        ({"x_test": X[:0], "y_test": Y[:0]}, "at least one image in 'x_test'"),
        ({"x_train": X[:, :0]}, "at least one image in 'x_train'"),
        ({"class_names": np.array(["a", "b"])}, r"labels from 0 to 1 in .*there are 2 classes"),
        ({"class_names": np.array(list("abcdefghijk"))}, "no training image of class k"),
        ({"class_names": np.array(list("abcdefghij")), "y_train": Y + 1, "y_test": Y[:30] + 1}, "Give y_train - 1"),
        ({"class_names": np.arange(10)}, "array of strings"),
        ({"class_names": np.array("abc")}, r"shape \(\)"),
    ],
)
def test_wrong_arrays(tmp_path, changed, message):
    path = save(tmp_path / "mine.npz", **{**made_arrays(), **changed})
    with pytest.raises(LwcnnError, match=message) as caught:
        load_dataset(path)
    assert "Received: " in str(caught.value)
    assert "mine.npz" in str(caught.value)


def test_wrong_arrays_under_an_official_name(tmp_path):
    save(tmp_path / "cifar10.npz", **made_arrays())
    with pytest.raises(LwcnnError, match=r"images of shape \(32, 32, 3\).*Received: \(28, 28, 1\).*cifar10"):
        load_dataset("cifar10", tmp_path)
    save(tmp_path / "mnist.npz", **made_arrays(num_classes=9))
    with pytest.raises(LwcnnError, match="no training image of class 9"):
        load_dataset("mnist", tmp_path)


def test_class_names_of_the_user(tmp_path):
    names, arrays = [f"kind {k}" for k in range(10)], made_arrays()
    arrays["y_train"] = arrays["y_train"][:, None]  # Keras's own CIFAR has labels of this shape
    dataset = load_dataset(save(tmp_path / "a.npz", **arrays, class_names=names))
    assert dataset.class_names == tuple(names)
    assert all(type(name) is str for name in dataset.class_names)
    assert dataset.y_train.shape == (60,)


# ---- downloads


def test_download_off(tmp_path):
    with pytest.raises(LwcnnError, match="Allow downloading.*set LWCNN_DATA_DIR.*Received: 'cifar10'"):
        load_dataset("cifar10", download=False)


def test_no_network(tmp_path):
    with pytest.raises(LwcnnError, match="Connect to the network.*set LWCNN_DATA_DIR.*'digits'.*Received: 'cifar100'"):
        load_dataset("cifar100")
    cached = tmp_path / "keras" / "datasets" / "mnist.npz"
    cached.write_bytes(b"half")
    with pytest.raises(LwcnnError, match="Not an .npz"):
        load_dataset("mnist", download=False)


def pack(files, name):
    """Returns the bytes of an archive of files by name."""
    packed = io.BytesIO()
    if name.endswith(".zip"):
        with zipfile.ZipFile(packed, "w") as archive:
            for path, content in files.items():
                archive.writestr(path, content)
    else:
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for path, content in files.items():
                member = tarfile.TarInfo(path)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def idx(array):
    return gzip.compress(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes())


def official_files(name, tmp_path, monkeypatch):
    """Returns the files that the server of a dataset has, small, and the expected arrays."""
    classes = 200 if name == "tiny_imagenet" else len(CLASS_NAMES[name])
    shape = INPUT_SHAPES[name]
    arrays = made_arrays(shape[:2] if shape[2] == 1 else shape, max(20, classes), 20, classes)
    files = {}
    if name.startswith("cifar"):
        if name == "cifar100_coarse":
            arrays = made_arrays(shape, 100, 20, 100)
        write_cifar(tmp_path / "made", arrays, name, monkeypatch)
        if name == "cifar100_coarse":
            arrays |= {key: arrays[key] // 5 for key in ("y_train", "y_test")}
        inner = "cifar-10-batches-py" if name == "cifar10" else "cifar-100-python"
        files = {f"{inner}/{path.name}": path.read_bytes() for path in (tmp_path / "made").iterdir()}
    elif name == "stl10":
        for part in ("train", "test"):
            files[f"stl10_binary/{part}_X.bin"] = arrays[f"x_{part}"].transpose(0, 3, 2, 1).tobytes()
            files[f"stl10_binary/{part}_y.bin"] = (arrays[f"y_{part}"] + 1).tobytes()
        files["stl10_binary/unlabeled_X.bin"] = b"large"
    elif name == "svhn":
        for part in ("train", "test"):
            content, labels = io.BytesIO(), arrays[f"y_{part}"]
            pixels = arrays[f"x_{part}"].transpose(1, 2, 3, 0)
            savemat(content, {"X": pixels, "y": np.where(labels == 0, 10, labels)[:, None]})
            files[f"{part}_32x32.mat"] = content.getvalue()
        return files, arrays
    elif name == "tiny_imagenet":
        arrays["y_test"] = arrays["y_test"][::-1]  # in another order than the files
        ids = [f"n{k:08}" for k in range(200)]
        rows = []
        for part in ("train", "val"):
            key = "train" if part == "train" else "test"
            for number, (image, label) in enumerate(zip(arrays[f"x_{key}"], arrays[f"y_{key}"])):
                content = io.BytesIO()
                Image.fromarray(image).save(content, "PNG")  # read by content; a JPEG would change the pixels
                inside = f"{ids[label]}/images/{ids[label]}_{number}" if part == "train" else f"images/val_{number}"
                files[f"tiny-imagenet-200/{part}/{inside}.JPEG"] = content.getvalue()
                rows += [f"val_{number}.JPEG\t{ids[label]}\t0\t0\t9\t9"] if part == "val" else []
        files["tiny-imagenet-200/val/val_annotations.txt"] = "\n".join(rows).encode()
        files["tiny-imagenet-200/wnids.txt"] = "\n".join(ids).encode()
        words = ["crane", "crane, a bird", *(f"name {k}, other" for k in range(2, 200))]
        files["tiny-imagenet-200/words.txt"] = "\n".join(f"{i}\t{w}" for i, w in zip(ids, words)).encode()
    elif name.startswith("emnist"):
        part, first = name.split("_")[1], name == "emnist_letters"
        for split in ("train", "test"):
            stem = f"gzip/emnist-{part}-{split}"
            files[f"{stem}-images-idx3-ubyte.gz"] = idx(np.ascontiguousarray(arrays[f"x_{split}"].transpose(0, 2, 1)))
            files[f"{stem}-labels-idx1-ubyte.gz"] = idx((arrays[f"y_{split}"] + first).astype(np.uint8))
        files["gzip/emnist-byclass-train-images-idx3-ubyte.gz"] = b"large"
    else:
        return {f"{stem}.gz": idx(arrays[key]) for stem, key in zip(IDX_NAMES, arrays)}, arrays
    (archive,) = ENTRIES[name]["downloads"]
    return {archive: pack(files, archive)}, arrays


@pytest.fixture
def serve(monkeypatch):
    """Returns a function that serves files as the official source of a dataset, and returns the requested paths."""
    servers = []

    def start(name, files, checksums_of=None, status=200, cut=False):
        asked = []

        class Server(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path[1:])
                body = files[self.path[1:]]
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if cut else body)

            def log_message(self, *arguments):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        checksums = {file: hashlib.sha256(body).hexdigest() for file, body in (checksums_of or files).items()}
        served = {"url": f"http://127.0.0.1:{server.server_port}/", "downloads": checksums}
        monkeypatch.setitem(ENTRIES, name, ENTRIES[name] | served)
        return asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_official_files_are_those_that_the_tests_make(tmp_path, monkeypatch):
    for name in READERS:
        files, _ = official_files(name, tmp_path / name, monkeypatch)
        assert files.keys() == ENTRIES[name]["downloads"].keys()
    assert {*READERS, "digits"} == {*DATASET_NAMES} == {*CLASS_NAMES, "tiny_imagenet"}


@pytest.mark.parametrize("name", READERS)
def test_a_download_is_read_and_found_again(tmp_path, monkeypatch, serve, name):
    files, arrays = official_files(name, tmp_path, monkeypatch)
    asked = serve(name, files)
    data = load_dataset(name)
    assert sorted(asked) == sorted(files) and data.source.startswith("the download from http://127.0.0.1")
    for part in ("train", "test"):
        images = arrays[f"x_{part}"] if arrays[f"x_{part}"].ndim == 4 else arrays[f"x_{part}"][..., None]
        assert images_with_labels(images, arrays[f"y_{part}"]) == images_with_labels(
            getattr(data, f"x_{part}"), getattr(data, f"y_{part}")
        )
    again = load_dataset(name, download=False)
    assert_same_data(data, again)
    assert again.source.startswith("Keras's cache/") and len(asked) == len(files)
    assert not list((tmp_path / "keras").rglob("*unlabeled*")) and not list((tmp_path / "keras").rglob("*byclass*"))
    if name == "tiny_imagenet":
        assert data.class_names[:3] == ("crane (n00000000)", "crane (n00000001)", "name 2")


@pytest.mark.parametrize("name", ["fashion_mnist", "cifar10"])
@pytest.mark.parametrize("fault", ["cut", "gone", "changed"])
def test_a_failed_download_leaves_nothing(tmp_path, monkeypatch, serve, name, fault):
    files, _ = official_files(name, tmp_path, monkeypatch)
    changed = {file: body[:-1] + b"x" for file, body in files.items()}
    serve(name, files, changed if fault == "changed" else files, 404 if fault == "gone" else 200, fault == "cut")
    said = "checksum is wrong" if fault == "changed" else "Connect to the network"
    with pytest.raises(LwcnnError, match=f"{said}.*LWCNN_DATA_DIR.*the download of {name} failed"):
        load_dataset(name)
    assert [path for path in (tmp_path / "keras").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("error", [OSError(errno.EIO, ""), OSError(errno.EACCES, ""), MemoryError()])
def test_a_file_of_the_cache_that_cannot_be_read_now_is_kept(tmp_path, monkeypatch, serve, error):
    files, _ = official_files("cifar10", tmp_path, monkeypatch)
    asked = serve("cifar10", files)
    data = load_dataset("cifar10")

    def fail(*_, **__):
        raise error

    with monkeypatch.context() as patch, pytest.raises(LwcnnError, match="Try again: the file cannot be read now"):
        patch.setattr(Path, "read_bytes", fail)
        load_dataset("cifar10")
    assert_same_data(load_dataset("cifar10", download=False), data)
    assert len(asked) == 1


def test_a_broken_file_of_the_cache_is_replaced(tmp_path, monkeypatch, serve):
    files, _ = official_files("cifar10", tmp_path, monkeypatch)
    asked = serve("cifar10", files)
    data = load_dataset("cifar10")
    batch = tmp_path / "keras" / "datasets" / "cifar-10-batches-py" / "data_batch_2"
    batch.write_bytes(b"half")
    assert_same_data(load_dataset("cifar10"), data)
    assert len(asked) == 1  # the archive was still there


def test_a_download_keeps_the_files_of_others(tmp_path, monkeypatch, serve):
    """Both parts of EMNIST are in one archive, and come to lie in one folder."""
    cache = tmp_path / "keras" / "datasets"
    for name in ("emnist_balanced", "emnist_letters"):
        files, _ = official_files(name, tmp_path, monkeypatch)
        asked = serve(name, files)
        load_dataset(name)
        (cache / "emnist" / "gzip.zip").unlink()
    (cache / "emnist" / "gzip" / "mine.txt").write_text("kept")
    (cache / "emnist_letters.npz").write_bytes(b"not one")
    load_dataset("emnist_letters")
    assert len(asked) == 2 and (cache / "emnist" / "gzip" / "mine.txt").read_text() == "kept"
    assert (cache / "emnist_letters.npz.unreadable").read_bytes() == b"not one"
    assert all(load_dataset(name, download=False) for name in ("emnist_balanced", "emnist_letters"))


def test_a_failed_download_takes_nothing_away(tmp_path, monkeypatch, serve):
    files, _ = official_files("svhn", tmp_path, monkeypatch)
    serve("svhn", files, status=404)
    cache = tmp_path / "keras" / "datasets"
    (cache / "svhn").mkdir(parents=True)
    kept = {cache / "svhn.npz": b"not one", cache / "svhn" / "train_32x32.mat": b"damaged"}
    for path, content in kept.items():
        path.write_bytes(content)
    with pytest.raises(LwcnnError, match="Connect to the network"):
        load_dataset("svhn")
    assert {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()} == kept


def test_two_first_uses_at_once_download_once(tmp_path, monkeypatch, serve):
    files, _ = official_files("fashion_mnist", tmp_path, monkeypatch)
    asked, begun, retrieve, loaded = serve("fashion_mnist", files), threading.Barrier(2), pooch.retrieve, []

    def begin(*arguments, fname, **settings):
        found = retrieve(*arguments, fname=fname, **settings)
        if fname == "train-images-idx3-ubyte.gz" and not loaded:
            begun.wait(30)
            time.sleep(0.2)  # the other one finds half of the files
        return found

    monkeypatch.setattr(pooch, "retrieve", begin)
    first, second = (threading.Thread(target=lambda: loaded.append(load_dataset("fashion_mnist"))) for _ in range(2))
    first.start()
    begun.wait(30)
    second.start()
    first.join(30), second.join(30)
    assert_same_data(*loaded)
    assert sorted(asked) == sorted(files)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_an_interrupted_extraction_leaves_nothing_half(tmp_path, monkeypatch, serve, error):
    files, _ = official_files("cifar10", tmp_path, monkeypatch)
    serve("cifar10", files)

    def extract(processor, archive, folder):
        (Path(folder) / "cifar-10-batches-py").mkdir()
        raise error

    monkeypatch.setattr("pooch.Untar._extract_file", extract)
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else LwcnnError) as caught:
        load_dataset("cifar10")
    assert isinstance(error, KeyboardInterrupt) or "Free disk space" in str(caught.value)
    assert find_dataset("cifar10") is None


# ---- real data, where it is at hand


@pytest.mark.skipif(not (SHARED_DATA and Path(SHARED_DATA, "cifar10.npz").exists()), reason="no LWCNN_DATA_DIR")
def test_real_cifar10(monkeypatch):
    arrays = formats.read_npz(Path(SHARED_DATA, "cifar10.npz"))
    monkeypatch.setattr(formats, "read_npz", lambda path: arrays)
    start = time.process_time()
    dataset = load_dataset("cifar10", SHARED_DATA)
    assert time.process_time() - start < 4  # 1.1 s on an idle core
    assert dataset.source == "data_dir/cifar10.npz"
    assert dataset.checksum == OFFICIAL_CHECKSUMS["cifar10"]
    np.testing.assert_allclose(dataset.x_train.mean((0, 1, 2)) / 255, [0.4914, 0.4822, 0.4465], atol=5e-5)
    np.testing.assert_array_equal(np.bincount(dataset.y_train), [5000] * 10)


def test_a_dataset_is_shown_without_its_pixels(made_dataset):
    assert repr(made_dataset) == "<Dataset 'made': 300 training and 100 test images of 12x12x3, 10 classes>"
