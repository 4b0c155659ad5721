"""Whole runs on made data: what is written, found again, refused; experiments as data; warning signs."""

import dataclasses
import hashlib
import itertools
import json
import shutil
import types
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from lwcnn.data.augment import PAPER_AUGMENTATION, PUBLISHED_AUGMENTATION, Augmentation
from lwcnn.data.datasets import load_dataset
from lwcnn.data.images import Images, Split
from lwcnn.data.known import ImageSpec
from lwcnn.data.splits import hash_images
from lwcnn.evaluation.metrics import measure_calibration
from lwcnn.evaluation.predict import predict_logits
from lwcnn.experiments import identity, pipeline, run, sequence
from lwcnn.experiments.folders import load_classes, save_classes
from lwcnn.experiments.recipes import (
    EXPERIMENT_NAMES,
    PRESETS,
    DistilledExperiment,
    ReproductionExperiment,
    get_experiment,
    get_preset,
    with_settings,
)
from lwcnn.experiments.recipes.presets import augmentation
from lwcnn.experiments.recipes.types import changed
from lwcnn.experiments.run import Folders, run_experiment
from lwcnn.experiments.sequence import PhaseSequence
from lwcnn.models.dual import build_merged_model
from lwcnn.system.errors import LwcnnError
from lwcnn.training.checkpoint import PhaseState
from lwcnn.training.devices import Computing
from lwcnn.training.phases import Phase, trainable_layer_names
from lwcnn.training.progress import Progress

