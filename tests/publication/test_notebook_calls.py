"""What the notebook's cells call: where results are, what is trained, sentences that hold for their numbers."""

import re
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from made_data import ROOT, randomise
from matplotlib.figure import Figure

from lwcnn.evaluation import mean_and_interval
from lwcnn.experiments.run import Folders
from lwcnn.models.dual import build_merged_model, build_submodel
from lwcnn.models.merge import MergeCheck, check_merge, merge_submodels
from lwcnn.publication import notebook as story_package
from lwcnn.publication.figures import describe_layers
from lwcnn.publication.figures.catalogue import FIGURES
from lwcnn.publication.figures.inputs import Inputs, MissingInput
from lwcnn.publication.notebook import captions, committed_folders, opening, sentences, story
from lwcnn.publication.notebook.captions import CAPTIONS
from lwcnn.publication.notebook.remedies import command_for
from lwcnn.publication.notebook.trials import load_trials, plot_trials
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import write_json

COMMITTED = Folders(ROOT / "results", models=ROOT / "models")
SHOWN = ("training_curves", "confusion", "accuracy_bars", "per_class_accuracy", "ablation", "parameters", "macs")


@pytest.fixture
def told(monkeypatch):
    """What is shown: Markdown texts, and figures."""
    shown = []
    monkeypatch.setattr(story, "tell", shown.append)
    monkeypatch.setattr(opening, "tell", shown.append)
    monkeypatch.setattr(story, "show", lambda figure, sentence: shown.extend([figure, sentence]))
    return shown


