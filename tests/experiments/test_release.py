"""The released run: which one, what is written and replaced, and what is refused."""

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from made_data import describe, make_images

from lwcnn.cli.main import main
from lwcnn.evaluation.predict import predict_logits
from lwcnn.experiments import release
from lwcnn.experiments.folders import save_classes
from lwcnn.experiments.release import describe_models, is_at_chance, release_best
from lwcnn.models.description import Description, model_checksum, read_description
from lwcnn.models.io import load_model, save_model
from lwcnn.models.surgery import build_ensemble
from lwcnn.publication import cards
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import read_json, write_json
from lwcnn.system.locking import locked


@pytest.fixture
def add(folders, made_dataset):
    """A function that writes the files of a finished run and returns its result; no training."""

    def add(seed, val_accuracy=0.9, preset="quick", **changes):
        image, dense = keras.Input(made_dataset.input_shape), keras.layers.Dense(10)
        model = keras.Model(image, dense(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255, -0.5)(image))))
        patterns = make_images(10, made_dataset.input_shape)[0].reshape(10, -1).T / 255 - 0.5
        dense.set_weights([patterns * (1 + seed / 10), np.zeros(10)])
        kernel = dense.get_weights()[0]
        logits = (made_dataset.x_test.reshape(100, -1) / 255 - 0.5) @ kernel
        classes = logits.argmax(axis=1)
        result = vars(describe(made_dataset, preset=preset, seed=seed, val_accuracy=val_accuracy)) | {
            **{"train_accuracy": val_accuracy, "num_train_images": 270, "num_val_images": 30},
            "weights": None,
        }
        result |= changes
        result.pop("class_names")
        save_model(folders.model(result), model, Description.of_run(result, made_dataset.class_names))
        save_classes(folders.classes("made", "paper", preset, seed), classes)
        write_json(folders.result("made", "paper", preset, seed), result)
        return result

    return add


def weights(folders, preset="quick"):
    paths = sorted((folders.results / "made/paper" / preset).glob("seed?.json"))
    return [json.loads(path.read_text())["weights"] for path in paths]


def test_best_by_validation_is_released_and_replaced(folders, add, made_dataset):
    add(0, 0.5), add(1, 0.9), add(2, 0.7)
    path = release_best(made_dataset, "paper", folders)
    assert path == folders.models / "made-paper.keras" and read_description(path).seed == 1
    assert weights(folders) == [None, "models/made-paper.keras", None]
    with np.load(folders.results / "made/paper/quick/released.npz") as outputs:
        assert outputs["seed"] == 1 and outputs["logits"].dtype == outputs["features"].dtype == np.float16
        assert outputs["features"].shape == (100, made_dataset.x_test[0].size)
        np.testing.assert_array_equal(
            outputs["logits"].argmax(1), predict_logits(load_model(path), made_dataset.x_test).argmax(1)
        )
    folders.model(read_json(folders.result("made", "paper", "quick", 1))).unlink()  # which is released already
    assert release_best(made_dataset, "paper", folders) == path
    add(3, 0.95)
    assert release_best(made_dataset, "paper", folders) == path and read_description(path).seed == 3
    assert weights(folders) == [None, None, None, "models/made-paper.keras"]


def test_features_are_those_of_the_first_test_images(folders, add, made_dataset, monkeypatch):
    monkeypatch.setattr(release, "NUM_FEATURE_IMAGES", 7)
    add(0)
    release_best(made_dataset, "paper", folders)
    pixels = made_dataset.x_test[:7].reshape(7, -1) / 255 - 0.5
    with np.load(folders.results / "made/paper/quick/released.npz") as outputs:
        np.testing.assert_allclose(outputs["features"], pixels, atol=1e-3)


def test_features_are_the_inputs_of_the_last_dense_layer_of_the_last_member():
    image, (images, _) = keras.Input((4, 4, 3)), make_images(6, (4, 4, 3))
    members = []
    for units in (5, 7):
        hidden = keras.layers.Dense(units, "relu")(keras.layers.Flatten()(image))
        members.append(keras.Model(image, keras.layers.Activation("linear")(keras.layers.Dense(3)(hidden))))
    expected = keras.Model(image, members[1].layers[2].output).predict(images, verbose=0)
    assert expected.shape == (6, 7)
    for model in (members[1], build_ensemble(members)):
        np.testing.assert_array_equal(release.penultimate_features(model, images), expected)