ISSUE_FIELDS = {
    "dataset", "data_checksum", "experiment", "preset", "seed", "config", "params", "trainable_params", "macs",
    "val_accuracy", "test_accuracy", "test_loss", "ece", "per_class_accuracy", "confusion_matrix", "history",
    "train_seconds", "backend", "device", "versions", "commit", "weights", "warnings",
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(made_dataset, tmp_path_factory):
    """(folders, result) of a finished smoke run of `paper`; the tests leave it as it is."""
    folder = tmp_path_factory.mktemp("finished")
    folders = Folders(folder / "results", folder / "cache")
    return folders, run_experiment("paper", made_dataset, "smoke", 0, folders, notice="made data")


@pytest.fixture
def copied(finished, tmp_path):
    """Folders of the test's own that hold the finished run."""
    shutil.copytree(finished[0].results, tmp_path / "results")
    return Folders(tmp_path / "results", tmp_path / "cache")


@pytest.fixture
def no_training(monkeypatch):
    def refuse(*arguments, **named):
        raise AssertionError("trained again")

    monkeypatch.setattr(run, "train_experiment", refuse)


def test_folders_may_be_strings():
    folders = Folders("one", "two", None, models="three")
    assert folders == Folders(Path("one"), Path("two"), None, Path("three"))
    assert folders.best_model("mnist", "paper") == Path("three/mnist-paper.keras")


def saved_classes(folders, seed=0):
    return load_classes(folders.classes("made", "paper", "smoke", seed))


def without_seconds(result):
    """The history without its durations."""
    return [
        {k: v for k, v in phase.items() if k not in ("seconds", "history")}
        | {"history": [{k: v for k, v in record.items() if k != "seconds"} for record in phase["history"]]}
        for phase in result["history"]
    ]


def test_result_has_what_the_issue_lists_and_is_what_the_file_holds(finished):
    folders, result = finished
    assert ISSUE_FIELDS <= set(result)
    path = folders.results / "made" / "paper" / "smoke" / "seed0.json"
    assert path == folders.result("made", "paper", "smoke", 0)
    assert json.loads(path.read_text()) == json.loads(json.dumps(result))
    assert {p.name for p in path.parent.iterdir()} == {"seed0.json", "seed0_classes.npz"}  # nothing half written


def test_what_the_result_says(finished, made_dataset):
    _, result = finished
    identity = [result[k] for k in ("dataset", "experiment", "preset", "seed", "notice")]
    assert identity == ["made", "paper", "smoke", 0, "made data"]
    assert result["data_checksum"] == made_dataset.checksum
    # 12x12x3: maps of 10x10 and 3x3, a branch; pooled to 5x5 and 1x1, so 20 features.
    assert result["params"] == result["trainable_params"] == 2 * (280 + 1_820 + 210) + 672 + 330
    assert result["macs"] == 2 * (100 * 27 * 10 + 9 * 90 * 20 + 20 * 10) + 20 * 32 + 32 * 10
    assert (result["num_train_images"], result["num_val_images"]) == (270, 30)
    assert result["backend"] == keras.backend.backend()
    assert result["versions"]["keras"] == keras.version() and result["versions"]["python"]
    assert result["device"] and result["train_seconds"] > 0 and result["weights"] is None
    assert isinstance(result["warnings"], list)
    assert [phase["name"] for phase in result["history"]] == ["dual", "head", "all"]
    assert [phase["trainable_params"] for phase in result["history"]] == [4_620, 672 + 330, result["params"]]
    for phase in result["history"]:
        assert phase["epochs"] == len(phase["history"]) == 1
        assert phase["best_val_accuracy"] == phase["history"][0]["val_accuracy"]
    assert result["val_accuracy"] == pytest.approx(result["history"][-1]["best_val_accuracy"], abs=1e-6)
    assert sum(phase["seconds"] for phase in result["history"]) == pytest.approx(result["train_seconds"], abs=0.05)


def test_classes_confusion_matrix_and_accuracies_agree(finished, made_dataset):
    folders, result = finished
    classes, labels = saved_classes(folders), made_dataset.y_test
    assert classes.dtype == np.uint8 and classes.shape == (100,)
    matrix = np.zeros((10, 10), int)
    np.add.at(matrix, (labels, classes), 1)
    assert result["confusion_matrix"] == matrix.tolist()
    assert result["test_accuracy"] == pytest.approx((classes == labels).mean())
    shares = {str(k): pytest.approx(matrix[k, k] / matrix[k].sum()) for k in range(10)}
    assert result["per_class_accuracy"] == shares


def test_kept_model_gives_the_result_again(finished, made_dataset):
    folders, result = finished
    plan = get_experiment("paper", "smoke", made_dataset.spec)
    model = keras.saving.load_model(folders.model(result))
    assert {type(layer).__module__.partition(".")[0] for layer in model.layers} == {"keras"}, "plain Keras layers"
    logits = predict_logits(model, made_dataset.x_test)
    np.testing.assert_array_equal(logits.argmax(1), saved_classes(folders))
    loss = log_loss(made_dataset.y_test, softmax(logits.astype(float), axis=1))
    assert result["test_loss"] == pytest.approx(loss, rel=1e-5)
    training, validation = (part.arrays() for part in identity.split_images(made_dataset, plan, get_preset("smoke")))
    val_logits = predict_logits(model, validation[0])
    fitted = measure_calibration(val_logits, validation[1], logits, made_dataset.y_test)  # never on test images
    assert {name: result[name] for name in fitted} == pytest.approx(fitted, rel=1e-4)
    assert result["val_accuracy"] == round((val_logits.argmax(1) == validation[1]).mean(), 6)
    assert result["train_accuracy"] == round((predict_logits(model, training[0]).argmax(1) == training[1]).mean(), 6)


def test_calibration_error_and_macro_accuracy_are_those_of_the_test_images(made_dataset, folders):
    kept = np.delete(np.arange(100), np.flatnonzero(made_dataset.y_test == 0)[3:])  # of class 0 three, of others ten
    data = dataclasses.replace(made_dataset, x_test=made_dataset.x_test[kept], y_test=made_dataset.y_test[kept])
    result = run_experiment("single", data, "smoke", 0, folders)
    model = keras.saving.load_model(folders.model(result))
    probabilities = softmax(model.predict(data.x_test, verbose=0).astype(float), axis=1)
    confidence, correct = probabilities.max(1), probabilities.argmax(1) == data.y_test
    bins = np.ceil(15 * confidence)
    gaps = [abs(correct[bins == b].sum() - confidence[bins == b].sum()) for b in range(1, 16)]
    assert result["ece"] == pytest.approx(sum(gaps) / len(correct), rel=1e-4)
    by_class = [correct[data.y_test == label].mean() for label in range(10)]
    assert result["test_macro_accuracy"] == pytest.approx(np.mean(by_class))
    assert result["test_macro_accuracy"] != pytest.approx(result["test_accuracy"])


def test_the_display_is_given_the_test_images_with_their_classes(made_dataset, folders):
    class Keeping(Progress):
        def end_run(self, *arguments):
            kept.append(arguments)

    kept: list = []
    result = run_experiment("single", made_dataset, "smoke", 0, folders, Keeping("none"))
    ((told, images, classes, path),) = kept
    assert told == result and path == folders.result("made", "single", "smoke", 0)
    np.testing.assert_array_equal(images, made_dataset.x_test)
    assert np.mean(classes == made_dataset.y_test) == result["test_accuracy"]


def test_copies_of_an_image_are_never_in_both_parts_of_a_run(made_dataset):
    images, labels = made_dataset.x_train[:100], made_dataset.y_train[:100]
    data = dataclasses.replace(made_dataset, x_train=images.repeat(3, axis=0), y_train=labels.repeat(3))
    split = identity.split_images(data, get_experiment("paper", "quick"), get_preset("quick"))
    found = [{image.tobytes() for image in data.x_train[part.indices]} for part in split]
    assert all(found) and sum(map(len, found)) == len(set.union(*found)) == 100
    assert sorted(np.concatenate([part.indices for part in split])) == list(range(300))


@pytest.mark.usefixtures("no_training")
def test_second_call_finds_the_result_and_trains_nothing(finished, made_dataset, made_npz):
    folders, result = finished
    before = {p: p.stat().st_mtime_ns for p in Path(folders.results).rglob("*")}
    assert run_experiment("paper", made_dataset, "smoke", 0, folders) == json.loads(json.dumps(result))
    assert (
        run_experiment("paper", dataclasses.replace(load_dataset(made_npz), name="made"), "smoke", 0, folders) == result
    )
    assert {p: p.stat().st_mtime_ns for p in Path(folders.results).rglob("*")} == before


def test_the_same_seed_gives_the_same_bits_again(finished, made_dataset, folders):
    first_folders, first = finished
    again = run_experiment("paper", made_dataset, "smoke", 0, folders)
    np.testing.assert_array_equal(saved_classes(folders), saved_classes(first_folders))
    for field in ("val_accuracy", "train_accuracy", "test_accuracy", "test_loss", "ece", "confusion_matrix"):
        assert again[field] == first[field], field
    assert without_seconds(again) == without_seconds(first)
    models = [keras.saving.load_model(f.model(first)) for f in (first_folders, folders)]
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_seed_gives_another_run_beside_it(made_dataset, folders, monkeypatch):
    monkeypatch.setattr(run, "mixed_computing", lambda history: [f"{len(history)} phases"])
    first, other = (run_experiment("paper_tuned", made_dataset, "smoke", seed, folders) for seed in (0, 1))
    assert other["config"] == first["config"] and (first["seed"], other["seed"]) == (0, 1)
    assert without_seconds(other) != without_seconds(first)
    assert first["warnings"][-1] == other["warnings"][-1] == "2 phases"
    assert [phase["name"] for phase in first["history"]] == ["dual", "all"] and first["params"] == 5_622
    files = {path.name for path in folders.result("made", "paper_tuned", "smoke", 0).parent.iterdir()}
    assert files == {f"seed{seed}{end}" for seed in (0, 1) for end in (".json", "_classes.npz")}


@pytest.mark.usefixtures("no_training")
def test_a_results_folder_with_the_labels_of_other_images_is_refused(made_dataset, folders):
    save_classes(folders.results / "made" / "test_labels.npz", (made_dataset.y_test + 1) % 10)
    with pytest.raises(LwcnnError, match="test_labels.npz has the labels of other test images"):
        run_experiment("paper", made_dataset, "smoke", 0, folders)


def edited(folders, **changes):
    path = folders.result("made", "paper", "smoke", 0)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.usefixtures("no_training")
def test_result_of_another_configuration_is_refused(copied, made_dataset):
    config = json.loads(copied.result("made", "paper", "smoke", 0).read_text())["config"]
    edited(copied, config=config | {"dropout": 0.25})
    with pytest.raises(LwcnnError, match="another configuration; move it away.*Received.*differs in: dropout") as error:
        run_experiment("paper", made_dataset, "smoke", 0, copied)
    assert "seed0.json" in str(error.value)
    augmentation = {"rotation": 0.5}
    edited(copied, config=config | {"branches": [config["branches"][0], ["augmented", augmentation]]})
    with pytest.raises(LwcnnError, match=r"differs in: branches\.1\.1\.brightness, .*branches\.1\.1\.rotation"):
        run_experiment("paper", made_dataset, "smoke", 0, copied)
    edited(copied, config=config | {"computing": {"precision": "mixed_bfloat16"}})
    for computing in (Computing(), Computing(precision="mixed_float16")):
        with pytest.raises(LwcnnError, match="differs in: computing.*give the same --precision and --devices"):
            run_experiment("paper", made_dataset, "smoke", 0, copied, computing=computing)


@pytest.mark.usefixtures("no_training")
def test_a_result_is_taken_whatever_words_describe_its_experiment(copied, made_dataset):
    config = json.loads(copied.result("made", "paper", "smoke", 0).read_text())["config"]
    edited(copied, config=config | {"question": "words of an earlier version"})
    assert run_experiment("paper", made_dataset, "smoke", 0, copied)["experiment"] == "paper"


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    "content", ["", '{"config": ', "[1, 2]", "{}", '{"config": [], "data_checksum": "", "test_accuracy": 0}']
)
def test_a_file_that_is_no_result_is_refused_and_kept(copied, made_dataset, content):
    path = copied.result("made", "paper", "smoke", 0)
    path.write_text(content)
    with pytest.raises(LwcnnError, match="seed0.json"):
        run_experiment("paper", made_dataset, "smoke", 0, copied)
    assert path.read_text() == content


