"""The parts of a dataset, and stratified splits, determined by the labels and a seed."""

import hashlib
from collections.abc import Sequence
from numbers import Integral
from typing import NamedTuple

import numpy as np

from lwcnn.system.errors import wrong

Part = tuple[np.ndarray, np.ndarray]
"""Images and labels."""
IndexPair = tuple[np.ndarray, np.ndarray]
"""Indices of the training images and of the others."""
TEST_FRACTION = 0.2


class DatasetParts(NamedTuple):
    """Parts of a dataset, with class names and names of image files (else empty tuples) and `mirror` if it is known.

    Without test images, `test` is None: the images with the lowest `keys` (n,), by default hashes of the pixels, are
    then set aside for testing. The last `num_validation` training images are the user's validation images.
    """

    train: Part
    test: Part | None
    class_names: tuple[str, ...] = ()
    mirror: bool | None = None
    keys: np.ndarray | None = None
    files: tuple[str, ...] = ()  # of the training images, then of the test images
    num_validation: int = 0


def stratified_subset(labels: np.ndarray, size: int, seed: int = 0) -> np.ndarray:
    """Draws a subset with equal class proportions and at least one image per class; returns sorted indices."""
    counts = _count_classes(labels, min_count=1, purpose="a subset")
    size = min(max(int(size), len(counts)), len(labels))
    return np.flatnonzero(_draw(labels, _exact_shares(counts, size), seed))


