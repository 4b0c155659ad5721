"""Tests datasets from memory: NumPy arrays, tf.data, and datasets of Hugging Face's `datasets`."""

import numpy as np
import pytest
from made_data import make_images
from PIL import Image

from lwcnn.data.datasets import load_dataset
from lwcnn.system.errors import LwcnnError

X, Y = make_images(40, (8, 8, 3), num_classes=4)
X_TEST, Y_TEST = make_images(12, (8, 8, 3), num_classes=4, seed=1)


def same(data, expected):
    assert (data.checksum, data.class_names) == (expected.checksum, expected.class_names)


def test_pairs_of_arrays():
    drawn = load_dataset((X, Y))
    assert drawn.name == f"images-{drawn.checksum[:8]}" and drawn.source == "memory"
    np.testing.assert_array_equal(np.bincount(drawn.y_test), [2] * 4)
    given = load_dataset(((X, Y), (X_TEST, Y_TEST)))
    assert (len(given.x_train), len(given.x_test), given.num_classes) == (40, 12, 4)
    same(load_dataset({"train": (X, Y), "test": (X_TEST, Y_TEST)}), given)
    same(load_dataset([[X, Y], [X_TEST, list(Y_TEST)]]), given)
    for form in (list, tuple):
        same(load_dataset(form([form(X), form(Y)])), drawn)
    assert load_dataset((X, Y), size=(16, 16, 1), mirror=False).input_shape == (16, 16, 1)


def test_validation_beside_a_test_part_is_for_validation():
    parts = {"train": (X[:20], Y[:20]), "validation": (X[20:], Y[20:]), "test": (X_TEST, Y_TEST)}
    given, drawn = load_dataset(parts), load_dataset(((X, Y), (X_TEST, Y_TEST)))
    np.testing.assert_array_equal(given.x_train, drawn.x_train)
    assert drawn.is_validation is None and given.checksum != drawn.checksum
    validation = given.x_train[given.is_validation]
    assert {image.tobytes() for image in validation} == {image.tobytes() for image in X[20:]} and len(validation) == 20
    same(load_dataset({"train": (X, Y), "val": (X_TEST, Y_TEST)}), load_dataset(((X, Y), (X_TEST, Y_TEST))))
    with pytest.raises(LwcnnError, match=r"Resize the images to one shape. Received: \(8, 8, 3\) and \(4, 4, 3\)"):
        load_dataset(parts | {"validation": (X[20:, :4, :4], Y[20:])})


def test_class_names_in_latin_1_and_with_line_breaks():
    images, numbers = make_images(30, (8, 8, 3), 2)
    names = np.array(["caf\xe9".encode("latin-1"), b"two\nlines"])
    assert load_dataset((images, names[numbers])).class_names == ("caf\xe9", "two lines")


def test_class_names_as_labels():
    names = np.array(["ant", "bee", "cat", "dog"])
    data = load_dataset(((X, names[Y]), (X_TEST, list(names[Y_TEST].astype(object)))))
    assert data.class_names == tuple(names)
    numbered = load_dataset(((X, Y), (X_TEST, Y_TEST)))
    assert np.array_equal(data.x_train, numbered.x_train) and np.array_equal(data.y_train, numbered.y_train)
    renamed = np.array(["ant", "bee", "cat", "hen"])
    checksums = [data.checksum, numbered.checksum, load_dataset(((X, renamed[Y]), (X_TEST, renamed[Y_TEST]))).checksum]
    assert len(set(checksums)) == 3, "names of classes are part of a dataset's identity"
    with pytest.raises(LwcnnError, match="Received: only test images of .*'eel'"):
        load_dataset(((X, names[Y]), (X_TEST, ["eel"] * 12)))
    for missing in (None, np.nan):
        labels = names[Y].astype(object)
        labels[3] = missing
        with pytest.raises(LwcnnError, match="Give every image a label"):
            load_dataset((X, labels))


