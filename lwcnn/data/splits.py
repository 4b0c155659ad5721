"""Splits of a training set that keep every class's share, fixed by the order of the labels and a seed."""

import numbers

import numpy as np

from lwcnn.system.errors import LwcnnError

Split = tuple[np.ndarray, np.ndarray]


def stratified_split(labels: np.ndarray, size: int | float, seed: int = 0) -> Split:
    """A training and a validation part whose classes have the shares they have in the whole.

    Args:
        labels: shape (n,), integers 0..num_classes-1, in the data set's canonical order.
        size: Number of validation images as an int, or their fraction in (0, 1) as a float.
        seed: Which split to draw, 0..2**32-1; the same labels and seed always give the same split.

    Returns:
        `(train_indices, validation_indices)`, both sorted, int64, together 0..n-1. The validation part has
        exactly `size` images, at least one of every class, as has the training part.

    Raises:
        LwcnnError: A class is empty or has a single image, or `size` leaves a class without an image.
    """
    counts = _count_classes(labels, min_count=2, purpose="a training and a validation part")
    num_images, num_classes = len(labels), len(counts)
    num_validation = _number_of_images(size, num_images)
    if not num_classes <= num_validation <= num_images - num_classes:
        raise LwcnnError(
            f"Both parts of a split need an image of each of the {num_classes} classes: choose a size from "
            f"{num_classes} to {num_images - num_classes} of the {num_images} images. Received: size={size!r}"
        )
    return _both_parts(_draw(labels, _exact_shares(counts, num_validation, counts - 1), seed))


def stratified_subset(labels: np.ndarray, size: int, seed: int = 0) -> np.ndarray:
    """Draws images by class: each class keeps its share, and at least one image.

    Args:
        labels: shape (n,), integers 0..num_classes-1, in the data set's canonical order.
        size: Number of images; raised to the number of classes, and lowered to that of the images.
        seed: Which subset to draw, 0..2**32-1.

    Returns:
        Sorted indices, int64.
    """
    counts = _count_classes(labels, min_count=1, purpose="a subset")
    size = min(max(int(size), len(counts)), len(labels))
    return np.flatnonzero(_draw(labels, _exact_shares(counts, size, counts), seed)).astype(np.int64)