def test_a_release_that_was_cut_off_before_its_result_was_written_is_completed(folders, add, made_dataset):
    result = add(0)
    path = release_best(made_dataset, "paper", folders)
    write_json(folders.result("made", "paper", "quick", 0), result)
    assert release_best(made_dataset, "paper", folders) == path
    assert weights(folders) == ["models/made-paper.keras"]


def test_of_equal_runs_the_lowest_seed_is_released(folders, add, made_dataset):
    for seed in (2, 0, 1):
        add(seed, 0.9)
    assert read_description(release_best(made_dataset, "paper", folders)).seed == 0


def test_a_larger_preset_replaces_the_release_of_a_smaller(folders, add, made_dataset):
    add(0, 0.95)
    release_best(made_dataset, "paper", folders)
    smaller = folders.results / "made/paper/quick/released.npz"
    assert smaller.exists()
    add(1, 0.5, preset="full"), add(2, 0.99, preset="smoke")
    assert read_description(release_best(made_dataset, "paper", folders)).preset == "full"
    assert not smaller.exists() and (folders.results / "made/paper/full/released.npz").exists()
    assert weights(folders) == [None] and weights(folders, "full") == ["models/made-paper.keras"]


def test_smoke_runs_are_never_released(folders, add, made_dataset):
    add(0, preset="smoke")
    assert release_best(made_dataset, "paper", folders) is None and not folders.models.exists()


def test_a_copy_of_a_result_is_no_run(folders, add, made_dataset):
    add(0)
    path = folders.result("made", "paper", "quick", 0)
    path.with_name("seed0 (copy).json").write_text(json.dumps(read_json(path) | {"seed": 5, "val_accuracy": 1.0}))
    assert read_description(release_best(made_dataset, "paper", folders)).seed == 0


def test_runs_of_another_configuration_or_data_keep_their_own_model(folders, add):
    first = add(0)
    for change in ({"config": {"dropout": 0.1}}, {"data_checksum": "b"}, {"backend": "jax"}, {"step": "keras"}):
        assert folders.model(first) != folders.model(first | change), change
    assert folders.model(first) == folders.model(first | {"test_accuracy": 0.1, "weights": "models/x.keras"})


def cut(path):
    path.write_bytes(path.read_bytes()[:3000])


def empty(path):
    path.write_bytes(b"")


def of_other_weights(path):
    model, description = load_model(path), read_description(path)
    model.set_weights([-weight for weight in model.get_weights()])
    save_model(path, model, description)


def of_two_images_off(path, num_images=2):
    """Its bias gives class 3 the few of the 90 other test images that are nearest to it."""
    model, description = load_model(path), read_description(path)
    logits = predict_logits(model, make_images(100, model.input_shape[1:], seed=1)[0])
    kernel, bias = model.get_weights()
    margins = np.sort(logits.max(axis=1) - logits[:, 3])
    bias[3] += margins[9 + num_images : 11 + num_images].mean()
    model.set_weights([kernel, bias])
    save_model(path, model, description)


def of_another_seed(path):
    model, description = load_model(path), read_description(path)
    save_model(path, model, Description(**vars(description) | {"seed": 7}))


@pytest.mark.parametrize("damage", [cut, empty, of_other_weights, of_two_images_off, of_another_seed])
def test_a_model_that_is_not_that_of_its_result_is_refused(folders, add, made_dataset, damage):
    result = add(0)
    damage(folders.model(result))
    with pytest.raises(LwcnnError, match="move the result .*seed0.json away and train again.*Received: .*seed0-"):
        release_best(made_dataset, "paper", folders)
    assert not folders.models.exists() and weights(folders) == [None]


def test_one_image_of_few_may_change_by_rounding(folders, add, made_dataset):
    of_two_images_off(folders.model(add(0)), num_images=1)
    assert release_best(made_dataset, "paper", folders) == folders.best_model("made", "paper")


def test_the_run_of_other_images_is_refused(folders, add, made_dataset):
    add(0)
    with pytest.raises(LwcnnError, match="seed0.json was made with other images than these of made"):
        release_best(replace(made_dataset, checksum="0" * 64), "paper", folders)
    assert not folders.models.exists()


def test_a_released_file_of_another_run_is_replaced(folders, add, made_dataset):
    add(0)
    path = release_best(made_dataset, "paper", folders)
    empty(path)
    assert release_best(made_dataset, "paper", folders) == path and read_description(path).seed == 0