@pytest.mark.parametrize(
    "experiment, preset, nearest",
    [("papr", "smoke", "paper"), ("end_to_ende", "smoke", "end_to_end"), ("paper", "quik", "quick")],
)
def test_unknown_names_are_refused_with_the_nearest_before_anything_is_written(
    made_dataset, folders, experiment, preset, nearest
):
    with pytest.raises(LwcnnError, match=f"Did you mean '{nearest}'"):
        run_experiment(experiment, made_dataset, preset, 0, folders)
    assert not Path(folders.results).exists() and not Path(folders.cache).exists()


def test_an_unknown_dataset_is_refused_with_the_nearest(folders):
    with pytest.raises(
        LwcnnError, match="Unknown dataset, neither a known name nor a folder that exists. Did you mean 'cifar10'"
    ):
        run_experiment("paper", "cifar1O", "smoke", 0, folders)


def test_no_two_runs_share_a_file():
    places = [
        (dataset, experiment, preset, seed)
        for dataset in ("mnist", "cifar10")
        for experiment in EXPERIMENT_NAMES
        for preset in PRESETS
        for seed in (0, 1)
    ]
    for kind in (Folders().result, Folders().classes):
        assert len({kind(*place) for place in places}) == len(places)
    settings = {"config": {}, "data_checksum": "a", "backend": "jax", "step": "keras"}
    runs = [dict(zip(("dataset", "experiment", "preset", "seed"), place, strict=True)) | settings for place in places]
    assert len({Folders().model(run) for run in runs}) == len(places)


