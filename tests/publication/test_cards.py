"""The model cards and descriptions in models/ say what the results say."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from made_data import ROOT
from publication.made_results import CLASSES, write_run

import lwcnn
from lwcnn.data.known import ImageSpec
from lwcnn.experiments.finetune import fine_tuning
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.release import describe_models
from lwcnn.models.description import Description, model_checksum
from lwcnn.publication.cards import make_cards, model_card, write_cards
from lwcnn.publication.evidence import Evidence
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import read_json, write_json
from lwcnn.system.settings import plain_settings

AGAIN = "run `lwcnn release --results results --models models`"


@pytest.fixture(scope="module")
def cards():
    """The cards of models/, by path."""
    return make_cards(Folders(ROOT / "results", models=ROOT / "models"))


def test_every_model_has_its_card_and_no_card_is_out_of_date(cards):
    assert {path.name for path in cards} == {path.name for path in (ROOT / "models").glob("*.md")}, AGAIN
    assert [path.name for path, text in cards.items() if path.read_text(encoding="utf-8") != text] == [], AGAIN


@pytest.mark.parametrize(
    ("model", "phases"),
    [
        ("mnist-paper_as_published", ["dual", "inverted", "all"]),
        ("cifar10-repo_baseline", ["original", "augmented", *(f"unfreezing_{k}" for k in (1, 2, 3, 4))]),
    ],
)
def test_a_card_lists_the_phases_in_the_order_of_training(model, phases):
    card = (ROOT / f"models/{model}.md").read_text(encoding="utf-8")
    table = card.partition("## Training")[2].partition("Training took")[0]
    assert [line.split("|")[1].strip() for line in table.strip().splitlines()[2:]] == phases


def test_no_description_is_out_of_date(tmp_path):
    shutil.copytree(ROOT / "models", tmp_path / "models")
    described = describe_models(Folders(ROOT / "results", models=tmp_path / "models"))
    before = {path: (ROOT / path.relative_to(tmp_path)).read_bytes() for path in described}
    assert [path.name for path, old in before.items() if path.read_bytes() != old] == [], AGAIN


def own_card(folder, group, model="cifar10-paper", config=None, **changes):
    """The card of a copy of a model, if a run of this group, by default with Wren's settings, had trained it."""
    config = config or plain_settings(lwcnn.get_experiment("wren"))
    run = write_run(folder / "results", group, 0, 5, config=config, step="engine", **changes)
    own = Path(shutil.copy(ROOT / f"models/{model}.keras", folder))
    return model_card(own, Description.of_run(read_json(run), CLASSES), Evidence(folder / "results"))


def test_the_card_names_the_network_that_a_fine_tuning_began_with_and_no_temperature_without_errors(tmp_path):
    config = plain_settings(fine_tuning("wren", ImageSpec((32, 32, 3), mirror=True)))
    scaled = {"temperature": 1.0, "ece_scaled": 0.1, "test_loss": 0.1, "test_loss_scaled": 0.1}
    card = own_card(tmp_path, "pets-1f3a90c2/finetune-wren/quick", config=config, **scaled)
    assert "Started with the weights of `wren`, then trained on 900 images of pets-1f3a90c2." in card
    assert "no temperature was fitted" in card


def test_the_card_of_ones_own_images_has_their_batch_size_and_no_data_set_that_a_command_does_not_know(tmp_path):
    changes = {"num_train_images": 600, "test_macro_accuracy": 0.729, "warnings": ["never predicted: crack"]}
    card = own_card(tmp_path, "pets-1f3a90c2/residual_se_muon/quick", **changes)
    assert "| all | muon | 0.0111 | 0.05 | 15 | 12 |" in card  # 600 images in 50 steps, not the recipe's 128
    assert "`lwcnn export cifar10-paper.keras --dataset path/to/images --format onnx`" in card
    assert "Trained on images of your own" in card and "Intended for teaching" not in card
    assert "| mean of the classes' accuracies | 72.90% |" in card and "- Warning: never predicted: crack.\n" in card


def test_the_card_of_ones_own_training_of_a_shipped_network_names_ones_own_file(tmp_path):
    name = "cifar10-residual_se_muon"
    card = own_card(tmp_path, "cifar10/residual_se_muon/quick", name)
    assert f'model = lwcnn.load_model("{name}.keras")' in card
    assert f"`lwcnn export {name}.keras --dataset cifar10 --format onnx`" in card


@pytest.mark.parametrize(("images", "shown"), [("c" * 64, True), ("other", False)])
def test_the_card_has_the_int8_accuracy_of_this_file_on_the_images_of_its_run(tmp_path, images, shown):
    """Whatever the name of the dataset that the export was checked on, such as without `-no_mirror`."""
    run = lwcnn.get_experiment("wren").name
    config = plain_settings(lwcnn.get_experiment("wren"))
    changes = {"num_train_images": 600, "config": config, "step": "engine", "data_checksum": "c" * 64}
    path = write_run(tmp_path / "results", f"pets-1f3a90c2-no_mirror/{run}/quick", 0, 5, **changes)
    told = replace(Description.of_run(read_json(path), CLASSES), int8_bytes=9)
    own = Path(shutil.copy(ROOT / "models/cifar10-paper.keras", tmp_path / "own.keras"))
    export = {"model": "own.keras", "format": "litert-int8", "dataset": "pets-1f3a90c2", "experiment": "x"}
    checked = {"model_sha256": model_checksum(own), "dataset_sha256": images, "accuracy_exported": 0.5}
    write_json(tmp_path / "results/export/x.json", export | checked | {"size_bytes": 9})
    card = model_card(own, told, Evidence(tmp_path / "results"))
    assert ("| int8, test accuracy | 50.00% |" in card) == shown and "| int8, file | 9 bytes |" in card


def test_a_page_that_is_no_list_of_models_is_not_replaced(tmp_path):
    (tmp_path / "README.md").write_text("# My project\n")
    with pytest.raises(LwcnnError, match="into a separate folder.*Received: .*README.md"):
        write_cards(Folders(tmp_path / "results", models=tmp_path))
    assert (tmp_path / "README.md").read_text() == "# My project\n"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "cifar10-wren_30k",
            "run `KERAS_BACKEND=jax lwcnn train wren-30k --dataset cifar10 --preset full --seeds 0 1 2",
        ),
        ("cifar10-wren_30k", " --precision mixed_bfloat16`."),
        ("cifar10-residual_se_muon", "run `lwcnn train wren --dataset cifar10 --preset full --seeds 0 1 2`."),
        ("mnist-no_unfreezing", "Published for comparison with the other networks, not for use."),
        ("cifar10-paper", "Intended for teaching"),
        ("cifar10-wren_100k_mixing", "--format litert-int8 --max-drop 0.4`:"),
        ("cifar10-wren_30k", "--format litert-int8`:"),
        (
            "cifar10-wren_30k_distilled",
            "The teacher was Wren-100k (`wren_100k`) with preset `full` (seeds: 0), at temperature 4; labels have 10%",
        ),
    ],
)
def test_a_card_says_how_the_network_was_trained_and_what_it_is_for(cards, name, words):
    assert words in cards[ROOT / f"models/{name}.md"]
