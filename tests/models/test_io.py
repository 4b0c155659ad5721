"""Model files: the description they carry, and broken or hostile ones, refused in one line."""

import json
import os
import shutil
import zipfile

import h5py
import keras
import numpy as np
import pytest
from made_data import describe

from lwcnn.evaluation.predict import predict_logits
from lwcnn.models import description, io
from lwcnn.models.description import describe_model, read_description, read_input_shape
from lwcnn.models.io import load_model, save_model
from lwcnn.system.errors import LwcnnError
from lwcnn.training.optimizers import OptimizerConfig

SHAPE = (6, 6, 3)


def build(last=None, **arguments):
    image = keras.Input(SHAPE)
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, activation="relu")(image))
    x = keras.layers.Dense(10, **arguments)(keras.layers.Dropout(0.1)(keras.layers.Flatten()(x)))
    return keras.Model(image, last(x) if last else x)


@pytest.fixture(scope="module")
def saved(tmp_path_factory, made_dataset):
    """(model, path of its file with a description)."""
    path, model = tmp_path_factory.mktemp("model") / "mine.keras", build()
    save_model(path, model, describe(made_dataset))
    return model, path


@pytest.fixture
def rewritten(saved, tmp_path):
    """A function that writes the file anew with some members changed, their checksums right, and gives its path."""

    def rewrite(**changes):
        path = tmp_path / "changed.keras"
        with zipfile.ZipFile(saved[1]) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        names = {"config": "config.json", "weights": "model.weights.h5", "description": "lwcnn.json"}
        for key, change in changes.items():
            members[names[key]] = change(members[names[key]]) if callable(change) else change
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                if content is not None:
                    archive.writestr(name, content)
        return path

    return rewrite


@pytest.mark.parametrize("name", ["wren.tflite", "wren.onnx"])
def test_an_exported_file_is_no_model(tmp_path, name):
    (tmp_path / name).write_bytes(b"TFL3")
    refused(tmp_path / name, "An exported file runs in its own runtime.*give the .keras file")


def refused(path, pattern="cannot be read as a Keras model"):
    with pytest.raises(LwcnnError, match=pattern) as error:
        load_model(path)
    message = str(error.value)
    assert "\n" not in message and "Received: " in message and str(path) in message and len(message) < 700


# The description


def test_the_description_survives_the_file_and_keras_ignores_it(saved, made_dataset):
    model, path = saved
    assert read_description(path) == describe(made_dataset)
    assert [file.name for file in path.parent.iterdir()] == ["mine.keras"]
    for loaded in (load_model(path), keras.saving.load_model(path)):
        for weight, other in zip(loaded.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, other)


def test_the_description_and_the_shape_are_read_without_the_weights(saved, made_dataset, monkeypatch):
    seen, read = [], zipfile.ZipFile.read
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda self, one: seen.append(one.filename) or read(self, one))
    assert read_description(saved[1]) == describe(made_dataset)
    assert read_input_shape(saved[1]) == saved[0].input_shape[1:]
    assert seen == ["lwcnn.json", "config.json"]


def test_a_new_description_leaves_every_other_member_as_it_is(saved, tmp_path, made_dataset):
    model, plain = saved[0], tmp_path / "plain.keras"
    model.save(plain)
    assert read_description(plain) is None
    with zipfile.ZipFile(plain) as archive:
        before = {name: archive.read(name) for name in archive.namelist()}
    for seed in (1, 2):
        describe_model(plain, describe(made_dataset, seed=seed))
        assert read_description(plain).seed == seed
    with zipfile.ZipFile(plain) as archive:
        assert {name: archive.read(name) for name in archive.namelist() if name != "lwcnn.json"} == before
        assert archive.namelist().count("lwcnn.json") == 1