def test_validation_part_is_the_same_for_every_seed_and_disjoint_from_training(made_dataset):
    plan, size = get_experiment("paper", "quick"), get_preset("quick")
    training, validation = identity.split_images(made_dataset, plan, size)
    assert not set(training.indices) & set(validation.indices)
    assert sorted([*training.indices, *validation.indices]) == list(range(300))
    assert (np.bincount(made_dataset.y_train[validation.indices]) == 3).all()
    # A preset of fewer images keeps the validation part, and takes its own from the training part by class.
    few, same = identity.split_images(made_dataset, plan, dataclasses.replace(size, num_images=50))
    np.testing.assert_array_equal(same.indices, validation.indices)
    assert set(few.indices) <= set(training.indices)
    assert (np.bincount(made_dataset.y_train[few.indices]) == 5).all()
    # Of two limits, the preset's and the experiment's, the smaller holds.
    for of_preset, of_plan in ((30, 50), (50, 30)):
        plan, size = dataclasses.replace(plan, num_images=of_plan), dataclasses.replace(size, num_images=of_preset)
        assert len(identity.split_images(made_dataset, plan, size)[0].indices) == 30


# Experiments as data


def every_phase(plan):
    """All phases of an experiment, those of its submodels first."""
    if isinstance(plan, ReproductionExperiment):
        return (*(phase for _, phase in plan.branches), *plan.phases)
    dual = getattr(plan, "dual", None)
    return (*([dual] if dual else []), *plan.phases)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", EXPERIMENT_NAMES)