@pytest.mark.parametrize("batch_size", [None, 7])
def test_tensorflow_data_sets(batch_size):
    tensorflow = pytest.importorskip("tensorflow")
    parts = [tensorflow.data.Dataset.from_tensor_slices(part) for part in ((X, Y), (X_TEST, Y_TEST))]
    if batch_size:
        parts = [part.batch(batch_size) for part in parts]
    same(load_dataset(tuple(parts)), load_dataset(((X, Y), (X_TEST, Y_TEST))))
    same(load_dataset(parts[0]), load_dataset((X, Y)))
    with pytest.raises(LwcnnError, match="Received: a tf.data.Dataset of ndarray"):
        load_dataset(parts[0].map(lambda image, label: image))
    with pytest.raises(LwcnnError, match="Received: an infinite tf.data.Dataset"):
        load_dataset(parts[0].repeat())


def test_keras_image_dataset_from_directory(tmp_path):
    pytest.importorskip("tensorflow")
    import keras

    for index, (image, label) in enumerate(zip(X, Y)):
        (tmp_path / "abcd"[label]).mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / "abcd"[label] / f"{index:02}.png")
    images = keras.utils.image_dataset_from_directory(tmp_path, image_size=(8, 8), shuffle=False, verbose=False)
    data = load_dataset(images)
    assert data.class_names == tuple("abcd") and data.input_shape == (8, 8, 3)
    order = np.argsort(Y, kind="stable")
    same(data, load_dataset((X[order], np.array(list("abcd"))[Y[order]])))


@pytest.mark.parametrize("batch_size", [None, 7])
def test_gray_images_of_tensorflow_without_channels(batch_size):
    tensorflow = pytest.importorskip("tensorflow")
    part = tensorflow.data.Dataset.from_tensor_slices((X[..., 0], Y))
    same(load_dataset(part.batch(batch_size) if batch_size else part), load_dataset((X[..., :1], Y)))


def test_images_of_several_shapes():
    tensorflow = pytest.importorskip("tensorflow")
    images, labels = [*X[:39], X[39, :7]], list(Y)
    signature = tuple(tensorflow.TensorSpec(shape, "uint8") for shape in ((None, 8, 3), ()))
    made = tensorflow.data.Dataset.from_generator(lambda: zip(images, labels), output_signature=signature)
    for data in ((images, labels), ((X, Y), (images, labels)), made, made.batch(3), (X, [*labels[:39], [1, 2]])):
        with pytest.raises(LwcnnError, match="Resize the images to one shape, and give one label for each. Received: "):
            load_dataset(data)


class ClassLabel:
    names = ["ant", "bee", "cat", "dog"]


class HuggingFace:
    """Stands in for `datasets.Dataset`: columns, of which that of images gives images of Pillow."""

    def __init__(self, images, labels):
        self.features = {"id": object(), "image": type("Image", (), {})(), "label": ClassLabel()}
        self.column_names = list(self.features)
        self.columns = {"image": [Image.fromarray(image) for image in images], "label": list(map(int, labels))}

    def __getitem__(self, name):
        return self.columns[name]


def test_hugging_face_data_sets():
    parts = {"train": HuggingFace(X, Y), "test": HuggingFace(X_TEST, Y_TEST)}
    data = load_dataset(parts)
    assert data.class_names == ("ant", "bee", "cat", "dog")
    names = np.array(data.class_names)
    assert data.checksum == load_dataset(((X, names[Y]), (X_TEST, names[Y_TEST]))).checksum
    parts["train"].columns["image"][3] = Image.new("RGB", (99, 20))
    assert load_dataset(parts).input_shape == (8, 8, 3)
    assert load_dataset(parts["train"], size=5).input_shape == (5, 5, 3)
    parts["train"].features.pop("image")
    with pytest.raises(LwcnnError, match="Name a column image or img. Received: columns id, label"):
        load_dataset(parts)


def test_what_a_hugging_face_data_set_does_not_decode_is_told():
    data = HuggingFace(X, Y)
    data.columns["image"] = list(X)
    with pytest.raises(LwcnnError, match="Give a dataset that decodes its images.*Received: images of type ndarray"):
        load_dataset(data)
    data = HuggingFace(X, Y)
    data.columns["label"][0] = [1, 2]
    with pytest.raises(LwcnnError, match="one label for each"):
        load_dataset(data)


def test_labels_of_parts_may_be_columns_but_not_of_two_kinds():
    test = (X_TEST, Y_TEST)
    wanted = load_dataset({"train": (X, Y), "val": test, "test": test}).checksum
    assert load_dataset({"train": (X, Y[:, None]), "val": test, "test": test}).checksum == wanted
    with pytest.raises(LwcnnError, match="labels of all parts as class numbers"):
        load_dataset({"train": (X, np.eye(4)[Y]), "val": test, "test": test})


