"""Tests fine-tuning: a new head on trained layers, unfrozen step by step, from Python and from the command line."""

import math
import shutil

import keras
import numpy as np
import pytest
from made_data import describe, make_images, randomize
from PIL import Image

from lwcnn.cli.main import main
from lwcnn.data.datasets import load_dataset
from lwcnn.data.known import ImageSpec
from lwcnn.data.splits import is_among, join_hashes
from lwcnn.experiments.finetune import fine_tuning, finetune, load_to_finetune
from lwcnn.models.configs import ResidualSEConfig, Stage
from lwcnn.models.description import describe_model, model_checksum, read_archive, read_description
from lwcnn.models.dual import build_merged_model
from lwcnn.models.io import load_model
from lwcnn.models.residual_se import build_residual_se
from lwcnn.models.surgery import replace_head
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import write_json

SHAPE = (12, 12, 3)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Path of a small trained network (its weights are random) of seven classes."""
    model = build_residual_se(SHAPE, 7, ResidualSEConfig(stem=16, stages=(Stage(16, 1),)))
    path = tmp_path_factory.mktemp("start") / "start.keras"
    randomize(model).save(path)
    return path


@pytest.mark.parametrize("shape", [SHAPE, (16, 20, 3)])
def test_a_new_head_keeps_every_other_weight(start, shape):
    model = load_model(start)
    copy = replace_head(model, 3, shape)
    assert copy.input_shape == (None, *shape) and copy.output_shape == (None, 3)
    for layer in model.layers:
        same = layer.name != "head_logits"
        for old, new in zip(layer.get_weights(), copy.get_layer(layer.name).get_weights(), strict=True):
            assert np.array_equal(old, new) == same
    assert model.output_shape == (None, 7)


def test_a_sequential_model_gets_a_new_head():
    model = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(5)])
    for shape in ((16, 16, 3), (16, 20, 3)):  # whose size the head depends on
        assert replace_head(model, 2, shape).output_shape == (None, 2)


def test_what_gets_no_new_head_says_why():
    images = keras.Input((16, 16, 3))
    pooled = keras.Model(images, keras.layers.GlobalAveragePooling2D()(images))
    with pytest.raises(LwcnnError, match="ends in a dense layer or a convolution"):
        replace_head(pooled, 2, (16, 16, 3))
    fixed = keras.Model(images, keras.layers.Reshape((5,))(keras.layers.Dense(5)(pooled(images))))
    with pytest.raises(LwcnnError, match="fixes the number of classes. Received: 2 classes for"):
        replace_head(fixed, 2, (16, 16, 3))


def test_a_network_that_needs_its_size_says_so():
    merged = build_merged_model(SHAPE, 10)
    assert replace_head(merged, 2, SHAPE).output_shape == (None, 2)
    for side in (4, 24):
        with pytest.raises(
            LwcnnError, match=rf"with size=\(12, 12, 3\).*Received: images of shape \({side}, {side}, 3\)"
        ):
            replace_head(merged, 2, (side, side, 3))


def test_images_get_the_size_and_channels_of_the_network(start):
    gray = make_images(40, (20, 20, 1), num_classes=4)
    assert load_to_finetune(start, gray).input_shape == SHAPE
    assert load_to_finetune(start, gray, size=16).input_shape == (16, 16, 3)


def test_the_validation_folder_has_the_validation_images(start, tmp_path, folders, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    images, labels = make_images(60, (18, 24, 3), num_classes=3)
    for number, (image, label) in enumerate(zip(images, labels)):
        part = "train" if number < 33 else "val" if number < 48 else "test"
        (tmp_path / "pets" / part / "abc"[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "pets" / part / "abc"[label] / f"{number}.png")
    result = finetune(start, tmp_path / "pets", "smoke", folders=folders)
    counts = result["num_train_images"], result["num_val_images"], sum(map(sum, result["confusion_matrix"]))
    assert counts == (33, 15, 12)
    shutil.move(tmp_path / "pets" / "train" / "b", tmp_path / "pets" / "b")
    with pytest.raises(LwcnnError, match="Add training images.* of every class. Received: only validation images of b"):
        finetune(start, tmp_path / "pets", "smoke", folders=folders)


@pytest.mark.parametrize(
    "settings, said", [({"size": 16}, "size=16, mirror=None"), ({"mirror": False}, "size=None, mirror=False")]
)
def test_a_loaded_data_set_is_not_converted(start, made_dataset, settings, said):
    with pytest.raises(LwcnnError, match=f"to load_dataset when.*Received: {said}$"):
        finetune(start, made_dataset, **settings)


def test_layers_are_unfrozen_step_by_step(start, made_dataset, folders):
    result = finetune(start, made_dataset, "smoke", folders=folders, learning_rate=0.005)
    layers = [one for one in load_model(folders.model(result)).layers if one.weights]
    counts = [sum(math.prod(weight.shape) for weight in one.trainable_weights) for one in layers]
    trained = [phase["trainable_params"] for phase in result["history"]]
    assert trained == [sum(one) for one in (counts[-1:], counts[-(len(counts) // 2) :], counts)]
    assert result["config"]["start"] == "start.keras"
    assert result["experiment"] == f"finetune-start-{model_checksum(start)[:8]}-rate0.005"
    assert str(start.parent).encode() not in read_archive(folders.model(result))["lwcnn.json"]
    assert load_model(folders.model(result)).output_shape == (None, 10)
    assert finetune(start, made_dataset, "smoke", folders=folders, learning_rate=0.005) == result
    config = result["config"] | {"start": str(start)}  # earlier versions stored the path
    write_json(folders.result(made_dataset.name, result["experiment"], "smoke", 0), result | {"config": config})
    assert finetune(start, made_dataset, "smoke", folders=folders, learning_rate=0.005)["config"] == config
    config |= {"checksum": "0" * 64}
    write_json(folders.result(made_dataset.name, result["experiment"], "smoke", 0), result | {"config": config})
    with pytest.raises(LwcnnError, match=r"differs in: checksum \(of the network from which fine-tuning starts\)"):
        finetune(start, made_dataset, "smoke", folders=folders, learning_rate=0.005)


def test_a_start_that_has_seen_test_images_is_told_and_its_images_are_remembered(
    start, made_dataset, folders, tmp_path
):
    shutil.copy(start, tmp_path / "start.keras")
    describe_model(tmp_path / "start.keras", describe(made_dataset, seen=join_hashes(made_dataset.x_test[:5])))
    result = finetune(tmp_path / "start.keras", made_dataset, "smoke", folders=folders)
    assert f"trained on 5 of {len(made_dataset.x_test)} test images" in " ".join(result["warnings"])
    seen = read_description(folders.model(result)).seen
    assert is_among(made_dataset.x_train, seen).all() and is_among(made_dataset.x_test, seen).sum() == 5


def test_another_start_of_the_same_name_has_its_own_results(start, made_dataset, folders, tmp_path):
    """With one name, the better of both would be released, whichever was asked for."""
    model = load_model(start)
    randomize(model, seed=9)
    model.save(tmp_path / start.name)
    one, other = (fine_tuning(path, made_dataset.spec) for path in (start, tmp_path / start.name))
    assert one.name != other.name and one.name.startswith("finetune-start-")
    shutil.copy(start, tmp_path / start.name)
    assert fine_tuning(tmp_path / start.name, made_dataset.spec).name == one.name
    assert fine_tuning("wren", made_dataset.spec).name == "finetune-wren"


def test_from_a_folder_to_predictions(start, tmp_path, monkeypatch, capsys):
    """What a user does: fine-tune on a folder of photos, evaluate, predict."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.chdir(tmp_path)
    images, labels = make_images(60, (18, 24, 3), num_classes=3)
    for number, (image, label) in enumerate(zip(images, labels)):
        (tmp_path / "pets" / "abc"[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[:, : 18 + number % 7]).save(tmp_path / "pets" / "abc"[label] / f"{number}.png")
    line = ["--dataset=pets", "--no-mirror", "--epochs=24", "--batch-size=16", "--progress=none"]
    assert main(["finetune", str(start), *line]) == 0
    model = capsys.readouterr().out.split()[-1]
    data = load_dataset("pets", size=SHAPE)
    assert (
        model == f"runs/models/{data.name}-no_mirror-finetune-start-{model_checksum(start)[:8]}-epochs24-batch16.keras"
    )
    assert main(["finetune", str(start), *line, "--progress=line"]) == 0  # found again
    assert capsys.readouterr().out.endswith(f"\nmodel  {model}\nnext   lwcnn predict {model} photo.png\n")
    assert main(["finetune", str(start), *line, "--preset=smoke", "--progress=line"]) == 0
    out = capsys.readouterr().out
    assert ": starts from start.keras, with images of 12x12 pixels in color\n" in out
    assert out.endswith("\nmodel  none: a smoke test keeps its model in the cache\n")
    assert main(["evaluate", model, "--dataset=pets"]) == 0
    said = capsys.readouterr()
    assert f"{data.name}, 12 test images" in said.out and said.err == ""
    assert main(["predict", model, "pets/a/0.png", "--calibrated"]) == 0
    image, label, probability = capsys.readouterr().out.splitlines()[1].split(",")
    assert (image, label) == ("pets/a/0.png", "a") and 0.4 < float(probability) <= 1
    with pytest.raises(SystemExit, match="2"):
        main(["finetune", str(start)])
    assert "required: --dataset" in capsys.readouterr().err


def test_most_epochs_train_all_layers_and_the_new_head_has_the_highest_rate():
    phases = fine_tuning("wren-s", ImageSpec((32, 32, 3), True), "full").phases
    found = [(phase.name, phase.epochs, phase.optimizer.learning_rate) for phase in phases]
    assert found == [("head", 12, 0.04), ("last_half", 12, 0.01), ("all", 36, 0.01)]  # of 60 epochs


def test_a_network_of_one_layer_trains_it_in_every_phase(tmp_path):
    parts = [keras.layers.Flatten(), keras.layers.Dense(7)]
    keras.Sequential([keras.Input(SHAPE), *parts]).save(tmp_path / "one.keras")
    phases = fine_tuning(tmp_path / "one.keras", ImageSpec(SHAPE, True)).phases
    assert [phase.trainable for phase in phases] == [1, 1, "all"]


def test_a_model_with_a_long_name_gets_a_short_one(start, tmp_path):
    path = shutil.copy(start, tmp_path / f"{'a' * 225}.keras")
    assert len(fine_tuning(path, ImageSpec(SHAPE, True)).name) < 80