def test_every_experiment_is_plain_data(name, preset):
    for dataset in ("cifar10", "fashion_mnist", "mnist", ImageSpec((48, 64, 3), False)):
        plan = get_experiment(name, preset, dataset)
        assert plan.name == name and plan.question and plan.phases
        assert plan == get_experiment(name, preset, dataset)
        json.dumps(dataclasses.asdict(plan), allow_nan=False)  # raises where it is no plain data
        with pytest.raises(dataclasses.FrozenInstanceError):
            plan.validation = 0.3
        names = [phase.name for phase in every_phase(plan)]
        assert len(set(names)) == len(names)
    for phase in every_phase(plan):
        phase.optimizer.build(num_steps=10)
        assert phase.epochs <= 3 or preset != "smoke"
    if isinstance(plan, DistilledExperiment):
        assert plan.teacher.preset == ("smoke" if preset == "smoke" else "full")


def differences(plan, other):
    fields = (f.name for f in dataclasses.fields(plan) if f.name not in ("name", "question"))
    return {name for name in fields if getattr(plan, name) != getattr(other, name)}


def epochs(plan):
    return sum(phase.epochs for phase in every_phase(plan))


@pytest.mark.parametrize("preset", PRESETS)
class TestAblations:
    def pair(self, name, preset):
        return get_experiment("paper", preset), get_experiment(name, preset)

    def test_paper(self, preset):
        paper, size = get_experiment("paper", preset), PRESETS[preset]
        assert paper.branches == (("original", None), ("augmented", PAPER_AUGMENTATION))
        assert paper.reuse_dense_weights == ("original", "augmented") and paper.dropout == 0.5
        dual, (head, everything) = paper.dual, paper.phases
        assert (dual.epochs, head.epochs, everything.epochs) == (size.dual_epochs, size.head_epochs, size.all_epochs)
        assert (dual.patience, dual.trainable, head.trainable, everything.trainable) == (5, "all", ("head_*",), "all")
        assert [p.optimizer.name for p in (dual, head, everything)] == ["nadam", "nadam", "sgd"]
        assert (everything.optimizer.learning_rate, everything.optimizer.momentum) == (0.001, 0.9)

    def test_single(self, preset):
        paper, single = self.pair("single", preset)
        assert differences(paper, single) == {"branches", "reuse_dense_weights"}
        assert single.branches == (("original", None),) and single.reuse_dense_weights == ("original",)

    def test_single_wide(self, preset):
        single, wide = get_experiment("single", preset), get_experiment("single_wide", preset)
        assert differences(single, wide) == {"filters"}
        plans = get_experiment("paper", preset), wide
        sizes = [pipeline.build_model(plan, (32, 32, 3), 10).count_params() for plan in plans]
        assert sizes == [19_622, 19_501], "as many parameters as two branches, within 1%"

    def test_submodel_wide(self, preset):
        wide, alone = get_experiment("single_wide", preset), get_experiment("submodel_wide", preset)
        assert alone.phases == (dataclasses.replace(wide.dual, name="all"),) and alone.network.filters == wide.filters
        assert pipeline.build_model(alone, (32, 32, 3), 10).count_params() == 18_819, "the rest is the head"

    def test_dual_no_augment(self, preset):
        paper, plain = self.pair("dual_no_augment", preset)
        assert differences(paper, plain) == {"branches"}
        assert plain.branches == (("original", None), ("augmented", None))

    def test_no_unfreezing(self, preset):
        paper, straight = self.pair("no_unfreezing", preset)
        assert differences(paper, straight) == {"phases"}
        (only,) = straight.phases
        assert dataclasses.replace(only, epochs=paper.phases[-1].epochs) == paper.phases[-1]
        assert epochs(straight) == epochs(paper)

    def test_layerwise(self, preset):
        paper, layerwise = self.pair("layerwise", preset)
        assert differences(paper, layerwise) == {"phases"}
        assert epochs(layerwise) == epochs(paper) or preset == "smoke", "each phase has an epoch"
        model = build_merged_model((32, 32, 3), 10)
        trained = [set(trainable_layer_names(model, phase)) for phase in layerwise.phases]
        added = [later - earlier for earlier, later in itertools.pairwise(trained)]
        units = ("dense_as_conv", "conv2", "conv1")
        assert added == [{f"original_{unit}", f"augmented_{unit}"} for unit in units]
        assert {phase.optimizer for phase in layerwise.phases[1:]} == {paper.phases[-1].optimizer}

    def test_low_rate(self, preset):
        paper, low = self.pair("low_rate", preset)
        assert low.phases[-1].optimizer.learning_rate == 1e-4
        assert changed(low, {"phases.1.optimizer.learning_rate": 0.001, "name": "paper"}).phases == paper.phases

    def test_head_only(self, preset):
        paper, head = self.pair("head_only", preset)
        assert differences(paper, head) == {"phases"} and head.phases == paper.phases[:1]

    def test_reinit_merge(self, preset):
        paper, fresh = self.pair("reinit_merge", preset)
        assert differences(paper, fresh) == {"reuse_dense_weights"} and fresh.reuse_dense_weights == ()

    def test_nadam_throughout(self, preset):
        paper, nadam = self.pair("nadam_throughout", preset)
        assert differences(paper, nadam) == {"phases"} and nadam.phases[0] == paper.phases[0]
        assert dataclasses.replace(nadam.phases[1], optimizer=paper.phases[1].optimizer) == paper.phases[1]
        assert nadam.phases[1].optimizer == paper.dual.optimizer

    def test_end_to_end(self, preset):
        paper, one_go = self.pair("end_to_end", preset)
        assert differences(paper, one_go) == {"dual", "phases"} and one_go.dual is None
        assert epochs(one_go) == epochs(paper)
        assert one_go.phases[0].trainable == "all" and one_go.phases[0].optimizer == paper.dual.optimizer

    def test_paper_as_published(self, preset):
        published = get_experiment("paper_as_published", preset)
        assert published.branches == (("original", None), ("augmented", PUBLISHED_AUGMENTATION))
        assert PUBLISHED_AUGMENTATION.brightness == 0
        phases = (published.dual, *published.phases)
        assert {phase.batch_size for phase in phases} == {32}
        assert {phase.min_delta for phase in phases} == {0.001}
        assert published.dual.best_per_branch and [phase.start_from_epoch for phase in phases] == [3, 0, 0]
        assert published.reuse_dense_weights == ("original",)
        inverted, everything = published.phases
        assert (inverted.trainable, inverted.frozen) == ("all", ("head_logits",))
        sgd = everything.optimizer
        assert (sgd.name, sgd.learning_rate, sgd.momentum, sgd.nesterov, sgd.weight_decay) == (
            "sgd", 0.001, 0.9, True, 1e-4,
        )  # fmt: skip
        if preset == "full":  # the author's notebook
            assert [(p.epochs, p.patience) for p in phases] == [(20, 5), (10, 5), (50, 10)]

    def test_paper_both_converted(self, preset):
        published, both = (get_experiment(name, preset) for name in ("paper_as_published", "paper_both_converted"))
        assert differences(published, both) == {"reuse_dense_weights"}
        assert both.reuse_dense_weights == ("original", "augmented")


