"""Tests sizes, class proportions, determinism and error messages of splits."""

import hashlib

import numpy as np
import pytest
from made_data import make_images

from lwcnn.data.splits import distinct_images, draw_test_images, split_for_training, stratified_folds, stratified_subset
from lwcnn.system.errors import LwcnnError


def made_labels(counts, seed=0):
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int64)
    return np.random.default_rng(seed).permutation(labels)


@pytest.mark.parametrize("size", [10, 37, 5, 53])
def test_split_has_the_exact_size_and_the_shares(size):
    counts = np.array([50, 20, 30, 7])
    labels = made_labels(counts)
    train, validation = split_for_training(labels, size)
    assert len(validation) == size
    for part in (train, validation):
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()
    np.testing.assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(len(labels)))
    taken = np.bincount(labels[validation], minlength=4)
    assert (taken >= 1).all()
    assert (taken < counts).all()
    # Proportional to within one image, apart from the one image that every class must have in each part.
    assert (np.abs(np.clip(counts * size / counts.sum(), 1, counts - 1) - taken) <= 1).all()


def test_split_of_equal_classes_is_equal():
    labels = made_labels([60] * 10)
    _, validation = split_for_training(labels, 0.1)
    np.testing.assert_array_equal(np.bincount(labels[validation]), [6] * 10)


def test_split_depends_on_the_seed_alone():
    labels = made_labels([40, 40, 40])
    np.random.seed(1)
    first = split_for_training(labels, 30, seed=3)
    np.random.seed(2)
    state = np.random.get_state()[1].copy()
    again = split_for_training(labels.astype(np.uint8), 30, seed=3)
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[1], split_for_training(labels, 30, seed=4)[1])
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # the user's own generator is left alone


def test_split_is_pinned():
    # Committed results rest on these very splits: a change here makes them incomparable.
    labels = np.arange(1000) * 7 % 10
    _, validation = split_for_training(labels, 100)
    digest = hashlib.sha256(validation.astype("<i8").tobytes()).hexdigest()[:16]
    folds = stratified_folds(labels, 6, seed=0)
    folds_digest = hashlib.sha256(b"".join(f.astype("<i8").tobytes() for _, f in folds)).hexdigest()[:16]
    assert (digest, folds_digest) == ("d22c06696f235d40", "022af3f25170e0b5")


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (1.0, "a fraction between 0 and 1"),
        (-0.5, "Received: size=-0.5"),
        (float("nan"), "fraction"),
        ("10", "Received: size='10'"),
    ],
)
def test_bad_sizes_are_refused(size, message):
    with pytest.raises(LwcnnError, match=message):
        split_for_training(made_labels([5, 5]), size)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (made_labels([5, 0, 5]), "class 1: 0"),
        (made_labels([5, 1, 5]), "class 1: 1"),
        (np.array([], np.int64), "for 0 images"),
        (np.array([-1, 0, 0]), "from -1 to 0"),
        (np.array([0, 0, 10**12]), "1000000000000"),
    ],
)
@pytest.mark.parametrize("split", [lambda x: split_for_training(x, 4), lambda x: stratified_folds(x, 2)])
def test_bad_labels_are_refused(split, labels, message):
    with pytest.raises(LwcnnError, match=message):
        split(labels)


@pytest.mark.parametrize("num_folds", [2, 3, 6])
def test_folds_partition_evenly(num_folds):
    labels = made_labels([13, 25, 6, 31])
    folds = stratified_folds(labels, num_folds, seed=5)
    assert len(folds) == num_folds
    np.testing.assert_array_equal(np.sort(np.concatenate([a for _, a in folds])), np.arange(len(labels)))
    for train, assess in folds:
        np.testing.assert_array_equal(np.union1d(train, assess), np.arange(len(labels)))
        assert len(train) + len(assess) == len(labels)
        assert (np.diff(train) > 0).all()
        assert (np.diff(assess) > 0).all()
    per_class = np.array([np.bincount(labels[assess], minlength=4) for _, assess in folds])
    assert np.ptp(per_class, axis=0).max() <= 1
    assert np.ptp(per_class.sum(axis=1)) <= 1


def test_folds_depend_on_the_seed_alone():
    labels = made_labels([20, 20])
    first, again, other = (stratified_folds(labels, 4, seed=s) for s in (1, 1, 2))
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a[1], b[1]) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("num_folds", [1, 0])
def test_bad_number_of_folds_is_refused(num_folds):
    with pytest.raises(LwcnnError, match=f"num_folds={num_folds}"):
        stratified_folds(made_labels([12, 12]), num_folds)


def test_too_few_images_for_the_folds_is_refused():
    with pytest.raises(LwcnnError, match="at least 6 images for 6 folds.*class 1: 5"):
        stratified_folds(made_labels([12, 5, 7]), 6)
    with pytest.raises(LwcnnError, match="Received: cat: 5"):
        stratified_folds(made_labels([12, 5, 7]), 6, class_names=("ant", "cat", "dog"))


# Datasets of any size