def split_for_training(labels: np.ndarray, validation: int | float, limit: int | None = None, seed: int = 0) -> Split:
    """The training and validation part of a data set of any size, each with at least one image of every class.

    Args:
        labels: shape (n,), integers 0..num_classes-1, in the data set's canonical order.
        validation: Number of validation images as an int, at most half of the images; or their fraction as a float.
        limit: Most training images to use; None uses all.
        seed: Which split to draw, 0..2**32-1.

    Returns:
        `(train_indices, validation_indices)`, both sorted, int64.

    Raises:
        LwcnnError: A class has fewer than two images: one to train on and one to validate on.
    """
    counts = _count_classes(labels, min_count=2, purpose="training and validation, one for each")
    size = _number_of_images(validation, len(labels))
    size = max(len(counts), min(size, len(labels) // 2))
    train, held_out = stratified_split(labels, size, seed)
    if limit and limit < len(train):
        train = train[stratified_subset(labels[train], limit, seed)]
    return train, held_out


def stratified_folds(labels: np.ndarray, num_folds: int = 6, seed: int = 0) -> list[Split]:
    """The parts of a K-fold assessment: each image is assessed in one fold and trained on in all the others.

    Args:
        labels: shape (n,), integers 0..num_classes-1, in the data set's canonical order.
        num_folds: K, at least 2.
        seed: Which folds to draw, 0..2**32-1; the same labels and seed always give the same folds.

    Returns:
        K pairs `(train_indices, assess_indices)`, sorted, int64. The sizes of the assessed parts, and the
        numbers of any one class in them, differ by one at most.

    Raises:
        LwcnnError: `num_folds` is below 2, or a class is empty or has fewer images than there are folds.
    """
    if isinstance(num_folds, bool) or not isinstance(num_folds, numbers.Integral) or num_folds < 2:
        raise LwcnnError(f"Cross-validation needs 2 folds or more. Received: num_folds={num_folds!r}")
    counts = _count_classes(labels, min_count=int(num_folds), purpose=f"{num_folds} folds")
    generator = _generator(seed)
    fold_of = np.empty(len(labels), np.int64)
    first_fold = 0
    for k, count in enumerate(counts):
        # Dealt like cards, each class going on where the last one stopped, so that the folds stay level.
        fold_of[generator.permutation(np.flatnonzero(labels == k))] = (first_fold + np.arange(count)) % num_folds
        first_fold += int(count)
    return [_both_parts(fold_of == fold) for fold in range(num_folds)]


def _generator(seed: int) -> np.random.RandomState:
    # The legacy generator, since NumPy has frozen its stream: a later NumPy never moves the split.
    try:
        return np.random.RandomState(seed)
    except (TypeError, ValueError) as error:
        raise LwcnnError(f"A seed is an integer from 0 to 4294967295. Received: seed={seed!r}") from error


def _number_of_images(size: int | float, num_images: int) -> int:
    if isinstance(size, numbers.Integral) and not isinstance(size, bool):
        return int(size)
    if isinstance(size, numbers.Real) and not isinstance(size, bool) and 0 < size < 1:
        return round(float(size) * num_images)
    raise LwcnnError(
        "The size of a validation part is a number of images (int) or a fraction between 0 and 1 (float). "
        f"Received: size={size!r}"
    )


def _count_classes(labels: np.ndarray, min_count: int, purpose: str) -> np.ndarray:
    if not isinstance(labels, np.ndarray) or labels.ndim != 1 or labels.dtype.kind not in "iu":
        received = f"{labels.dtype} of shape {labels.shape}" if isinstance(labels, np.ndarray) else type(labels)
        raise LwcnnError(f"Labels must be an integer array of shape (n,). Received: {received}")
    if len(labels) == 0:
        raise LwcnnError("There is nothing to split: give at least one label. Received: labels of shape (0,)")
    if labels.min() < 0 or labels.max() >= len(labels):
        raise LwcnnError(
            "Labels must count the classes from 0 without gaps. "
            f"Received: labels from {labels.min()} to {labels.max()} for {len(labels)} images"
        )
    counts = np.bincount(labels)
    if counts.min() < min_count:
        few = ", ".join(f"class {k}: {counts[k]}" for k in np.flatnonzero(counts < min_count)[:10])
        raise LwcnnError(
            f"Every class needs at least {min_count} images for {purpose}: add images or drop the class. "
            f"Received: {few}"
        )
    return counts


def _draw(labels: np.ndarray, shares: np.ndarray, seed: int) -> np.ndarray:
    """A mask of `shares[k]` images of each class k, drawn at random."""
    generator = _generator(seed)
    drawn = [generator.permutation(np.flatnonzero(labels == k))[:share] for k, share in enumerate(shares)]
    return np.isin(np.arange(len(labels)), np.concatenate(drawn))


def _exact_shares(counts: np.ndarray, total: int, most: np.ndarray) -> np.ndarray:
    """Returns how many of each class to take: in proportion, from 1 to `most`, exactly `total` together."""
    num_images = int(counts.sum())
    quotas = counts.astype(np.int64) * total  # in units of 1/num_images, so that ties are exact
    shares = np.clip(quotas // num_images, 1, most)
    while shares.sum() < total:
        lag = np.where(shares < most, quotas - shares * num_images, np.iinfo(np.int64).min)
        shares[np.argmax(lag)] += 1
    while shares.sum() > total:
        lag = np.where(shares > 1, quotas - shares * num_images, np.iinfo(np.int64).max)
        shares[np.argmin(lag)] -= 1
    return shares


def _both_parts(is_held_out: np.ndarray) -> Split:
    return np.flatnonzero(~is_held_out).astype(np.int64), np.flatnonzero(is_held_out).astype(np.int64)