def test_only_recipes_that_flip_depend_on_the_data_and_digits_are_never_flipped():
    for name in EXPERIMENT_NAMES:
        changed = differences(get_experiment(name, "quick", "mnist"), get_experiment(name, "quick", "cifar10"))
        assert bool(changed - {"network"}) == flips(name, "cifar10")  # gray images have smaller networks
        assert not flips(name, "mnist") and not flips(name, "digits")
        assert not flips(name, ImageSpec((32, 32, 3), mirror=False))
        for size in ("quick", "full"):  # whatever it is called, an own dataset of CIFAR-10's kind is trained alike
            assert get_experiment(name, size, ImageSpec((32, 32, 3), True)) == get_experiment(name, size, "cifar10")
    assert flips("paper_tuned", "cifar10") and flips("narrow_resnet18", "fashion_mnist")
    assert not flips("paper", "cifar10") and not flips("repo_residual_se", "cifar10")


def flips(name, dataset):
    """Whether an experiment mirrors images of the dataset, in any phase and branch."""
    plan = get_experiment(name, "full", dataset)
    found = [phase.augmentation for phase in every_phase(plan)]
    found += [a for _, a in getattr(plan, "branches", ()) if isinstance(a, Augmentation)]
    return any(a and (a.horizontal_flip or a.vertical_flip) for a in found)


