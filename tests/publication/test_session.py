"""The notebook's session: where results are, what is trained, what is shown, with texts for those who can't see it."""

import base64
import io
from dataclasses import replace
from pathlib import Path

import pytest
from made_data import ROOT
from matplotlib.figure import Figure
from PIL import Image
from publication.made_results import write_run

from lwcnn.experiments.folders import Folders
from lwcnn.publication.notebook import session
from lwcnn.publication.notebook.session import committed_folders
from lwcnn.system.errors import LwcnnError

COMMITTED = Folders(ROOT / "results", models=ROOT / "models")


@pytest.fixture
def shown(monkeypatch):
    """What is shown: pairs of figure and alt text, and Markdown."""
    found = []
    monkeypatch.setattr("IPython.display.display", lambda markdown: found.append(markdown.data))
    monkeypatch.setattr(session, "show", lambda figure, alt: found.append((figure, alt)))
    return found


def test_committed_results_are_the_checkouts(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert committed_folders() == replace(COMMITTED, cache=committed_folders().cache)


def test_a_library_without_its_checkout_has_none(monkeypatch, tmp_path):
    monkeypatch.setattr("lwcnn.__file__", str(tmp_path / "site-packages/lwcnn/__init__.py"))
    assert committed_folders() is None


def test_without_the_data_set_the_digits_are_taken_with_a_notice(monkeypatch, made_dataset):
    monkeypatch.setattr(session, "choose_dataset", lambda: (made_dataset, "NOT CIFAR-10: why"))
    opened = session.open_session("cifar10", "full", [0])
    assert opened.trains_all and opened.preset == "quick" and opened.data is made_dataset
    assert opened.notice == "NOT CIFAR-10: why"


def test_wrong_parameters_are_refused():
    with pytest.raises(LwcnnError, match="Did you mean 'quick'"):
        session.open_session("digits", "quik", [0])
    for seeds in ([], [-1], ["0"]):
        with pytest.raises(LwcnnError, match="Give one or more seeds"):
            session.open_session("digits", "quick", seeds)


def test_on_data_without_committed_results_paper_and_wren_are_trained(made_dataset, shown, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(session, "load_dataset", lambda name: made_dataset)
    opened = session.open_session("made.npz", "smoke", [0], "plots")
    submodels, stage = opened.submodels()
    (run,) = opened.runs()
    assert stage["history"] == run["history"][0]["history"]  # found, not trained again
    assert run["weights"] and Path(f"runs/models/{made_dataset.name}-paper.keras").exists()
    opened.show("training_curves")
    figure, alt = shown[-1]
    assert isinstance(figure, Figure) and alt.startswith("Accuracy, loss and learning rate by epoch")
    assert Path("plots/made/training_curves.png").exists()
    assert not Path("visualizations").exists()
    opened.show("robustness")
    assert shown[-1].startswith("*Not shown:")
    assert opened.published.dataset == "cifar10"
    opened.show("ablation")
    figure, _ = shown[-1]
    assert "CIFAR-10" in figure.get_suptitle()


def test_runs_of_a_larger_preset_made_elsewhere_are_not_those_of_the_session(made_dataset, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for preset, wrong in (("full", 5), ("quick", 20)):  # `lwcnn run` trains digits with `full`
        write_run(session.OWN_FOLDERS.results, f"made/paper/{preset}", 0, wrong)
    shown = session.Session(made_dataset, "quick", (0,), session.OWN_FOLDERS).inputs
    assert [one.preset for one in shown.networks] == ["quick"]
    assert shown.network("paper").accuracy.mean == pytest.approx(0.8)


def test_few_images_are_the_first_classes_alone(made_dataset, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    few = session.Session(made_dataset, "smoke", (0,), COMMITTED).few_images(3, 60, 20)
    assert (len(few.x_train), len(few.x_test), few.class_names) == (60, 20, made_dataset.class_names[:3])
    kept = {image.tobytes() for image in made_dataset.x_train[made_dataset.y_train < 3]}
    assert {image.tobytes() for image in few.x_train} <= kept


def test_committed_results_are_shown_where_there_are_any(made_dataset):
    opened = session.Session(replace(made_dataset, name="cifar10"), "quick", (0, 1), COMMITTED)
    opened.train("residual_se_muon")  # does nothing: it is committed
    assert not opened.trains_all and opened.published.dataset == "cifar10"


def test_a_figure_is_a_small_png_whose_alt_text_has_the_titles(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    figure = Figure(figsize=(4, 2))
    left, _ = figure.subplots(1, 2)
    left.set_title("Training\ncurves")
    figure.suptitle("CIFAR-10")
    session.show(figure, "Accuracy by epoch.")
    data, metadata = shown[0]._repr_png_()
    assert metadata == {"alt": "Accuracy by epoch. CIFAR-10. Training curves."}
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.size == (420, 210)


def test_every_figure_of_the_catalogue_says_what_it_shows():
    assert all((function.__doc__ or "").split("\n")[0].endswith(".") for function in session.FIGURES.values())