@pytest.mark.parametrize("val_accuracy, classes", [(0.14, None), (0.9, 3)])
def test_a_run_at_chance_or_of_one_class_is_not_released(folders, add, made_dataset, val_accuracy, classes, caplog):
    add(0, val_accuracy)
    if classes is not None:
        save_classes(folders.classes("made", "paper", "quick", 0), np.full(100, classes))
    assert release_best(made_dataset, "paper", folders) is None
    assert (
        "seed0.json is no better than chance, or predicts a single class: its model stays" in caplog.text
        and not folders.models.exists()
    )


def test_a_longer_training_at_chance_does_not_hide_a_good_shorter_one(folders, add, made_dataset, caplog):
    add(0, 0.9), add(1, 0.1, preset="full")
    path = release_best(made_dataset, "paper", folders)
    assert read_description(path).preset == "quick" and "full/seed1.json is no better than chance" in caplog.text
    assert weights(folders) == ["models/made-paper.keras"] and weights(folders, "full") == [None]


@pytest.mark.parametrize("accuracy, expected", [(0.1, True), (0.26, True), (0.27, False)])
def test_chance_is_three_standard_errors_wide(accuracy, expected):
    """Of 30 images and ten classes: 0.1 and three times 0.0548."""
    result = {"train_accuracy": accuracy, "val_accuracy": accuracy, "num_train_images": 20, "num_val_images": 10}
    assert is_at_chance(result, np.arange(10), np.arange(10), 10) == expected


def test_a_good_model_with_few_validation_images_is_not_at_chance():
    """9 of 14 validation images and three classes: within three standard errors of guessing by themselves."""
    result = {"train_accuracy": 0.7, "val_accuracy": 9 / 14, "num_train_images": 132, "num_val_images": 14}
    assert not is_at_chance(result, np.arange(3), np.arange(3), 3)


@pytest.mark.parametrize("accuracy, expected", [(0.75, True), (1.0, False)])
def test_a_user_with_ten_photos_gets_a_model(accuracy, expected):
    """Three standard errors of 8 images and two classes reach above 100%."""
    result = {"train_accuracy": accuracy, "val_accuracy": accuracy, "num_train_images": 6, "num_val_images": 2}
    assert is_at_chance(result, np.arange(2), np.arange(2), 2) == expected


def test_one_predicted_class_is_right_for_test_images_of_one_class():
    result = {"train_accuracy": 0.9, "val_accuracy": 1.0, "num_train_images": 40, "num_val_images": 8}
    assert not is_at_chance(result, np.zeros(6), np.zeros(6), 2)
    assert is_at_chance(result, np.zeros(6), np.array([0, 0, 0, 0, 0, 1]), 2)


@pytest.mark.parametrize("content", ["null", "{}", "[1]", '{"val_accuracy": 1}'])
def test_a_file_that_is_no_result_is_named(folders, add, made_dataset, content):
    add(0)
    folders.result("made", "paper", "quick", 0).write_text(content)
    with pytest.raises(LwcnnError, match="seed0.json"):
        release_best(made_dataset, "paper", folders)


def test_two_trainings_that_end_together_release_one_after_the_other(folders, add, made_dataset):
    """The second waits for the first, then sees what it released: model, outputs and results stay of one run."""
    add(0, 0.5), add(1, 0.9)
    with ThreadPoolExecutor() as pool:
        with locked(folders.results / "made/paper", lambda note: None):
            waiting = pool.submit(release_best, made_dataset, "paper", folders)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=1)
            assert not folders.best_model("made", "paper").exists()
        assert waiting.result(timeout=60) == folders.best_model("made", "paper")
    assert weights(folders) == [None, "models/made-paper.keras"]


def test_nothing_to_release(folders, made_dataset, tmp_path):
    assert release_best(made_dataset, "paper", folders) is None
    assert not list(tmp_path.iterdir())