def test_whole_numbers_of_any_type_are_class_numbers():
    images, labels = make_images(60, (8, 8, 3), num_classes=12)
    same(load_dataset((images, labels.astype(object))), load_dataset((images, labels)))


def test_several_labels_per_image_are_refused():
    with pytest.raises(LwcnnError, match="Give one class per image"):
        load_dataset((X, np.array(["a", "b"])[np.stack([Y % 2, Y // 2], axis=1)]))


@pytest.mark.parametrize("pair", [("pets/train", "pets/test"), {"train": "pets/train", "test": "pets/test"}])
def test_a_pair_of_folders_is_refused_with_advice(pair):
    with pytest.raises(LwcnnError, match="side by side as `train` and `test`, and give the folder above them"):
        load_dataset(pair)


@pytest.mark.parametrize(
    ("others", "most"),
    [
        (X / 255, 0),
        (X / 127.5 - 1, 0),
        (X.astype(np.uint16) * 257, 0),
        (X.astype(np.int64) * 16, 1),  # of 12 bits
        (X * np.float32(1.04) - 5, 6),  # interpolated
        (X > 127, 128),
    ],
)
def test_the_advice_for_images_of_other_types_keeps_them(others, most):
    with pytest.raises(LwcnnError, match="Give 'x_train' as uint8") as caught:
        load_dataset((others, Y))
    advice = str(caught.value).partition("0..255: ")[2].partition(". Received")[0]
    kept = eval(advice, {"images": others, "numpy": np})
    assert kept.dtype == np.uint8 and np.abs(kept.astype(int) - X).max() <= most


def test_parts_with_other_lists_of_classes():
    """Labels count the names of their own part; the classes are those of the training images."""
    training, test = HuggingFace(X, Y), HuggingFace(X_TEST[Y_TEST > 1], Y_TEST[Y_TEST > 1] - 2)
    test.features["label"] = type("ClassLabel", (), {"names": ["cat", "dog"]})()
    names = np.array(ClassLabel.names)
    expected = load_dataset(((X, names[Y]), (X_TEST[Y_TEST > 1], names[Y_TEST[Y_TEST > 1]])))
    same(load_dataset((training, test)), expected)
    np.testing.assert_array_equal(np.bincount(load_dataset((training, test)).y_test), [0, 0, 3, 3])
    parts = {"train": training, "val": test, "test": HuggingFace(X_TEST, Y_TEST)}
    assert (np.bincount(load_dataset(parts).y_train) == [10, 10, 13, 13]).all()
    with pytest.raises(LwcnnError, match="Add training images of every class. Received: only other images of ant, bee"):
        load_dataset((test, training))
    test.columns["label"] = np.eye(4, dtype=int)[Y_TEST[Y_TEST > 1]].tolist()
    with pytest.raises(LwcnnError, match="argmax"):
        load_dataset((training, test))


@pytest.mark.parametrize("other", ["test", "val"])
def test_numbers_in_one_part_and_names_in_another_are_refused(other):
    names = np.array(["ant", "bee", "cat", "dog"])
    for first, second in ((Y, names[Y_TEST]), (names[Y], Y_TEST)):
        with pytest.raises(LwcnnError, match="Give the labels of all parts as numbers, or all as names"):
            load_dataset({"train": (X, first), other: (X_TEST, second), "test": (X_TEST, second)})


def test_other_forms_are_refused():
    for data in (X, {"x": X}, {"train": (X, Y), "tset": (X_TEST, Y_TEST)}, [X], 3, None):
        with pytest.raises(LwcnnError, match="Give arrays .*Received: "):
            load_dataset(data)
    with pytest.raises(LwcnnError, match='under the key "train".*Received: keys x_train, y_train'):
        load_dataset({"x_train": X, "y_train": Y})
    with pytest.raises(LwcnnError, match="Give 'x_train' as uint8, 0..255.*dtype float64, values .* \\(in memory\\)$"):
        load_dataset((X / 255, Y))


def test_mirror_is_true_false_or_unknown():
    with pytest.raises(LwcnnError, match="Give mirror as True, False or None. Received: 'no'"):
        load_dataset((X, Y), mirror="no")