# Splits, batches and seeds of a run


def test_all_runs_share_one_validation_split():
    """Committed results rest on it."""
    labels = np.arange(1000) * 7 % 10
    images = np.arange(1000)[:, None]
    images = images[np.argsort(hash_images(images)[0])]  # in canonical order
    data = types.SimpleNamespace(x_train=images, y_train=labels, class_names=tuple("0123456789"), is_validation=None)
    training, validation = identity.split_images(data, get_experiment("paper"), get_preset("quick"))
    digest = hashlib.sha256(validation.indices.astype("<i8").tobytes()).hexdigest()[:16]
    assert digest == "d22c06696f235d40" and len(training.indices) == 900


def test_phases_have_seeds_of_their_own_and_batches_that_fit_the_data(monkeypatch):
    seen = []

    def record(model, phase, split, seed, **arguments):
        seen.append((seed, phase.batch_size))
        return PhaseState(1, True, 0, [0.5], [1], [{"val_accuracy": 0.5}])

    monkeypatch.setattr(sequence, "train_phase", record)
    for num_images, batch_size in ((600, 12), (60, 8), (2000, 40), (4000, 64)):
        images = Images(np.zeros((num_images, 12, 12, 1), np.uint8), np.arange(num_images) % 2)
        pipeline.train_experiment(get_experiment("paper"), PhaseSequence(Split(images, images), 2, num_images))
        seeds, sizes = zip(*seen)
        assert set(sizes) == {batch_size}
        expected = [int(np.random.SeedSequence((num_images, k)).generate_state(1)[0]) for k in range(3)]
        assert list(seeds) == expected and len(set(seeds)) == 3
        seen.clear()


def test_a_training_computed_in_two_ways_has_a_warning():
    one, other = {"step": "engine", "threads": 1}, {"step": "keras", "threads": 1}
    assert identity.mixed_computing([{"computing": [one]}, {"computing": [one]}]) == []
    for history in ([{"computing": [one, other]}], [{"computing": [one]}, {"computing": [other]}]):
        (warning,) = identity.mixed_computing(history)
        assert "step engine, threads 1; step keras, threads 1" in warning


def test_phases_of_the_engine_are_not_passed_off_as_keras_s(monkeypatch):
    history = [{"computing": [{"step": "engine", "threads": 1}]}]
    assert identity.mixed_computing(history) == []
    monkeypatch.setenv("LWCNN_STEP", "keras")
    assert "use another --cache" in identity.mixed_computing(history)[0]


def test_class_weight_is_in_every_phase():
    for name in ("paper", "repo_baseline", "residual_se"):
        plan = with_settings(get_experiment(name), class_weight="balanced")
        phases = [*plan.phases, *filter(None, [getattr(plan, "dual", None)])]
        phases += [phase for _, phase in getattr(plan, "branches", ()) if isinstance(phase, Phase)]
        assert {phase.class_weight for phase in phases} == {"balanced"} and plan.name == f"{name}-balanced"
        assert with_settings(get_experiment(name)) == get_experiment(name)


def test_settings_change_every_phase_and_the_name():
    paper, changed = get_experiment("paper"), with_settings(get_experiment("paper"), 34, 16, 0.01)
    assert changed.name == "paper-epochs34-batch16-rate0.01"
    assert [phase.epochs for phase in (changed.dual, *changed.phases)] == [16, 8, 10]  # 8, 4 and 5 before
    rates = [phase.optimizer.learning_rate for phase in (paper.dual, *paper.phases)]
    changed_rates = [phase.optimizer.learning_rate for phase in (changed.dual, *changed.phases)]
    assert max(changed_rates) == 0.01
    np.testing.assert_allclose(changed_rates, np.array(rates) * 0.01 / max(rates))
    assert {phase.batch_size for phase in (changed.dual, *changed.phases)} == {16}
    rates = ({"learning_rate": rate} for rate in (0.0, float("nan"), float("inf"), "0.1"))
    for wrong in ({"epochs": 2}, {"epochs": "3"}, {"epochs": 3.5}, *rates, {"batch_size": 0}, {"batch_size": "8"}):
        with pytest.raises(LwcnnError, match="Received: "):
            with_settings(paper, **wrong)
    with pytest.raises(LwcnnError, match="Give epochs as an integer, .* 3 in all. Received: epochs=3.5$"):
        with_settings(paper, epochs=3.5)