def test_a_description_says_what_was_measured_on_this_very_model(folders, add, made_dataset):
    with pytest.raises(LwcnnError, match="Train a model first.*Received: "):
        describe_models(folders)
    add(0, params=1234, temperature=1.5, seen="0123abcd")
    run = folders.result("made", "paper", "quick", 0)
    write_json(run, {key: value for key, value in read_json(run).items() if key != "seen"})
    path = release_best(made_dataset, "paper", folders)
    exported = {"model": path.name, "format": "litert-int8", "dataset": "made", "experiment": "paper"}
    exported["size_bytes"] = 777
    write_json(folders.results / "export/one.json", exported | {"model_sha256": "of another model"})
    assert describe_models(folders, "CC0") == [path] and read_description(path).int8_bytes is None
    write_json(folders.results / "export/two.json", exported | {"model_sha256": model_checksum(path)})
    describe_models(folders)
    told = read_description(path)
    assert (told.params, told.temperature, told.license, told.int8_bytes) == (1234, 1.5, "CC0", 777)
    assert told.seen == "0123abcd", "which only the file knows"
    save_model(other := path.with_name("other.keras"), load_model(path), replace(told, seed=7))
    with pytest.raises(LwcnnError, match="its run is not in the results. Received: .*other.keras"):
        describe_models(folders, "MIT")
    assert read_description(path) == told, "no file is changed"
    other.unlink()
    run.unlink()
    with pytest.raises(LwcnnError, match="its run is not in the results. Received: .*made-paper.keras"):
        describe_models(folders)


def test_lwcnn_release_says_which_models_state_no_license(folders, add, made_dataset, capsys, caplog, monkeypatch):
    monkeypatch.setattr(cards, "write_cards", lambda folders: [])
    add(0)
    path = release_best(made_dataset, "paper", folders)
    command = ["release", f"--results={folders.results}", f"--models={folders.models}"]
    assert main(command) == 0 and "1 model(s) state no license" in capsys.readouterr().out
    assert main([*command, "--license", "CC0"]) == 0 and "no license" not in capsys.readouterr().out
    assert read_description(path).license == "CC0" and "license was" not in caplog.text
    assert main([*command, "--license", "MIT"]) == 0 and "its license was CC0 and is now MIT" in caplog.text


def test_accuracies_are_weighted_by_their_numbers_of_images():
    """90 images at 10% and 10 at 50% are 14 of 100 right; three standard errors of ten classes end at 19."""
    result = {"train_accuracy": 0.1, "val_accuracy": 0.5, "num_train_images": 90, "num_val_images": 10}
    assert is_at_chance(result, np.arange(10), np.arange(10), 10)
    swapped = {"train_accuracy": 0.5, "val_accuracy": 0.1, "num_train_images": 90, "num_val_images": 10}  # 46 of 100
    assert not is_at_chance(swapped, np.arange(10), np.arange(10), 10)


@pytest.mark.parametrize("changed, refused", [(2, False), (3, True)])
def test_one_class_in_a_thousand_may_change_by_rounding(changed, refused, made_dataset, monkeypatch):
    result, classes = vars(describe(made_dataset)), np.arange(2000) % 10
    data = SimpleNamespace(name="made", checksum=made_dataset.checksum, x_test=np.zeros((2000, 1)))
    found = np.eye(10)[np.where(np.arange(2000) < changed, (classes + 1) % 10, classes)]
    monkeypatch.setattr(release, "_belongs", lambda *_: True)
    monkeypatch.setattr(release, "load_model", lambda path: None)
    monkeypatch.setattr(release, "predict_logits", lambda model, images: found)
    monkeypatch.setattr(release, "penultimate_features", lambda model, images: np.zeros((len(images), 2)))
    expected = pytest.raises(LwcnnError, match="does not give the classes") if refused else contextlib.nullcontext()
    with expected:
        release._verified_outputs(Path("seed0.json"), Path("trained.keras"), result, classes, data)


def test_a_latency_is_that_of_this_very_model(tmp_path):
    path = tmp_path / "made-paper.keras"
    image = keras.Input((4,))
    keras.Model(image, keras.layers.Dense(2)(image)).save(path)
    timed = {"another": 9.0}
    for _ in range(2):
        models = [
            {"model": path.name, "model_sha256": checksum, "rows": [{"name": "litert-int8", "batch1": {"p50_ms": ms}}]}
            for checksum, ms in timed.items()
        ]
        write_json(tmp_path / "bench.json", {"machine": {"device": "a CPU"}, "models": models})
        found = release._measured(path, tmp_path)
        assert (found["int8_ms"], found["int8_device"]) == ((0.5, "a CPU") if len(timed) > 1 else (None, None))
        timed[model_checksum(path)] = 0.5
