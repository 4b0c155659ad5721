"""Tests the batches of each epoch, directly and through model.fit."""

import threading

import keras
import numpy as np
import pytest

from lwcnn.data.augment import PAPER_AUGMENTATION, augment_batch
from lwcnn.data.batches import Batches
from lwcnn.data.images import Images
from lwcnn.system.errors import LwcnnError

NUM_IMAGES = 23


def make_arrays(num_images=NUM_IMAGES, channels=1):
    """Makes images whose pixels equal their index, and labels with the same index."""
    labels = np.arange(num_images)
    images = np.broadcast_to(labels[:, None, None, None], (num_images, 6, 6, channels)).astype(np.uint8)
    return images, labels


def make_textured(num_images=NUM_IMAGES, channels=3):
    generator = np.random.default_rng(5)
    images = generator.integers(0, 256, (num_images, 8, 8, channels), dtype=np.uint8)
    return images, np.arange(num_images)


def epoch_of(batches):
    """Returns all images and targets of an epoch as arrays."""
    inputs, targets = zip(*(batches[i] for i in range(len(batches))))
    return np.concatenate(inputs), np.concatenate(targets)


def assert_same_batches(left, right):
    flat_left, flat_right = keras.tree.flatten(left), keras.tree.flatten(right)
    assert len(flat_left) == len(flat_right)
    for a, b in zip(flat_left, flat_right, strict=True):
        np.testing.assert_array_equal(a, b)


def at(epoch, batches):
    batches.set_epoch(epoch)
    return batches


def test_an_epoch_gives_every_image_once_with_its_own_label():
    batches = Batches(Images(*make_arrays()), batch_size=5, seed=1)
    assert len(batches) == batches.num_batches == 5
    inputs, targets = epoch_of(batches)
    assert inputs.dtype == np.uint8 and targets.dtype == np.int32
    assert inputs.shape == (NUM_IMAGES, 6, 6, 1)
    np.testing.assert_array_equal(np.sort(targets), np.arange(NUM_IMAGES))
    np.testing.assert_array_equal(inputs[:, 0, 0, 0], targets)
    assert [len(batches[i][1]) for i in range(5)] == [5, 5, 5, 5, 3]


def test_order_follows_seed_and_epoch_only():
    arrays = make_arrays()
    order = [epoch_of(at(e, Batches(Images(*arrays), 5, seed=s)))[1].tolist() for s, e in [(1, 0), (1, 1), (2, 0)]]
    assert order[0] != order[1] and order[0] != order[2] and order[1] != order[2]
    again = at(7, Batches(Images(*arrays), 5, seed=1))
    again.set_epoch(1)
    assert epoch_of(again)[1].tolist() == order[1]
    other_size = at(1, Batches(Images(*arrays), 23, seed=1))
    assert epoch_of(other_size)[1].tolist() == order[1]


def test_orders_are_spread_evenly():
    arrays = make_arrays(4)
    batches = Batches(Images(*arrays), 4, seed=0)
    first = []
    for epoch in range(400):
        batches.set_epoch(epoch)
        first.append(int(batches[0][1][0]))
    assert np.bincount(first, minlength=4).min() > 70  # 100 expected, 8.7 standard deviation


def test_a_subset_gives_its_images_with_their_own_augmentation():
    images, labels = make_textured()
    indices = np.array([2, 5, 8, 13, 21])
    batches = at(2, Batches(Images(images, labels, indices), 2, seed=3, branches=(PAPER_AUGMENTATION,)))
    inputs, targets = epoch_of(batches)
    np.testing.assert_array_equal(np.sort(targets), indices)
    whole = augment_batch(images, PAPER_AUGMENTATION, 3, 2, np.arange(NUM_IMAGES))
    np.testing.assert_array_equal(inputs, whole[targets])


def test_branches_get_the_same_images_augmented_apart():
    images, labels = make_textured()
    before = images.copy()
    branches = (None, PAPER_AUGMENTATION, PAPER_AUGMENTATION)
    (plain, first, second), targets = Batches(Images(images, labels), 6, seed=3, branches=branches)[0]
    np.testing.assert_array_equal(plain, images[targets[0]])
    np.testing.assert_array_equal(targets[0], targets[2])
    assert len(targets) == 3
    assert (first != plain).any() and (second != first).any()
    np.testing.assert_array_equal(first, augment_batch(plain, PAPER_AUGMENTATION, 3, 0, targets[0], stream=1))
    np.testing.assert_array_equal(images, before)