def test_a_learning_rate_without_any_to_scale_is_refused():
    plan = changed(get_experiment("wren"), {"phases.*.optimizer.learning_rate": 0.0})
    with pytest.raises(LwcnnError, match="a phase whose learning rate is above 0. Received: 'residual_se_muon'"):
        with_settings(plan, learning_rate=0.1)


def test_an_experiment_without_a_phase_is_refused():
    with pytest.raises(LwcnnError, match="Give at least one phase"):
        dataclasses.replace(get_experiment("paper"), phases=())


@pytest.mark.parametrize("name", ["paper", "repo_baseline", "paper_tuned"])
def test_the_epochs_of_all_phases_are_those_asked_for(name):
    for epochs in range(len(every_phase(get_experiment(name))), 60):
        shares = [phase.epochs for phase in every_phase(with_settings(get_experiment(name), epochs))]
        assert sum(shares) == epochs and min(shares) >= 1
        assert with_settings(get_experiment(name), epochs).num_epochs == epochs
    paper = with_settings(get_experiment("paper"), 3)
    assert [phase.epochs for phase in (paper.dual, *paper.phases)] == [1, 1, 1]


def test_a_changed_experiment_runs_from_python_beside_the_original(made_dataset, folders, monkeypatch):
    monkeypatch.setattr(run, "_train", lambda run, notice: run.identity | {"phases": run.plan.phases})
    plan = get_experiment("residual_se", "smoke", made_dataset)
    plan = dataclasses.replace(plan, name="mine", phases=(dataclasses.replace(plan.phases[0], epochs=3),))
    result = run_experiment(plan, made_dataset, "smoke", 1, folders)
    assert (result["experiment"], result["phases"][0].epochs) == ("mine", 3)
    assert result["config"]["phases"][0]["epochs"] == 3


def test_macro_accuracy_where_classes_differ_by_more_than_two():
    def data(*counts):
        labels = np.repeat(np.arange(len(counts)), counts)
        return types.SimpleNamespace(y_train=labels, y_test=labels, num_classes=len(counts))

    assert not run._is_imbalanced(data(10, 20))
    assert run._is_imbalanced(data(10, 21)) and run._is_imbalanced(data(10, 10, 21))


@pytest.mark.parametrize("largest, dtype", [(9, np.uint8), (255, np.uint8), (256, np.uint16), (999, np.uint16)])
def test_class_numbers_are_kept_whole_however_many_classes_there_are(tmp_path, largest, dtype):
    classes = np.array([0, 1, largest])
    save_classes(tmp_path / "classes.npz", classes)
    kept = load_classes(tmp_path / "classes.npz")
    np.testing.assert_array_equal(kept, classes)
    assert kept.dtype == dtype


@pytest.mark.parametrize(
    "shape, padding", [((32, 32, 3), 4), ((48, 96, 3), 6), ((96, 48, 3), 6), ((28, 56, 1), 2), ((4, 4, 1), 1)]
)
def test_the_padding_of_crops_follows_the_shorter_side(shape, padding):
    assert augmentation(ImageSpec(shape, mirror=True)).crop_padding == padding


def test_color_images_that_must_not_be_mirrored_are_cropped():
    assert augmentation(ImageSpec((32, 32, 3), mirror=False)) == Augmentation(crop_padding=4)


def test_phases_of_a_lower_rate_keep_their_ratio_to_the_peak():
    before = get_experiment("low_rate")  # 0.001 and 0.001, then 0.0001
    plan = with_settings(before, learning_rate=0.02)
    phases = (plan.dual, *plan.phases)
    assert [phase.optimizer.learning_rate for phase in phases] == pytest.approx([0.02, 0.02, 0.002])