@pytest.fixture
def own_data(made_dataset, monkeypatch, tmp_path):
    """Made data, opened from a folder without results of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "load_dataset", lambda name: made_dataset)
    return made_dataset


def test_committed_results_are_the_checkout_s_from_any_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("LWCNN_RESULTS", raising=False)
    monkeypatch.chdir(tmp_path)
    folders = committed_folders()
    assert (folders.results, folders.models) == (ROOT / "results", ROOT / "models")


def test_committed_results_may_be_elsewhere(monkeypatch, tmp_path):
    (tmp_path / "results").mkdir()
    monkeypatch.setenv("LWCNN_RESULTS", str(tmp_path / "results"))
    folders = committed_folders()
    assert (folders.results, folders.models) == (tmp_path / "results", tmp_path / "models")
    monkeypatch.setenv("LWCNN_RESULTS", str(tmp_path / "nowhere"))
    with pytest.raises(LwcnnError, match="LWCNN_RESULTS must name a folder.*nowhere"):
        committed_folders()


def test_a_library_without_its_checkout_has_none(monkeypatch, tmp_path):
    monkeypatch.delenv("LWCNN_RESULTS", raising=False)
    monkeypatch.setattr("lwcnn.__file__", str(tmp_path / "site-packages/lwcnn/__init__.py"))
    assert committed_folders() is None


def test_without_the_data_set_the_digits_are_taken_loudly(monkeypatch, made_dataset, told):
    monkeypatch.setattr(opening, "choose_dataset", lambda: (made_dataset, "NOT CIFAR-10: why"))
    opened = opening.open_story("cifar10", "full", [0])
    assert opened.trains_all and opened.preset == "quick" and opened.data is made_dataset
    assert told[0].startswith("> ## NOT CIFAR-10: why") and "everything shown is trained here" in told[0]


def test_wrong_parameters_are_refused(monkeypatch):
    with pytest.raises(LwcnnError, match="Did you mean 'quick'"):
        opening.open_story("digits", "quik", [0])
    for seeds in ([], [-1], ["0"]):
        with pytest.raises(LwcnnError, match="seeds must be"):
            opening.open_story("digits", "quick", seeds)


def test_everything_is_trained_on_data_without_committed_results(own_data, told, monkeypatch):
    assessed = []
    monkeypatch.setattr(story, "run_kfold", lambda *arguments: assessed.append(arguments[4]))
    opened = opening.open_story("made.npz", "smoke", [0])
    assert opened.trains_all and opened.trains_paper
    submodels, stage = opened.submodels()
    (run,) = opened.runs()
    assert stage["history"] == run["history"][0]["history"]  # found, not trained again
    assert [submodel.name for submodel in submodels] == ["original", "augmented"]
    assert run["weights"] and Path(f"runs/models/{own_data.name}-paper.keras").exists()
    opened.train(["single"])
    assert re.search(r"\| `single` \| [\d,]+ \| [\d.]+ % \|", told[-1])
    opened.kfold()
    assert assessed == [False, True]
    for name in ("ablation", "training_curves", "roc"):
        opened.show(name)
        assert isinstance(told[-2], Figure) and isinstance(told[-1], str), told[-1]
    opened.show("int8_bytes")
    assert told[-1].startswith("*Not shown (`int8_bytes`)") and "lwcnn export" in told[-1]
    opened.tell_of("improved", opened.describe_improved)
    assert "lwcnn train residual_se" in told[-1] and "--results runs/results" in told[-1]
    assert opened.own_file("mine").parent.is_dir()


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_committed_results_are_shown_where_there_are_any(preset, told, made_dataset):
    data = replace(made_dataset, name="cifar10")
    opened = story.Story(data, None, preset, (0, 1), COMMITTED, trains_all=False)
    assert opened.trains_paper == (preset == "quick")
    opened.train(["single", "unheard_of"])
    assert told[0].startswith("Taken from the committed results, not trained here: `single`. Not among")
    assert told[0].endswith("`unheard_of`.")
    opened.kfold()
    assert told[1] == "Taken from the committed results, not trained here."
    assert opened.committed_accuracy().num_values == 3
    if preset == "full":
        assert [run["seed"] for run in opened.runs()] == [0, 1]
        submodels, stage = opened.submodels()
        assert stage["name"] == "dual" and [submodel.count_params() for submodel in submodels] == [9310, 9310]
        with pytest.raises(LwcnnError, match=r"choose seeds of \[0, 1, 2\]. Received: \[7\]"):
            replace(opened, seeds=(7,)).runs()


def test_every_figure_but_diagrams_has_a_sentence_and_a_command():
    shown = [name for name in FIGURES if not name.startswith("architecture")]
    without = {"training_curves_best", "parameters_by_layer", "training_cost"}  # not in the notebook
    assert set(shown) - without == set(CAPTIONS)
    for name in (*CAPTIONS, "search", "kfold", "improved"):
        assert re.match(r"`lwcnn \w+ .*cifar10.*` makes what it needs", command_for(name, "cifar10")), name


@pytest.mark.parametrize("dataset", ["mnist", "cifar10"])
@pytest.mark.parametrize("name", SHOWN)
def test_captions_of_committed_results_are_sentences(dataset, name):
    text = CAPTIONS[name](Inputs(dataset, COMMITTED))
    assert text.endswith(".") and "nan" not in text and re.search(r"\d", text)


def write_runs(results, accuracies, experiment="paper", preset="quick"):
    """Runs of 100 test images in two classes, `accuracies` by seed; the first images are the mistaken ones."""
    labels = np.repeat([0, 1], 50).astype(np.uint8)
    for seed, right in enumerate(accuracies):
        wrong, folder = 100 - round(100 * right), results / "made" / experiment / preset
        classes = np.where(np.arange(100) < wrong, 1 - labels, labels).astype(np.uint8)
        matrix = [[int(((labels == a) & (classes == b)).sum()) for b in (0, 1)] for a in (0, 1)]
        phase = {"name": "all", "best_val_accuracy": right, "history": [{"val_accuracy": right}], "epochs": 1}
        write_json(folder / f"seed{seed}.json", {
            "dataset": "made", "experiment": experiment, "preset": preset, "seed": seed, "test_accuracy": right,
            "val_accuracy": right, "train_accuracy": 0.95, "confusion_matrix": matrix, "params": 1000 + wrong,
            "macs": 5000, "train_seconds": 12.0, "weights": None, "history": [phase],
            "per_class_accuracy": {"left": matrix[0][0] / 50, "right": matrix[1][1] / 50},
        })  # fmt: skip
        np.save(folder / f"seed{seed}_classes.npy", classes)
    np.save(results / "made" / "test_labels.npy", labels)


def test_captions_say_what_the_numbers_say(tmp_path, monkeypatch):
    write_runs(tmp_path, (0.80, 0.82))
    write_runs(tmp_path, (0.60, 0.62), "single")
    write_runs(tmp_path, (0.90, 0.92), "end_to_end")
    inputs = Inputs("made", Folders(tmp_path))
    monkeypatch.setattr(Inputs, "best_experiment", "end_to_end")
    assert "`end_to_end` (quick) is highest, with 91.00 %; the paper gives no figure" in CAPTIONS["accuracy_bars"](
        inputs
    )
    text = CAPTIONS["ablation"](inputs)
    assert "Lowest beside `paper` is `single` (-20.00 points), highest `end_to_end` (+10.00)" in text
    assert "wholly below nought for `single`; wholly above it for `end_to_end`" in text
    write_runs(tmp_path, (0.90, 0.70), "head_only")
    text = CAPTIONS["ablation"](Inputs("made", Folders(tmp_path)))
    assert "for `single`;" in text and "`head_only`" not in text.split(" The interval ")[1]
    text = CAPTIONS["confusion"](inputs)
    assert "`paper` takes 38.0 % of *left* for *right*, `end_to_end` takes 18.0 % of *left* for *right*" in text
    assert "*left* (+20.0 points) and least so for *right* (+0.0)" in text
    assert "`paper` is best at *right* (100.0 %), worst at *left* (62.0 %)" in CAPTIONS["per_class_accuracy"](inputs)
    assert "no published system is known here for these images" in CAPTIONS["parameters"](inputs)
    text = CAPTIONS["training_curves"](inputs)
    assert "80.0 % after `all`" in text and "95.0 % of its training images, 15.0 points more than" in text
    monkeypatch.setitem(captions.PAPER_ACCURACY, "made", 0.81)
    assert "2 of them are at or above the paper's 81 %" in CAPTIONS["accuracy_bars"](inputs)


def test_captions_without_results_say_what_is_missing(tmp_path):
    inputs = Inputs("made", Folders(tmp_path))
    for name, caption in CAPTIONS.items():
        with pytest.raises(MissingInput):
            print(name, caption(inputs))


@pytest.mark.parametrize(
    ("shape", "classes", "words"),
    [
        ((28, 28, 1), 10, "14,862 parameters; the paper claims 14,862 (parameters, MNIST), which holds"),
        ((32, 32, 3), 10, "19,622 parameters; the paper claims less than 20,000 (parameters, CIFAR-10), which holds"),
        ((12, 12, 3), 10, "the paper gives no count for such images"),
        ((28, 28, 1), 3, "the paper gives no count for such images"),
    ],
)
def test_counts_are_held_against_the_paper_s(shape, classes, words):
    assert words in sentences.compare_count(build_merged_model(shape, classes))


def test_a_count_that_is_not_the_paper_s_does_not_hold():
    images = keras.Input((32, 32, 3))
    large = keras.Model(images, keras.layers.Dense(10)(keras.layers.Flatten()(images)))
    assert "30,730 parameters" in sentences.compare_count(large) and "does not hold" in sentences.compare_count(large)


def test_an_exact_merge_is_told_from_another():
    submodels = [randomise(build_submodel((12, 12, 3), 10, name), i) for i, name in enumerate(("a", "b"))]
    images = np.random.default_rng(0).integers(0, 256, (20, 12, 12, 3), dtype=np.uint8)
    exact = sentences.describe_merge(check_merge(submodels, merge_submodels(submodels), images))
    assert exact.count("yes, to the bit") == 2 and "the merge is exact" in exact
    for other in (MergeCheck("a", True, 0.1, 5.0), MergeCheck("a", False, 0.0, 5.0)):
        assert "the merge is not exact" in sentences.describe_merge([other])


def test_stage_sentences():
    epochs = [
        {"original_logits_val_accuracy": a, "augmented_logits_val_accuracy": b} for a, b in ((0.5, 0.4), (0.4, 0.6))
    ]
    text = sentences.describe_branches({"history": epochs, "best_epoch": 2, "epochs": 2})
    assert "`original` 40.0 %, `augmented` 60.0 %. `augmented` is ahead by 20.0 points" in text
    merged = build_merged_model((28, 28, 1), 10)
    head = ["head_dense", "head_logits"]
    every = [layer.name for layer in merged.layers if layer.weights]
    run = {
        "history": [{}] + [
            {"name": name, "trains": trains, "epochs": 3, "best_val_accuracy": value}
            for name, trains, value in (("head", head, 0.7), ("all", every, 0.69))
        ],
        "dataset": "mnist", "seed": 4, "preset": "quick", "test_accuracy": 0.685, "warnings": ["a sign"],
    }  # fmt: skip
    table = sentences.unfreezing_table(run, merged).splitlines()
    assert table[2] == "| head | `head_dense`, `head_logits` | 1,002 | 3 | 70.00 % |"
    assert table[3] == "| all | everything | 14,862 | 3 | 69.00 % |"
    text = sentences.describe_unfreezing(run)
    assert "by -1.00 points" in text and "68.50 %; the paper says 99 %. Signs of trouble: a sign." in text
    assert "None of the signs" in sentences.describe_unfreezing(run | {"warnings": []})
    text = sentences.compare_runs([run], mean_and_interval([0.6, 0.7]))
    assert "65.00 ± 7.07 % (2 seeds); the runs here lie +3.50 points" in text
    assert sentences.compare_runs([run], None) == "Test accuracy: seed 4 68.50 %."
    assert "the dense layers that became 1x1 convolutions have 67 %" in sentences.describe_layers_of(
        describe_layers(merged)
    )


def test_folds_of_another_data_set_are_shown_as_such(tmp_path):
    run = {"experiment": "paper", "preset": "quick", "dataset": "mnist", "leaking": False, "accuracies": [0.9, 0.92]}
    leaking = run | {"leaking": True, "leak": 0.01, "test_accuracy": 0.9}
    write_json(tmp_path / "mnist/paper/quick/kfold2_seed0.json", run)
    write_json(tmp_path / "mnist/paper/quick/kfold2_leaking_seed0.json", leaking)
    text = sentences.describe_kfold(tmp_path, "cifar10")
    assert "with a model that is never reset, +1.00 points beside its test accuracy, 90.00 %" in text
    assert text.startswith("There is none of cifar10 (`lwcnn kfold paper --dataset cifar10`")
    assert "91.00 ± 1.41 % with every fold from scratch, the folds at most 2.00 points apart" in text
    assert sentences.describe_kfold(tmp_path, "mnist").startswith("`paper` (quick) on mnist, 2 folds: 91.00")
    with pytest.raises(MissingInput):
        sentences.describe_kfold(tmp_path, "made", fallback="digits")


def improved_run(accuracy, epochs=60, ema=0.998):
    phase = {"optimizer": {"ema": ema}, "batch_size": 128}
    return {
        "experiment": "residual_se", "preset": "full", "dataset": "cifar10", "params": 29_362,
        "test_accuracy": accuracy,
        "config": {"phases": [phase]}, "history": [{"epochs": epochs}], "num_train_images": 45_000,
    }  # fmt: skip


def test_improved_model_is_held_against_the_extension_s():
    base = [improved_run(0.67) | {"experiment": "paper", "params": 19_622}]
    text = sentences.describe_improved([improved_run(0.86), improved_run(0.88)], base)
    assert "87.00 ± 1.41 % of the test images, +20.00 points beside `paper`" in text
    assert "above the extension's 78.25 % with 83,920." in text and "trouble" not in text
    assert "not above the extension's" in sentences.describe_improved([improved_run(0.70)], base)
    poor = sentences.describe_improved([improved_run(0.1) | {"warnings": ["near chance", "never predicted: 3"]}], base)
    assert poor.endswith("Signs of trouble: near chance; never predicted: 3.")


def test_trials_are_shown_beside_their_base(tmp_path):
    with pytest.raises(MissingInput):
        load_trials(tmp_path, "cifar10")
    folder = tmp_path / "search/cifar10/12epochs"
    for name, value in (("base", 0.80), ("no_se", 0.79), ("rate_0.02", 0.83)):
        trial = {"trial": name, "dataset": "cifar10", "epochs": 12, "val_accuracy": value, "params": 29_000}
        write_json(folder / f"{name}-seed0.json", trial)
    found = load_trials(tmp_path, "cifar10")
    text = sentences.describe_search(found, 50)
    assert "3 of 50 trials" in text and "80.00 % of the validation images, 1 of the others more" in text
    assert "`rate_0.02` most, 83.00 %" in text
    axis = plot_trials(found).axes[0]
    assert [tick.get_text() for tick in axis.get_yticklabels()] == ["no_se", "rate_0.02"]
    assert axis.patches[0].get_width() == pytest.approx(-1.0)


def test_own_data_sentences(made_dataset):
    result = {"experiment": "paper", "params": 1234, "test_accuracy": 0.5, "train_seconds": 3.2}
    assert "300 training images of 10 classes" in sentences.describe_own(made_dataset, result)
    assert sentences.describe_predictions(np.array([0, 1, 1]), np.array([0, 1, 2])).startswith("2 of these 3")
    assert "Each class has 30 training images." in sentences.describe_classes(made_dataset)


def test_public_names_are_there():
    assert all(hasattr(story_package, name) for name in story_package.__all__)
