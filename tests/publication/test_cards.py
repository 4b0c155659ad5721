"""The model cards and descriptions in models/ say what the results say."""

import shutil

import pytest
from made_data import ROOT

import lwcnn
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.release import describe_models
from lwcnn.experiments.results import load_results
from lwcnn.publication.cards import make_cards

AGAIN = "run `lwcnn release --results results --models models`"


def test_every_model_has_its_card_and_no_card_is_out_of_date():
    cards = make_cards(Folders(ROOT / "results", models=ROOT / "models"))
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
    table = (
        (ROOT / f"models/{model}.md").read_text(encoding="utf-8").partition("## Training")[2].partition("It took")[0]
    )
    assert [line.split("|")[1].strip() for line in table.strip().splitlines()[2:]] == phases


def test_no_description_is_out_of_date(tmp_path):
    shutil.copytree(ROOT / "models", tmp_path / "models")
    described = describe_models(Folders(ROOT / "results", models=tmp_path / "models"))
    before = {path: (ROOT / path.relative_to(tmp_path)).read_bytes() for path in described}
    assert [path.name for path, old in before.items() if path.read_bytes() != old] == [], AGAIN


def test_listed_figures_are_those_of_the_results():
    runs = load_results(ROOT / "results")
    for row in lwcnn.list_models().to_dict("records"):
        experiment = lwcnn.get_experiment(row["name"]).name
        (run,) = runs[runs["weights"] == f"models/{row['dataset']}-{experiment}.keras"].to_dict("records")
        assert (row["parameters"], row["test_accuracy"]) == (run["params"], run["test_accuracy"])