@pytest.mark.parametrize("content", [b"", b"null", b"{}", b"[1]", b"\xff", b"[" * 100_000, b'{"dataset": 1}'])
def test_a_damaged_description_is_refused(rewritten, content):
    path = rewritten(description=content)
    with pytest.raises(LwcnnError, match="cannot be read.*Received: "):
        read_description(path)


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": "1"}, {"temperature": 0}, {"temperature": -1.5}, {"temperature": float("nan")},
        {"temperature": [1]}, {"seed": None}, {"seed": 0.5}, {"val_accuracy": {}}, {"val_accuracy": float("inf")},
        {"config": []}, {"license": 5}, {"int8_bytes": "many"}, {"backend": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_description_with_a_field_of_another_type_is_refused(rewritten, change):
    path = rewritten(description=lambda old: json.dumps(json.loads(old) | change))
    with pytest.raises(LwcnnError, match=f"Give {next(iter(change))} as "):
        read_description(path)


@pytest.mark.parametrize("names", [None, [], "abc", [1, 2], {"a": 1}])
def test_class_names_are_a_list_of_strings(rewritten, names):
    path = rewritten(description=lambda old: json.dumps(json.loads(old) | {"class_names": names}))
    with pytest.raises(LwcnnError, match="class_names"):
        read_description(path)


def test_saves_in_parallel_do_not_disturb_each_other(saved, tmp_path, monkeypatch):
    """Another process that saves the same model in the middle of this one's saving."""
    model, path, pack = saved[0], tmp_path / "model.keras", io.pack

    def pack_after_another(*arguments):
        monkeypatch.setattr(io, "pack", pack)
        save_model(path, model)
        return pack(*arguments)

    monkeypatch.setattr(io, "pack", pack_after_another)
    save_model(path, model)
    assert load_model(path).count_params() == model.count_params()
    assert [file.name for file in tmp_path.iterdir()] == ["model.keras"]


# Broken files


def test_what_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo.keras")
    refused(tmp_path / "fifo.keras", "give a regular file")
    refused(tmp_path, "give a file")
    refused(tmp_path / "none.keras", "no such file")


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut short", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "broken.keras").write_bytes(content)
    refused(tmp_path / "broken.keras")


def test_flipped_and_cut_bytes_are_refused(saved, tmp_path):
    content, generator = saved[1].read_bytes(), np.random.default_rng(0)
    with zipfile.ZipFile(saved[1]) as archive:
        start = archive.getinfo("model.weights.h5").header_offset + 50
    path = tmp_path / "broken.keras"
    for place in generator.integers(start, start + 3000, 10):
        flipped = bytearray(content)
        flipped[place] ^= 255
        path.write_bytes(flipped)
        refused(path)
    for size in generator.integers(1, len(content) - 1, 10):
        path.write_bytes(content[:size])
        refused(path)


@pytest.mark.parametrize("config", [None, b"", b"null", b"[1]", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000])
def test_a_broken_configuration_is_refused(rewritten, config):
    path = rewritten(config=config)
    refused(path)
    assert read_input_shape(path) is None


@pytest.mark.parametrize("weights", [None, b"", b"no HDF5", b"\x89HDF\r\n\x1a\n" + bytes(500)])
def test_broken_weights_are_refused(rewritten, weights):
    refused(rewritten(weights=weights))


# Hostile files


@pytest.mark.parametrize(
    "part",
    [
        {"module": "keras.layers", "class_name": "Lambda", "config": {}},
        {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/tmp"}},
        {"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
        {"module": "builtins", "class_name": "eval", "config": {}},
        {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"},
        {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "get_file"},
        {"class_name": "__lambda__", "config": {"value": "4wAAAA=="}},
    ],
    ids=lambda part: part["class_name"],
)
def test_what_a_file_could_run_is_refused_before_keras_sees_it(rewritten, part, monkeypatch):
    def insert(config):
        changed = json.loads(config)
        changed["config"]["layers"][1]["config"]["kernel_initializer"] = part
        return json.dumps(changed)

    monkeypatch.setattr(keras.saving, "deserialize_keras_object", None)
    refused(rewritten(config=insert), "could run code or read files")


def test_a_compiled_model_loads_whatever_optimizer_it_names(tmp_path):
    model = build()
    model.compile(OptimizerConfig("sgd", lookahead=5).build(10), keras.losses.SparseCategoricalCrossentropy(True))
    model.save(tmp_path / "compiled.keras")
    loaded = load_model(tmp_path / "compiled.keras")
    assert not loaded.compiled
    for weight, other in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)


def test_what_a_compile_configuration_could_run_does_not_run(rewritten, monkeypatch):
    def compiled(config):
        evil = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
        return json.dumps(json.loads(config) | {"compile_config": {"optimizer": evil, "loss": evil}})

    monkeypatch.setattr(os, "system", lambda *command: pytest.fail("ran"))
    assert not load_model(rewritten(config=compiled)).compiled

    def nested(config):  # Keras compiles a model within a model even with compile=False
        changed = json.loads(config)
        changed["config"]["layers"][1] |= {"compile_config": json.loads(compiled(config))["compile_config"]}
        return json.dumps(changed)

    refused(rewritten(config=nested), "could run code or read files")


def test_weights_that_the_file_does_not_hold_are_refused_before_memory_is_asked_for(rewritten):
    path = rewritten(config=lambda config: config.replace(b'"units": 10', b'"units": 2000000000'))
    refused(path, "declares 1[0-9]{2},000,[0-9,]+ weights")


def test_maps_that_do_not_fit_in_memory_are_refused(tmp_path):
    image = keras.Input(SHAPE)
    model = keras.Model(image, keras.layers.GlobalMaxPooling2D()(keras.layers.UpSampling2D(10_000)(image)))
    model.save(tmp_path / "large.keras")
    refused(tmp_path / "large.keras", "compute [0-9,]+ values for each image")


def test_weights_that_declare_more_than_the_file_holds_are_refused(rewritten, tmp_path):
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.create_dataset("a", (30_000, 30_000), "f4", chunks=True, compression="gzip")  # 3.6 GB in a few kB
    refused(rewritten(weights=(tmp_path / "weights.h5").read_bytes()), "declares 3,600,000,000")


def test_a_member_that_unpacks_to_more_than_the_limit_is_refused(rewritten, monkeypatch):
    monkeypatch.setattr(description, "MAX_CONFIG_BYTES", 100_000)
    refused(rewritten(config=bytes(100_001)), "config.json would take 100,001 bytes")


def test_members_that_together_unpack_to_more_than_the_limit_are_refused(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(description, "MAX_CONFIG_BYTES", 100_000)
    monkeypatch.setattr(description, "MAX_WEIGHTS_BYTES", 1_000_000)
    path = shutil.copy(saved[1], tmp_path / "many.keras")
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(11):
            archive.writestr(f"assets/{number}", bytes(100_000), zipfile.ZIP_DEFLATED)
    refused(path, "its members would take 1,[0-9,]+ bytes")


# What is no logits


@pytest.mark.parametrize(
    "make",
    [
        lambda: build(activation="softmax"),
        lambda: build(keras.layers.Softmax()),
        lambda: build(keras.layers.Activation("softmax")),
    ],
)
def test_a_softmax_at_the_end_is_left_out_with_a_notice(make, tmp_path, caplog):
    model = make()
    images = np.random.default_rng(0).integers(0, 256, (5, *SHAPE), np.uint8)
    probabilities = model.predict(images, verbose=0)
    model.save(tmp_path / "softmax.keras")
    logits = predict_logits(load_model(tmp_path / "softmax.keras"), images).astype(float)
    load_model(tmp_path / "softmax.keras")
    assert caplog.text.count("ends in a softmax, which is removed") == 1
    assert (logits < 0).any()
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(exponentials / exponentials.sum(axis=1, keepdims=True), probabilities, atol=1e-5)


def test_another_activation_at_the_end_is_refused(tmp_path):
    build(activation="sigmoid").save(tmp_path / "sigmoid.keras")
    refused(tmp_path / "sigmoid.keras", "outputs are logits.*ends in sigmoid")


def test_a_softmax_at_the_end_of_a_nested_model_is_refused(tmp_path):
    image, base = keras.Input(SHAPE), build(activation="softmax")
    keras.Model(image, base(image)).save(tmp_path / "nested.keras")
    refused(tmp_path / "nested.keras", "outputs are logits.*ends in a softmax")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    model = build()
    weights = model.get_weights()
    weights[-1][3] = value
    model.set_weights(weights)
    model.save(tmp_path / "nan.keras")
    refused(tmp_path / "nan.keras", "NaN or infinity: the training diverged")
