"""The summary of a model: rows, memory against published figures, files and names, what is refused."""

import json
from dataclasses import replace

import keras
import pytest
from keras import layers

from lwcnn.cli.main import main
from lwcnn.experiments.recipes import EXPERIMENT_NAMES
from lwcnn.experiments.zoo import create_model
from lwcnn.models.baselines.resnet import build_resnet
from lwcnn.models.configs import RESNET_4443, SE_RESNET
from lwcnn.models.cost import costs, count_macs, memory, summary_text
from lwcnn.models.dual import build_dual_model, build_merged_model, build_submodel
from lwcnn.system.errors import LwcnnError


def published(used):
    return [f"{value:.2f}" for value in used.values()]


def test_memory_is_that_of_the_resnets_own_table():
    model = build_resnet((32, 32, 3), 10, replace(RESNET_4443, normalization=([0.0] * 3, [1.0] * 3)))
    assert published(memory(model)) == ["0.01", "10.16", "18.14", "28.31"]
    # By hand: stem, then five maps a block and two more where there is a projection, pooling and logits.
    values = 2 * 32 * 1024 + 20 * 32 * 1024 + 22 * 64 * 256 + 22 * 128 * 64 + 17 * 256 * 16 + 256 + 10
    assert memory(model)["passes"] == 2 * 4 * values / 2**20


def test_activations_overwrite_their_input():
    model = build_resnet((32, 32, 3), 10, SE_RESNET)
    assert published(memory(model))[2] == "18.71" and memory(model)["passes"] < 50


def test_views_of_an_input_and_operations_on_the_image_are_not_stored():
    images = keras.Input((4, 4, 3))
    x = layers.Normalization(mean=0.5, variance=1.0)(layers.Rescaling(1 / 255)(images))
    x = layers.Identity()(layers.Reshape((2, 24))(layers.LeakyReLU()(layers.Activation("tanh")(x))))
    assert memory(keras.Model(images, layers.Dense(5)(layers.Flatten()(x))))["passes"] == 2 * 4 * 5 / 2**20


def test_rows_of_the_merged_model():
    lines = [line.split() for line in summary_text(build_merged_model((32, 32, 3), 10)).splitlines()]
    assert ["original_conv1", "Conv2D", "30", "x", "30", "x", "10", "280"] in lines
    assert ["head_dense", "Dense", "32", "672"] in lines
    assert ["parameters", "19,622", "(19,622", "trainable)"] in lines


def test_models_inside_a_model_and_sequential_ones_count():
    inner = keras.Sequential(
        [keras.Input((4, 4, 3)), layers.Conv2D(2, 3, name="conv"), layers.ReLU(), layers.Flatten()]
    )
    images = keras.Input((4, 4, 3))
    outer = keras.Model(images, layers.Dense(5, name="logits")(inner(images)))
    rows = [line.split() for line in summary_text(outer).splitlines()]
    assert ["conv", "Conv2D", "2", "x", "2", "x", "2", "56"] in rows and ["logits", "Dense", "5", "45"] in rows
    assert memory(outer)["passes"] == 2 * 4 * (8 + 5) / 2**20
    assert memory(inner)["input"] == 4 * 48 / 2**20


def test_layers_that_were_called_in_another_model_count_as_they_are_called_here():
    conv = layers.Conv2D(8, 3, padding="same", name="conv")
    conv(keras.Input((64, 64, 1)))
    images = keras.Input((16, 16, 1))
    model = keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling2D()(conv(images))))
    assert memory(model)["passes"] == 2 * 4 * (16 * 16 * 8 + 8 + 3) / 2**20
    assert "16 x 16 x 8" in summary_text(model)


def test_a_summary_is_of_the_classes_and_images_asked_for_and_goes_to_json(tmp_path, capsys):
    path = tmp_path / "costs.json"
    assert main(["summary", "wren", "--classes=20", "--input-shape", "96", "96", "3", f"--json={path}"]) == 0
    model = create_model("wren", None, (96, 96, 3), 20)
    assert capsys.readouterr().out == f"{summary_text(model)}\n"
    assert json.loads(path.read_text()) == {"model": "wren", **costs(model)}


def test_a_layer_called_twice_or_an_open_shape_is_refused():
    images = keras.Input((4, 4, 3))
    conv = layers.Conv2D(3, 1, name="twice")
    with pytest.raises(LwcnnError, match="calls each layer once. Received: 'twice'"):
        memory(keras.Model(images, conv(conv(images))))
    images = keras.Input((None, None, 3))
    with pytest.raises(LwcnnError, match="fixed image shape. Received"):
        memory(keras.Model(images, layers.Conv2D(2, 3)(images)))
    with pytest.raises(LwcnnError, match="a built sequential model. Received"):
        memory(keras.Sequential([layers.Dense(3)]))


@pytest.mark.parametrize("name", ["paper", "single", "residual_se", "repo_baseline", "repo_residual_se"])
def test_models_by_name(name):
    model = create_model(name, None, (28, 28, 1), 7)
    assert model.input_shape == (None, 28, 28, 1) and model.output_shape == (None, 7)
    assert name in EXPERIMENT_NAMES and f"{count_macs(model):,}" in summary_text(model)


def test_the_command(tmp_path, capsys):
    assert main(["summary", "paper"]) == 0
    printed = capsys.readouterr().out
    for text in ("head_logits", "30 x 30 x 10", "19,622", "1,109,760", "MB"):
        assert text in printed
    path = tmp_path / "merged.keras"
    build_merged_model((32, 32, 3), 10).save(path)
    assert main(["summary", str(path)]) == 0
    assert capsys.readouterr().out == printed
    assert main(["summary", "paper", "--input-shape", "28", "28", "1"]) == 0
    assert "14,862" in capsys.readouterr().out


def test_a_dual_model_has_the_shapes_of_one_input_and_output():
    found = costs(build_dual_model([build_submodel((28, 28, 1), 10, name) for name in ("a", "b")]))
    assert (found["input_shape"], found["num_classes"], found["params"]) == ([28, 28, 1], 10, 13_860)


def test_a_broken_file_is_told_in_words(tmp_path, capsys):
    (tmp_path / "broken.keras").write_text("no model")
    assert main(["summary", str(tmp_path / "broken.keras")]) == 1
    assert "cannot be read as a Keras model" in capsys.readouterr().err
