"""The networks by name: what is listed, what is loaded, and what a wrong name is told."""

import re
import shutil

import numpy as np
import pytest
from made_data import ROOT, describe, make_images, write_npz
from PIL import Image

import lwcnn
from lwcnn.cli.main import main
from lwcnn.data.datasets import load_dataset
from lwcnn.data.known import ImageSpec
from lwcnn.data.splits import join_hashes
from lwcnn.experiments.recipes import NETWORKS, get_experiment
from lwcnn.experiments.shipped import model_file
from lwcnn.experiments.zoo import _warn_of_seen, load_dataset_for
from lwcnn.models.description import describe_model, read_description
from lwcnn.system.errors import LwcnnError

EVERYWHERE = ("cifar10", "fashion_mnist", "mnist")


def test_every_shipped_network_is_listed_the_best_first():
    listed = lwcnn.list_models()
    expected = [(name, "cifar10") for name in ("wren-100k-mixing", "wren-100k", "wren-30k-distilled")]
    expected += [(name, "cifar10") for name in ("wren-30k", "wren-20k", "wren", "wren-fast")]
    expected += [("wren-15k", "fashion_mnist"), ("wren-15k", "mnist"), ("wren-10k", "cifar10")]
    expected += [("wren-5k", "cifar10"), ("wren-s", "cifar10")]
    expected += [(name, dataset) for name in ("wren-adamw", "paper-tuned", "paper") for dataset in EVERYWHERE]
    assert list(zip(listed["name"], listed["dataset"])) == expected
    assert (listed["int8_bytes"] > listed["parameters"]).all()
    assert listed.loc[0, "test_accuracy"] == listed["test_accuracy"][listed["dataset"] == "cifar10"].max()


def test_a_trained_network_knows_its_classes_and_an_untrained_one_takes_any_shape():
    wren = lwcnn.create_model("wren", pretrained="cifar10")
    assert wren.count_params() == 29_556 and wren.class_names[3] == "cat" and 1.2 < wren.temperature < 1.3
    same = lwcnn.create_model("residual_se_muon", pretrained="cifar10")  # by the name of its experiment
    np.testing.assert_array_equal(same.get_weights()[0], wren.get_weights()[0])
    other = lwcnn.create_model("wren", input_shape=(20, 24, 1), num_classes=7)
    assert (other.input_shape[1:], other.output_shape[1:]) == ((20, 24, 1), (7,))
    assert not hasattr(other, "class_names")


def test_a_data_set_is_loaded_as_the_model_takes_it(tmp_path, caplog):
    model = tmp_path / "model.keras"
    lwcnn.create_model("wren", input_shape=(20, 24, 3), num_classes=2).save(model)
    images, _ = make_images(8, (40, 60, 3))
    for number, image in enumerate(images):
        path = tmp_path / f"photos/{'ab'[number % 2]}/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    untold = load_dataset_for([model], str(tmp_path / "photos"))
    assert (untold.input_shape, len(untold.x_test)) == ((20, 24, 3), 8)
    assert "does not say which images it has seen" in caplog.text
    trained = load_dataset(tmp_path / "photos", size=(20, 24, 3))
    describe_model(model, describe(trained, seen=join_hashes(trained.x_train)))
    assert load_dataset_for([model], str(tmp_path / "photos")).checksum == trained.checksum
    shutil.copytree(tmp_path / "photos", tmp_path / "renamed")
    (tmp_path / "renamed/c").mkdir()
    Image.fromarray(make_images(9, (40, 60, 3))[0][8]).save(tmp_path / "renamed/a/new.png")
    added = load_dataset_for([model], str(tmp_path / "renamed"))
    assert (len(added.x_train), len(added.x_test)) == (6, 3)
    (tmp_path / "held_out/b").mkdir(parents=True)
    (tmp_path / "renamed/a/new.png").rename(tmp_path / "held_out/b/1.png")
    held_out = load_dataset_for([model], str(tmp_path / "held_out"))
    assert (held_out.y_test.tolist(), held_out.class_names) == ([1], ("a", "b"))
    (tmp_path / "held_out/b").rename(tmp_path / "held_out/d")
    with pytest.raises(LwcnnError, match="the model's classes, a, b. Received: d .in '"):
        load_dataset_for([model], str(tmp_path / "held_out"))
    shutil.rmtree(tmp_path / "held_out/d")
    shutil.copytree(tmp_path / "photos/b", tmp_path / "held_out/b")
    for image in (tmp_path / "held_out/b").iterdir():
        pixels = np.asarray(Image.open(image).resize((24, 20), Image.Resampling.BILINEAR))
        if (trained.x_test == pixels).all((1, 2, 3)).any():
            image.unlink()
    caplog.clear()
    assert len(load_dataset_for([model], str(tmp_path / "held_out")).x_test) == 3
    assert "was trained on 3 of 3 test images" in caplog.text
    other = tmp_path / "other.keras"
    shutil.copy(model, other)
    describe_model(other, describe(trained, seen=join_hashes(trained.x_test[:1])))
    caplog.clear()
    assert len(load_dataset_for([other, model], str(tmp_path / "photos")).x_test) == 1 and not caplog.messages
    (tmp_path / "unreadable/a").mkdir(parents=True)
    (tmp_path / "unreadable/a/0.png").touch()
    with pytest.raises(LwcnnError, match="Give at least one image in 'images'"):
        load_dataset_for([model], str(tmp_path / "unreadable"))
    arrays = write_npz(tmp_path / "arrays.npz", (40, 60, 3))
    assert load_dataset_for([model], str(arrays)).input_shape == (40, 60, 3), "it was not trained on them"
    data = load_dataset(arrays, size=(20, 24, 3))
    describe_model(model, describe(data))
    assert load_dataset_for([model], str(arrays)).checksum == data.checksum