@pytest.mark.parametrize("validation", [0.1, 0.2, 1000])
@pytest.mark.parametrize("limit", [None, 3, 50, 600])
@pytest.mark.parametrize(
    "counts", [[2, 2], [30] * 2, [20] * 3, [5] * 100, [2] * 100, [600, 2], [60] * 10, [6] * 100, [2, 3, 900]]
)
def test_every_class_is_trained_on_and_validated_on_however_few_images_there_are(counts, validation, limit):
    labels = made_labels(counts)
    train, held_out = split_for_training(labels, validation, limit)
    assert set(labels[train]) == set(labels[held_out]) == set(range(len(counts)))
    assert not set(train) & set(held_out)
    if limit:
        assert len(train) <= max(limit, len(counts))
    wanted = validation if isinstance(validation, int) else round(validation * len(labels))
    assert len(held_out) == max(len(counts), min(wanted, len(labels) // 2))


def test_a_limit_keeps_the_validation_images_and_draws_of_the_others():
    labels = np.arange(1000) * 7 % 10
    rest, held_out = split_for_training(labels, 0.1, seed=3)
    train, same = split_for_training(labels, 0.1, 200, seed=3)
    np.testing.assert_array_equal(held_out, same)
    np.testing.assert_array_equal(train, rest[stratified_subset(labels[rest], 200, seed=3)])


def test_given_validation_images_are_kept_and_may_lack_classes():
    labels = np.arange(100) % 4
    given = (np.arange(100) < 30) & (labels > 0)
    train, held_out = split_for_training(labels, given)
    np.testing.assert_array_equal(held_out, np.flatnonzero(given))
    np.testing.assert_array_equal(train, np.flatnonzero(~given))
    few, same = split_for_training(labels, given, 8)
    np.testing.assert_array_equal(same, held_out)
    assert set(few) <= set(train) and np.bincount(labels[few]).tolist() == [2] * 4


def test_a_class_with_validation_images_only_is_refused_with_what_to_do():
    labels = made_labels([5, 3, 5])
    for class_names, name in (((), "1"), (("ant", "owl", "yak"), "owl")):
        with pytest.raises(LwcnnError, match=f"of every class. Received: only validation images of {name}$"):
            split_for_training(labels, labels == 1, class_names=class_names)


def test_one_image_of_a_class_is_refused_with_what_to_do():
    message = "Add images or drop classes: .* at least 2 images for training and validation, one for each.*class 1: 1"
    with pytest.raises(LwcnnError, match=message):
        split_for_training(made_labels([5, 1, 5]), 0.1)
    with pytest.raises(LwcnnError, match="Received: owl: 1$"):
        split_for_training(made_labels([5, 1, 5]), 0.1, class_names=("ant", "owl", "yak"))


def test_a_subset_keeps_every_class_and_its_share():
    labels = made_labels([500, 300, 1])
    subset = stratified_subset(labels, 81)
    assert np.bincount(labels[subset]).tolist() == [50, 30, 1]
    assert len(stratified_subset(labels, 1)) == 3 and len(stratified_subset(labels, 5000)) == 801


def test_copies_with_different_labels_do_not_make_the_split_depend_on_their_order():
    images, labels = make_images(60, (4, 4, 3), 3)
    images, labels = np.concatenate([images, images[:1]]), np.append(labels, (labels[0] + 1) % 3)
    found = []
    for order in (np.arange(61), np.arange(61)[::-1]):
        _, (test, _) = draw_test_images(images[order], labels[order], ())
        found.append(sorted(image.tobytes() for image in test))
    assert found[0] == found[1]


def test_copies_of_an_image_are_in_one_part_of_every_split():
    images, labels = make_images(60, (4, 4, 3), 3)
    images, labels = np.concatenate([images, images[:30]]), np.append(labels, labels[:30])
    label_of, copy_of = distinct_images(images, labels)
    assert len(label_of) == 60
    for split in [split_for_training(label_of, 0.2), *stratified_folds(label_of, 4)]:
        training, held_out = (np.flatnonzero(np.isin(copy_of, part)) for part in split)
        assert not {image.tobytes() for image in images[training]} & {one.tobytes() for one in images[held_out]}
        assert sorted([*training, *held_out]) == list(range(90))


def test_images_without_copies_are_themselves_in_canonical_order(made_dataset):
    label_of, copy_of = distinct_images(made_dataset.x_train, made_dataset.y_train)
    np.testing.assert_array_equal(label_of, made_dataset.y_train)
    np.testing.assert_array_equal(copy_of, np.arange(len(made_dataset.y_train)))


def test_a_fifth_of_each_class_by_the_lowest_keys_is_for_the_test():
    images, labels = make_images(40, (4, 4, 3), 2)
    keys = np.arange(40, dtype=np.uint64)[::-1]
    _, (test, test_labels) = draw_test_images(images, labels, (), keys)
    assert {image.tobytes() for image in test} == {image.tobytes() for image in images[-8:]}
    assert sorted(test_labels) == [0] * 4 + [1] * 4
    kept = np.arange(1, 40)  # without one image, the other test images stay
    _, (fewer, _) = draw_test_images(images[kept], labels[kept], (), keys[kept])
    assert {image.tobytes() for image in fewer} == {image.tobytes() for image in test}


@pytest.mark.parametrize("count, share, wanted", [(59, 0.1, 6), (51, 0.1, 5), (100, 0.29, 29)])  # 0.29 * 100 < 29
def test_a_fraction_is_the_nearest_number_of_images(count, share, wanted):
    assert len(split_for_training(np.arange(count) % 2, share)[1]) == wanted