def split_for_training(
    labels: np.ndarray,
    validation: int | float | np.ndarray,
    limit: int | None = None,
    seed: int = 0,
    class_names: Sequence[str] = (),
) -> IndexPair:
    """Returns sorted training and validation indices with equal class proportions, for a dataset of any size.

    Both have at least one image of every class. `validation` is a number of images or a fraction, at most n // 2, or a
    mask of the user's validation images, which may lack classes; `limit` the maximum number of training images. The
    same labels, in the dataset's canonical order, and the same seed always give the same split. `class_names` are for
    the error message.
    """
    if isinstance(validation, np.ndarray):
        if len(alone := np.setdiff1d(labels, labels[~validation])):
            names = ", ".join(class_names[k] if class_names else str(k) for k in alone[:10])
            advice = "Add training images, without copies among the validation images, of every class"
            raise wrong(advice, f"only validation images of {names}")
    else:
        counts = _count_classes(labels, 2, "training and validation, one for each", class_names)
        size = max(len(counts), min(_number_of_images(validation, len(labels)), len(labels) // 2))
        validation = _draw(labels, _exact_shares(counts, size), seed)
    train, held_out = _split_by_mask(validation)
    if limit:
        train = train[stratified_subset(labels[train], limit, seed)]
    return train, held_out


def stratified_folds(
    labels: np.ndarray, num_folds: int, seed: int = 0, class_names: Sequence[str] = ()
) -> list[IndexPair]:
    """Returns sorted (training, test) indices of each fold; each image is tested in exactly one fold.

    The sizes of the test parts, and the number of images of each class in them, differ by at most one.
    `class_names` are for the error message.
    """
    if not isinstance(num_folds, Integral) or num_folds < 2:
        raise wrong("Give num_folds as an integer of 2 or more", f"num_folds={num_folds!r}")
    counts = _count_classes(labels, min_count=num_folds, purpose=f"{num_folds} folds", class_names=class_names)
    generator = np.random.RandomState(seed)  # the legacy generator: NumPy guarantees its stream, and hence the folds
    fold_of = np.empty(len(labels), np.int64)
    first_fold = 0
    for k, count in enumerate(counts):
        # Each class starts at the fold after the previous class's last one, so that the fold sizes stay equal.
        fold_of[generator.permutation(np.flatnonzero(labels == k))] = (first_fold + np.arange(count)) % num_folds
        first_fold += int(count)
    return [_split_by_mask(fold_of == fold) for fold in range(num_folds)]


def draw_test_images(
    images: np.ndarray, labels: np.ndarray, class_names: Sequence[str], keys: np.ndarray | None = None
) -> tuple[Part, Part]:
    """Draws the fifth of each class with the lowest keys as test images; copies of an image stay in one part.

    The keys are numbers (n,) that depend only on the image, by default a hash of its pixels. The test images therefore
    do not depend on the order, and adding images changes few of them. `class_names` are for the error message. Returns
    the training and the test part.
    """
    keys = hash_images(images)[0] if keys is None else keys
    classes, dense = np.unique(labels, return_inverse=True)
    label_of, copy_of = distinct_images(images, dense)
    key_of = np.full(len(label_of), keys.max())
    np.minimum.at(key_of, copy_of, keys)
    counts = np.bincount(label_of, minlength=len(classes))
    if counts.min() < 3:
        rare = classes[counts < 3][:5]
        names = [class_names[label] if label < len(class_names) else str(label) for label in rare]
        advice = "Give each class at least three images that differ and are in no other class"
        raise wrong(advice, f"fewer of {', '.join(map(repr, names))}")
    shares = np.rint(TEST_FRACTION * counts)
    inside = (np.flatnonzero(label_of == k) for k in range(len(classes)))
    drawn = [some[np.argsort(key_of[some])][: max(1, int(share))] for some, share in zip(inside, shares, strict=True)]
    is_test = np.isin(copy_of, np.concatenate(drawn))
    return (images[~is_test], labels[~is_test]), (images[is_test], labels[is_test])


def distinct_images(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the label of each distinct image (the lowest, if copies differ), and the distinct image of each image.

    A split of the distinct images has all copies of an image in one part: `np.isin(copy_of, part)` is the mask of a
    part. Without copies, images in canonical order are numbered in order.
    """
    hashes, copy_of = np.unique(hash_images(images)[0], return_inverse=True)
    label_of = np.full(len(hashes), labels.max())
    np.minimum.at(label_of, copy_of, labels)
    return label_of, copy_of


def hash_images(images: np.ndarray) -> np.ndarray:
    """Returns two 64-bit numbers per image that depend on its pixels only, shape (2, n)."""
    hashes = b"".join([hashlib.blake2b(image, digest_size=16).digest() for image in np.ascontiguousarray(images)])
    return np.frombuffer(hashes, ">u8").reshape(-1, 2).T


def join_hashes(images: np.ndarray) -> str:
    """Returns the hash of each image in 8 hexadecimal digits, one after the other."""
    return _short_hashes(images).astype(">u4").tobytes().hex()


def is_among(images: np.ndarray, hashes: str) -> np.ndarray:
    """Returns a mask of the images whose hashes are in a string from `join_hashes`."""
    return np.isin(_short_hashes(images), np.frombuffer(bytes.fromhex(hashes), ">u4"))


def _short_hashes(images: np.ndarray) -> np.ndarray:
    return hash_images(images)[0] >> 32


def _number_of_images(size: int | float, num_images: int) -> int:
    if isinstance(size, (int, np.integer)):
        return int(size)
    if isinstance(size, float) and 0 < size < 1:
        return round(size * num_images)
    advice = "Give the size of the validation part as a number of images (int) or a fraction between 0 and 1 (float)"
    raise wrong(advice, f"size={size!r}")


def _count_classes(labels: np.ndarray, min_count: int, purpose: str, class_names: Sequence[str] = ()) -> np.ndarray:
    if not len(labels) or labels.min() < 0 or labels.max() >= len(labels):
        found = f"labels from {min(labels, default=0)} to {max(labels, default=0)} for {len(labels)} images"
        raise wrong("Number the classes from 0 without gaps", found)
    counts = np.bincount(labels)
    if counts.min() < min_count:
        few = ", ".join(
            f"{class_names[k] if class_names else f'class {k}'}: {counts[k]}"
            for k in np.flatnonzero(counts < min_count)[:10]
        )
        raise wrong(f"Add images or drop classes: each class needs at least {min_count} images for {purpose}", few)
    return counts


def _draw(labels: np.ndarray, shares: np.ndarray, seed: int) -> np.ndarray:
    """Draws `shares[k]` images of each class k at random; returns a mask."""
    generator = np.random.RandomState(seed)  # the legacy generator: NumPy guarantees its stream, and hence the split
    drawn = [generator.permutation(np.flatnonzero(labels == k))[:share] for k, share in enumerate(shares)]
    return np.isin(np.arange(len(labels)), np.concatenate(drawn))


def _exact_shares(counts: np.ndarray, total: int) -> np.ndarray:
    """Returns the number of images to draw per class: proportional, at least 1, with sum `total`."""
    num_images = int(counts.sum())
    quotas = counts.astype(np.int64) * total  # in units of 1/num_images, which makes ties exact
    shares = np.maximum(quotas // num_images, 1)
    while shares.sum() < total:
        shares[np.argmax(quotas - shares * num_images)] += 1
    while shares.sum() > total:
        lag = np.where(shares > 1, quotas - shares * num_images, np.iinfo(np.int64).max)
        shares[np.argmin(lag)] -= 1
    return shares


def _split_by_mask(is_held_out: np.ndarray) -> IndexPair:
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)