def test_a_name_stands_for_its_experiment_and_its_file():
    for name, experiment in NETWORKS.items():
        assert get_experiment(name).name == experiment
    assert model_file("wren") == model_file("residual_se_muon") == ROOT / "models/cifar10-residual_se_muon.keras"
    assert model_file("paper", "mnist") == ROOT / "models/mnist-paper.keras"
    assert read_description(model_file("paper", "my.npz")).dataset == "cifar10"
    assert model_file(ROOT / "models/mnist-paper.keras") == ROOT / "models/mnist-paper.keras"
    with pytest.raises(LwcnnError, match="no such model"):
        model_file("no/path.keras")


def test_the_columns_of_the_list_are_aligned(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(line for line in lines if line.split()[:2] == ["name", "data"]).index("data")
    trained = [line for line in lines if line.split()[:1] and line.split()[0] in NETWORKS]
    rows = trained[: len(lwcnn.list_models())]
    assert all(line[start - 1] == " " and line[start:].split()[0] in EVERYWHERE for line in rows)


def test_commands_take_the_names(tmp_path, capsys):
    Image.fromarray(make_images(1, (60, 80, 3))[0][0]).save(tmp_path / "photo.png")
    assert main(["predict", "wren-s", str(tmp_path / "photo.png")]) == 0
    assert "photo.png" in capsys.readouterr().out
    assert main(["summary", "wren"]) == 0 and "29,556" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", "wern"])
    assert "Did you mean 'wren'" in capsys.readouterr().err


def test_the_readme_s_five_lines_classify_a_photo(tmp_path, monkeypatch, capsys):
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    assert len([line for line in code.splitlines() if line]) <= 5
    Image.fromarray(make_images(1, (60, 80, 3))[0][0]).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    exec(code, found := {})
    shown = capsys.readouterr()
    label = re.search(r"photo.png\s+(\w+)", shown.out)[1]
    assert label in found["model"].class_names and "wren-s" in shown.out and shown.err == ""


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: lwcnn.create_model("wrn"), "network or experiment. Did you mean 'wren'.*Received: 'wrn'"),
        (lambda: lwcnn.create_model("wren", "mnist"), "Known: wren on cifar10. Received: 'wren on mnist'"),
        (lambda: lwcnn.create_model("wren", "cifar10", num_classes=7), "Leave out.*Received: .*7"),
        (lambda: lwcnn.create_model("residual_se_muon", "mnist"), "trained network.*Received: 'residual_se_muon on mn"),
        (lambda: lwcnn.create_model("wren", input_shape=(64, 64)), r"\(height, .*Received: \(64, 64\)"),
        (lambda: lwcnn.create_model("wren", input_shape=32), r"\(height, width, channels\).*Received: 32"),
        (lambda: lwcnn.create_model("wren", input_shape=None), "Received: None"),
        (lambda: lwcnn.create_model("wren", input_shape=(32.0, 32, 3)), r"Received: \(32.0, 32, 3\)"),
        (lambda: lwcnn.create_model("wren", input_shape=(32, 0, 3)), r"Received: \(32, 0, 3\)"),
        (lambda: lwcnn.create_model("wren", num_classes=2.5), "an integer of at least 2. Received: 2.5"),
        (lambda: lwcnn.build_dual_model([]), r"one or more submodels with different names. Received: \[\]"),
        (lambda: lwcnn.build_dual_model([lwcnn.build_submodel((28, 28, 1), 10)] * 2), "different names"),
        (lambda: model_file("wren-x"), "neither a .keras file nor a trained network. Did you mean 'wren"),
    ],
)
def test_what_is_not_there_is_told_with_the_nearest(call, words):
    with pytest.raises(LwcnnError, match=words):
        call()


@pytest.mark.parametrize("side", [64, 96])
def test_networks_and_recipes_fit_larger_images(side):
    """Half of the networks at either size."""
    images, spec = make_images(2, (side, side, 3))[0], ImageSpec((side, side, 3), mirror=True)
    assert get_experiment("wren", dataset=spec).phases[0].augmentation.crop_padding == side // 8
    for name in list(NETWORKS)[side == 96 :: 2]:
        model = lwcnn.create_model(name, input_shape=spec.shape, num_classes=200)
        assert lwcnn.predict_logits(model, images).shape == (2, 200)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seen": 5}, "wren.keras was trained on 5 of 100 test images, so accuracy is too high"),
        ({"seen": 1}, ""),  # a hash of 32 bits can be another image's
        ({"seen": 0}, ""),
        (
            {"dataset": "pets", "data_checksum": "of others"},
            "wren.keras was trained on pets; if that has some of these",
        ),
        ({}, ""),
    ],
)
def test_a_model_that_has_or_may_have_seen_test_images_is_told(changes, said, made_dataset, caplog):
    if "seen" in changes:
        changes = {"seen": join_hashes(made_dataset.x_test[: changes["seen"]])}
    _warn_of_seen("wren.keras", describe(made_dataset, **changes), made_dataset)
    assert (said in caplog.text) if said else not caplog.text