def test_batches_made_in_threads_are_those_made_in_turn():
    images, labels = make_textured(200)
    batches = Batches(Images(images, labels), 4, seed=3, branches=(None, PAPER_AUGMENTATION))
    expected = [batches[i] for i in range(len(batches))]
    made = [None] * len(batches)

    def make(start):
        for i in range(start, len(batches), 4):
            made[i] = batches[i]

    threads = [threading.Thread(target=make, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_same_batches(made, expected)


def follow_epochs(batches):
    return keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: batches.set_epoch(epoch))


class NoteInputs(keras.layers.Layer):
    """Identity layer that records its training batches in eager mode."""

    def __init__(self, note, **kwargs):
        super().__init__(**kwargs)
        self.note = note

    def call(self, images, training=False):
        if training:
            self.note(np.array(keras.ops.convert_to_numpy(images)))
        return images


def make_model(image_shape, seen, num_branches, num_classes=NUM_IMAGES):
    """Builds a small model that records the inputs of its branches during training."""
    inputs = [keras.Input(image_shape, dtype="uint8") for _ in range(num_branches)]
    outputs = []
    for image, branch_seen in zip(inputs, seen):
        features = NoteInputs(branch_seen.append, dtype="uint8")(image)
        features = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(features))
        outputs.append(keras.layers.Dense(num_classes)(features))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = keras.Model(inputs, outputs)
    model.compile("sgd", [loss] * num_branches, run_eagerly=True, jit_compile=False)
    return model


def expected_epochs(make_batches, epochs):
    """Returns the batches of several epochs, computed independently, as one list per branch."""
    inputs = []
    for epoch in epochs:
        batches = make_batches(epoch)
        inputs += [batches[i][0] for i in range(len(batches))]
    return list(zip(*inputs))


@pytest.mark.parametrize("batch_size", [5, 12, 30])  # 5, 2 and 1 batches an epoch
def test_fit_sees_the_batches_of_each_epoch_and_goes_on_where_it_stopped(batch_size):
    images, labels = make_textured()

    def make_batches(epoch):
        branches = (None, PAPER_AUGMENTATION)
        return at(epoch, Batches(Images(images, labels), batch_size, seed=4, branches=branches))

    batches, seen = make_batches(0), ([], [])
    model = make_model(images.shape[1:], seen, 2)
    validation = (tuple(images[:4] for _ in range(2)), tuple(labels[:4] for _ in range(2)))
    model.fit(
        batches,
        epochs=3,
        shuffle=False,
        verbose=0,
        callbacks=[follow_epochs(batches)],
        validation_data=validation,
        validation_batch_size=4,
    )
    assert_same_batches(seen, expected_epochs(make_batches, range(3)))

    resumed, seen = make_batches(3), ([], [])
    model = make_model(images.shape[1:], seen, 2)
    model.fit(resumed, initial_epoch=3, epochs=5, shuffle=False, verbose=0, callbacks=[follow_epochs(resumed)])
    assert_same_batches(seen, expected_epochs(make_batches, range(3, 5)))


def test_fit_takes_one_branch_compiled_as_usual():
    images, labels = make_textured(40)
    model = keras.Sequential(
        [keras.Input(images.shape[1:]), keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    model.compile("nadam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    batches = Batches(Images(images, labels % 2), 16, seed=0, branches=(PAPER_AUGMENTATION,))
    history = model.fit(batches, epochs=2, shuffle=False, verbose=0, callbacks=[follow_epochs(batches)])
    assert len(history.history["loss"]) == 2


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"images": np.zeros((3, 6, 6, 1), np.float32)}, "float32"),
        ({"images": np.zeros((3, 6, 6), np.uint8)}, r"\(3, 6, 6\)"),
        ({"images": np.zeros((3, 6, 6, 5), np.uint8)}, r"\(3, 6, 6, 5\)"),
        ({"indices": np.array([], int)}, "0 images"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 2.0}, "batch_size=2.0"),
    ],
)
def test_refuses_what_does_not_fit(changes, said):
    images, labels = np.zeros((3, 6, 6, 1), np.uint8), np.zeros(3, int)
    given = {"images": images, "indices": None, "batch_size": 2} | changes
    with pytest.raises(LwcnnError, match=f"Received: .*{said}"):
        Batches(Images(given["images"], labels, given["indices"]), given["batch_size"], seed=0)


@pytest.mark.parametrize("index", [-1, 5])
def test_a_batch_out_of_range_is_an_index_error(index):
    with pytest.raises(IndexError, match=str(index)):
        Batches(Images(*make_arrays()), 5, seed=0)[index]
