"""Figures: what is drawn on an axis, what is skipped, and that the files are the same bytes every time."""

import inspect
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_data import ROOT, randomize, run_python
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from publication.made_results import write_folds, write_run, write_run_of_classes
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from lwcnn.cli.main import main
from lwcnn.data.datasets import load_dataset
from lwcnn.evaluation.metrics import expected_calibration_error, reliability_bins
from lwcnn.evaluation.statistics import Estimate
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.recipes import EXPERIMENT_NAMES, NETWORKS
from lwcnn.experiments.zoo import create_model
from lwcnn.models.dual import build_merged_model
from lwcnn.publication import figures
from lwcnn.publication.claims import PUBLISHED
from lwcnn.publication.figures import diagrams, intervals, tradeoffs
from lwcnn.publication.figures.catalogue import FIGURES, ONLY_CIFAR10, PRINTED
from lwcnn.publication.figures.curves import robustness
from lwcnn.publication.figures.inputs import Inputs
from lwcnn.publication.figures.outputs import embed_features
from lwcnn.publication.figures.style import BASELINE, save_figure
from lwcnn.publication.figures.tradeoffs import MOST_ACCURATE, OURS, PUBLIC, pareto_front
from lwcnn.publication.names import display_name, is_part
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import write_json
from lwcnn.system.npz import load_npz, save_npz

NAMES = list("abc")


@pytest.fixture
def ax():
    """An axis of a figure that is not ours."""
    return Figure().subplots()


@pytest.fixture(scope="module")
def outputs():
    """Logits (600, 3), over-confident, and labels (600,)."""
    generator = np.random.default_rng(0)
    labels = np.arange(600) % 3
    return 3 * (generator.normal(size=(600, 3)) + 1.5 * np.eye(3)[labels]), labels


def written(texts):
    """What Matplotlib's texts say."""
    return [text.get_text() for text in texts]


def test_training_curves_hold_the_history(ax):
    branches = ("original", "augmented")
    dual = [
        {"loss": 2.0, "val_accuracy": 0.5, "val_loss": 1.0}
        | {f"{b}_logits_accuracy": 0.1 * i for b in branches}
        | {f"{b}_logits_val_accuracy": 0.2 * i for b in branches}
        for i in (1, 2, 3)
    ]
    whole = [{"loss": 1.0, "accuracy": 0.7, "val_accuracy": 0.6}, {"loss": 0.9, "accuracy": 0.8, "val_accuracy": 0.65}]
    phases = [{"name": "dual", "history": dual}, {"name": "all", "history": whole}]
    figure = figures.plot_training_curves(phases, "accuracy", "title", ax=ax)
    assert figure is ax.figure and ax.get_title() == "title"
    drawn = {tuple(map(tuple, line.get_xydata().round(9))) for line in ax.lines if len(line.get_xdata())}
    assert drawn == {
        ((1, 10), (2, 20), (3, 30)), ((1, 20), (2, 40), (3, 60)), ((4, 70), (5, 80)), ((4, 60), (5, 65)),
    }  # fmt: skip
    assert written(ax.texts) == ["stage 1\nboth branches", "stage 2\nall layers"]
    with pytest.raises(LwcnnError, match="Received: 'speed'"):
        figures.plot_training_curves(phases, "speed", ax=ax)


def test_the_validation_loss_is_drawn_where_it_was_recorded(ax):
    history = [{"loss": 1.0, "accuracy": 0.7, "val_accuracy": 0.6, "val_loss": 1.2}, {"loss": 0.5, "val_loss": 0.9}]
    figures.plot_training_curves([{"name": "all", "history": history}], "loss", ax=ax)
    solid = [line for line in ax.lines if len(line.get_xdata()) and not line.is_dashed()]
    np.testing.assert_allclose(solid[0].get_xydata(), [[1, 1.2], [2, 0.9]])


def test_a_phase_of_one_epoch_is_seen_and_stages_are_named_in_the_papers_method_alone(ax):
    history = [{"accuracy": 0.7, "val_accuracy": 0.6}]
    figures.plot_training_curves(
        [{"name": "last_half", "history": history}, {"name": "all", "history": history}], ax=ax
    )
    assert written(ax.texts) == ["last half", "all layers"]
    assert {line.get_marker() for line in ax.lines if len(line.get_xdata())} == {"X", "o"}
    shown = written(ax.get_legend().get_texts())
    assert shown == ["training images, during the epoch", "validation images, after it"]


def test_the_learning_rate_is_that_of_the_middle_of_each_epoch(inputs):
    *_, rate, _ = FIGURES["training_curves"](inputs).axes
    decaying = 0.4 * (1 + np.cos(np.pi / 4)) / 2  # the phase planned four epochs and ended after three
    np.testing.assert_allclose(rate.lines[0].get_ydata(), [0.1, 0.1, 0.1, 0.1, 0.3, decaying], rtol=1e-6)
    assert rate.get_yscale() == "log" and list(rate.lines[0].get_xdata()) == [1, 2, 3, 4, 5, 6]


def test_curves_of_folds_are_drawn_where_a_result_has_them(made, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(made / "results", results)
    phases = [{"name": name, "history": [{"val_accuracy": a} for a in values]} for name, values in
              {"head": (0.5, 0.6), "all": (0.7, 0.8, 0.75)}.items()]  # fmt: skip
    inputs = Inputs("digits", Folders(results))
    (accuracies,) = FIGURES["folds"](inputs).axes
    assert accuracies.collections[0].get_offsets().tolist() == [[1, 90], [2, 92], [1, 98], [2, 99]]
    assert list(accuracies.lines[-1].get_ydata()) == [95, 95], "of the model that is never reset"
    assert 99 < accuracies.get_ylim()[1] < 101
    write_folds(results, "digits/paper/quick", [0.9, 0.92], fold_histories=[phases, phases[:1]])
    _, curves = FIGURES["folds"](Inputs("digits", Folders(results))).axes
    assert curves.get_title() == "paper's method: each fold from scratch"
    assert [line.get_ydata() for line in curves.lines] == [pytest.approx([50, 60, 70, 80, 75]), pytest.approx([50, 60])]
    assert [line.get_markevery() for line in curves.lines] == [[1, 4], [1]]
    for path in results.glob("digits/*/quick/kfold*_leaky_seed0.json"):
        path.unlink()
    accuracies, _ = FIGURES["folds"](Inputs("digits", Folders(results))).axes
    assert len(accuracies.collections[0].get_offsets()) == 2, "only leaky cross-validation has a test accuracy"


def test_confusion_matrices_hold_percents(ax):
    matrix = np.array([[3, 1, 0], [0, 2, 2], [0, 0, 8]])
    figures.plot_confusion_matrix(matrix, NAMES, ax=ax)
    np.testing.assert_allclose(ax.collections[0].get_array(), [[75, 25, 0], [0, 50, 50], [0, 0, 100]])
    assert [text.get_text() for text in ax.texts if text.get_text()] == ["75", "25", "50", "50", "100"]
    with pytest.raises(LwcnnError, match=r"Received: \(2, 3\)"):
        figures.plot_confusion_matrix(matrix[:2], NAMES, ax=ax)


def test_what_sets_the_height_of_a_figure_may_be_named():
    found = {"x": Estimate(0.85, 0.75, 0.95, (0.8, 0.9))}
    assert isinstance(figures.plot_intervals(groups={"": found}), Figure)


def test_intervals_are_those_of_the_estimates_and_a_single_seed_is_hollow_and_dotted(ax):
    found = {"x": Estimate(0.85, 0.75, 0.95, (0.8, 0.9)), "y": Estimate(0.5, 0.4, 0.6, (0.5,))}
    figures.plot_intervals({"": found}, ["y", "x"], 0.7, {"x": (86, 88)}, ax=ax)
    assert written(ax.get_yticklabels()) == ["y", "x"] and ax.yaxis_inverted()
    means = {line.get_xdata()[0]: line for line in ax.lines if line.get_marker() == "o"}
    assert set(means) == {50, 85}
    assert means[50].get_mfc() == "white" and means[85].get_mfc() == BASELINE
    assert [bar.get_segments()[0][:, 0].round(9).tolist() for bar in ax.collections] == [[40, 60], [75, 95]]
    assert [bar.get_linestyle()[0][1] is None for bar in ax.collections] == [False, True], "dotted, solid"
    assert [list(line.get_xdata()) for line in ax.lines if line.get_marker() == "|"] == [[80, 90]]
    (band,) = ax.patches
    assert (band.get_x(), band.get_width()) == (86, 2)
    left, right = ax.get_xlim()
    assert left < 40 and right > 95  # the intervals are inside


def points(*rows):
    """Rows of name, cost and accuracy in percent; optionally kind, ends of the interval and of the costs, seeds."""
    columns = ["name", "cost", "accuracy", "kind", "low", "high", "cost_low", "cost_high", "seeds"]
    frame = pd.DataFrame([[*row, *[None] * 9][:9] for row in rows], columns=columns)
    bounds = {"low": "accuracy", "high": "accuracy", "cost_low": "cost", "cost_high": "cost"}
    return frame.assign(**{end: frame[end].astype(float).fillna(frame[of]) for end, of in bounds.items()}).fillna(OURS)


def drawn_points(ax):
    """The points of an axis, by marker and color of the face, without the bars of their spread."""
    lines = [line for line in ax.lines if line.get_marker() not in ("None", None, "")]
    return {tuple(line.get_xydata()[0]): (line.get_marker(), to_hex(line.get_markerfacecolor())) for line in lines}


def test_costs_hold_points_names_and_front():
    shown = points(("a", 10, 50), ("b", 20, 40), ("c", 30, 90, PUBLIC), ("", 30, 80))
    assert pareto_front(shown)["name"].tolist() == ["a", "c"]
    ax = figures.plot_costs({"cost": shown}, with_front=True).axes[0]
    assert drawn_points(ax).keys() == {(10, 50), (20, 40), (30, 90), (30, 80)}
    (front,) = (line for line in ax.lines if line.get_label() == "Pareto front")
    np.testing.assert_allclose(front.get_xydata(), [[10, 50], [30, 50], [30, 90]])
    assert {"", "a", "b", "c"} == set(written(ax.texts))
    ax.figure.draw_without_rendering()  # moves the names
    boxes = [Text.get_window_extent(text) for text in ax.texts if text.get_text()]
    assert not any(box.count_overlaps(boxes[:i]) for i, box in enumerate(boxes)), "labels cover each other"
    with pytest.raises(LwcnnError, match="Received"):
        figures.plot_costs({"cost": points(("a", 0, 50))})


def test_networks_with_one_seed_are_hollow():
    shown = points(("a", 10, 50, OURS, 45, 55, 10, 10, 1), ("b", 20, 60, OURS, 55, 65, 20, 20, 3))
    figure = figures.plot_costs({"cost": shown})
    assert drawn_points(figure.axes[0]) == {(10, 50): ("o", "#ffffff"), (20, 60): ("o", "#0072b2")}
    assert written(figure.legends[0].get_texts()) == [f"{OURS}, one seed", OURS]


def test_costs_show_their_spread_and_no_order():
    shown = points(("a", 2, 50, OURS, 40, 60, 1, 3), ("b", 2.5, 70, MOST_ACCURATE))
    figure = figures.plot_costs({"ms": shown})
    drawn = [line.get_xydata().tolist() for line in figure.axes[0].lines]
    assert [[1, 50], [3, 50]] in drawn and [[2, 40], [2, 60]] in drawn
    assert "Pareto front" not in written(figure.legends[0].get_texts())
    many = points(*((str(i), 1 + i, 50 + i) for i in range(30)))
    texts = figures.plot_costs({"ms": many, "bytes": many[:3]}).axes[0].texts
    assert set(written(texts)) == {str(i) for i in range(30)}, "every network has its name"


@pytest.mark.parametrize("cost", [0.33, 33e6])
def test_the_axis_of_one_network_has_few_ticks_and_no_front(cost):
    figure = figures.plot_costs({"cost": points(("a", cost, 50))}, with_front=True)
    low, high = figure.axes[0].get_xlim()
    assert 2 <= sum(low <= tick <= high for tick in figure.axes[0].get_xticks()) <= 6
    assert "Pareto front" not in written(figure.legends[0].get_texts())


def test_experiments_with_one_network_share_their_latency(inputs):
    times = tradeoffs.latencies(inputs, tradeoffs.our_networks(inputs))
    assert times.loc["paper"].tolist() == times.loc["paper_tuned"].tolist() == [0.0133, 0.0123, 0.02]


def test_literature_is_usable():
    assert not PUBLISHED.isna().any(axis=None) and PUBLISHED["accuracy"].between(0.5, 1).all()
    assert PUBLISHED["params"].gt(1000).all() and not PUBLISHED.duplicated(["name", "dataset"]).any()


def test_what_readers_see_has_a_plain_name():
    shown = {name for name in EXPERIMENT_NAMES if not is_part(name)}
    assert not [name for name in shown if "_" in display_name(name) or display_name(name) == name]
    names = [display_name(name) for name in shown]
    changed = ["wren_5k-epochs1", "residual_se_muon-epochs40-batch64", "residual_se_muon-rate1e-05-balanced"]
    changed.append("finetune-my-rate-model")
    assert [*map(display_name, changed)] == [
        "Wren-5k, 1 epoch",
        "Wren, 40 epochs, batches of 64",
        "Wren, rate 1e-05, balanced",
        "finetune-my-rate-model",
    ]
    assert len(names) == len(set(names))
    assert all(display_name(NETWORKS[name]).lower() == name for name in NETWORKS if name.startswith("wren"))


def test_roc_areas_are_those_of_the_classes_against_the_rest(ax, outputs):
    logits, labels = outputs
    areas = [roc_auc_score(labels == c, softmax(logits, axis=1)[:, c]) for c in range(3)]
    figures.plot_roc(logits, labels, NAMES, ax=ax)
    assert [line.get_label() for line in ax.lines[:3]] == [f"{name}  {area:.4f}" for name, area in zip(NAMES, areas)]
    assert ax.get_legend().get_title().get_text() == f"class, AUC (mean {np.mean(areas):.4f})"
    assert all(low < 0 and high > 1 for low, high in (ax.get_xlim(), ax.get_ylim())), "the axes are whole"


@pytest.mark.parametrize("num_images, num_bins, least", [(600, 15, 6), (30, 5, 2)])
@pytest.mark.parametrize("temperature", [None, 2.0])
def test_reliability_shows_both_errors_and_the_share_of_images_in_each_bin(
    ax, outputs, num_images, num_bins, least, temperature
):
    logits, labels = (some[:num_images] for some in outputs)
    models = {"as trained": logits} | ({"temperature-scaled": logits / 2} if temperature else {})
    figures.plot_reliability(logits, labels, "", temperature, ax=ax)
    heights = []
    for line, (name, values) in zip(ax.lines, models.items(), strict=False):
        confidence, accuracies, counts = reliability_bins(values, labels, num_bins)
        assert line.get_label() == f"{name}: ECE {100 * expected_calibration_error(values, labels):.1f}%"
        np.testing.assert_allclose(line.get_xydata(), np.c_[confidence, accuracies][counts >= least])
        heights += list(counts / num_images)
    bars = ax.patches
    np.testing.assert_allclose([bar.get_height() for bar in bars], heights)
    edges = np.sort(np.concatenate([np.arange(num_bins) + i / 2 for i in range(len(models))])) / num_bins
    np.testing.assert_allclose(sorted(bar.get_x() for bar in bars), edges, atol=1e-12)
    assert not ax.texts
    assert written(ax.get_legend().get_texts())[len(models) :] == ["perfectly calibrated"]


def test_image_grid_and_overlays():
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1), dtype=np.uint8)
    first, empty, last, rest = figures.plot_image_grid([images[0], None, images[2]], ["x", "", "z"], 2, ["row"]).axes
    assert (first.get_title(), last.get_title()) == ("x", "z") and written(first.texts) == ["row"]
    assert not empty.images and not rest.images
    np.testing.assert_array_equal(last.images[0].get_array()[..., 1], images[2][..., 0])
    cold = figures.overlay_heatmaps(images, np.zeros((3, 4, 4)))
    np.testing.assert_allclose(cold[..., 0], images[..., 0] / 2, atol=1)
    with pytest.raises(LwcnnError, match="Received"):
        figures.overlay_heatmaps(images, np.zeros((3, 4, 5)))


def test_architecture_has_a_box_per_layer_that_does_something(ax):
    model = build_merged_model((12, 12, 3), 10)
    boxes = figures.describe_layers(model)
    assert sum(box.params for box in boxes) == model.count_params()
    (joined,) = (box for box in boxes if box.name == "features")
    assert joined.inputs == ("original_dense_as_conv", "augmented_dense_as_conv")  # not the layers that flatten
    figures.plot_architecture(boxes, ax=ax)
    texts = written(ax.texts)
    assert "convolution 3×3, 20 filters, ReLU" in texts and "1,820 parameters, 3 × 3 × 20" in texts


def test_blocks_become_one_box_and_equal_ones_in_a_row_one_with_their_count(ax):
    model = create_model("residual_se_muon")
    boxes = diagrams.describe_layers(model)
    assert not [box for box in boxes if "dropout" in box.text or "Flatten" in box.text]
    collapsed = diagrams.collapse_blocks(boxes)
    (block,) = (box for box in collapsed if "residual block" in box.text)
    assert (block.count, block.title) == (5, "5 × residual block")
    assert sum(box.count * box.params for box in collapsed) == model.count_params()
    assert [box.inputs for box in collapsed[1:]] == [(box.name,) for box in collapsed[:-1]]
    inside = diagrams.boxes_of_block(boxes, "stage1_block2")
    assert inside[0].text == "input of the block" and sum(box.params for box in inside) == block.params
    figures.plot_architecture(collapsed, ax=ax)
    assert "5 × residual block" in written(ax.texts)


def test_the_method_is_drawn_with_the_networks_own_counts():
    texts = {text.get_text() for ax in figures.plot_method((28, 28, 1), 10).axes for text in ax.texts}
    for start in ("13,860 parameters", "14,862 parameters", "1,002 parameters trained", "14,862 parameters trained"):
        assert any(text.startswith(f"{start}\n") for text in texts), start


def test_embedding_holds_the_points(ax):
    features = np.random.default_rng(0).normal(size=(30, 5))
    points = figures.embed_features(features)
    np.testing.assert_array_equal(points, figures.embed_features(features))
    figures.plot_embedding(points, np.arange(30) % 3, NAMES, ax=ax)
    np.testing.assert_allclose(ax.collections[0].get_offsets(), points)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with made results and models of the digits, whose pixels are always at hand."""
    folder, data = tmp_path_factory.mktemp("made"), load_dataset("digits")
    generator = np.random.default_rng(0)
    sgd = {"name": "sgd", "learning_rate": 0.1}
    phases = [
        {"optimizer": sgd, "epochs": 3, "batch_size": 8},
        {"optimizer": sgd | {"learning_rate": 0.4, "warmup": 0.5}, "epochs": 4, "batch_size": 8},
    ]
    epochs = [{"loss": 2.0 - 0.1 * i, "accuracy": 0.5 + 0.1 * i, "val_accuracy": 0.5 + 0.1 * i} for i in range(3)]
    history = [{"name": name, "history": epochs} for name in ("head", "all")]
    training = {"config": {"phases": phases}, "history": history, "data_checksum": data.checksum}
    strengths = {("paper", "full"): 2, ("paper", "quick"): 1.5, ("single", "quick"): 1.2, ("paper_tuned", "full"): 3}
    strengths |= {("parts_baseline", "quick"): 1.5, ("parts_only_se", "quick"): 1.6}
    for (experiment, preset), strength in strengths.items():
        for seed in (0, 1):
            noise = generator.normal(size=(len(data.y_test), 10))
            logits = (noise + strength * np.eye(10)[data.y_test]).astype(np.float16)
            group, classes = f"digits/{experiment}/{preset}", logits.argmax(-1)
            write_run_of_classes(folder / "results", group, seed, data.y_test, classes, data.class_names, **training)
        if preset == "full":
            arrays = {"seed": np.array(1), "logits": logits, "features": logits[:120, :6]}
            save_npz(folder / "results/digits" / experiment / preset / "released.npz", **arrays)
            (folder / "models").mkdir(exist_ok=True)
            randomize(build_merged_model((28, 28, 1), 10)).save(folder / "models" / f"digits-{experiment}.keras")
    record = {"model": "digits-paper.keras", "dataset": "digits", "experiment": "paper", "format": "litert-int8"}
    write_json(folder / "results/export/digits-paper-litert-int8.json", record | {"size_bytes": 29920})
    times = {"paper": {"p50_ms": 0.0123, "p90_ms": 0.015}, "paper_tuned": {"p50_ms": 0.0143, "p90_ms": 0.02}}
    models = [
        {"dataset": "digits", "experiment": name, "rows": [{"name": "litert-int8", "batch1": time}]}
        for name, time in times.items()
    ]
    write_json(folder / "results/bench.json", {"models": models, "machine": {"device": "a CPU"}})
    folds = [("paper", False, [0.9, 0.92]), ("paper_as_published", True, [0.98, 0.99])]
    for experiment, leaky, accuracies in folds:
        write_folds(folder / "results", f"digits/{experiment}/quick", accuracies, leaky=leaky, test_accuracy=0.95)
    return folder


@pytest.fixture
def inputs(made):
    """The inputs of the figures of the made results."""
    return Inputs("digits", Folders(made / "results", models=made / "models"))


def _arguments(made, output):
    return ["figures", f"--results={made}/results", f"--models={made}/models", f"--output={output}"]


def test_all_are_drawn_and_again_to_the_same_bytes(made, tmp_path, capsys):
    """Deletes `visualizations/`, draws it anew, and some of it once more in another process."""
    output = tmp_path / "visualizations"
    assert main(_arguments(made, output)) == 0, capsys.readouterr().err
    assert {path.name for path in (output / "digits").iterdir()} == {
        f"{name}.png" for name in FIGURES if name not in ONLY_CIFAR10
    }
    for path in (output / "digits").glob("*.png"):
        with Image.open(path) as image:
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1) and path.stat().st_size < 1_000_000
    again = ["costs", "tsne", "gradcam", "confusion"]
    script = "import sys\nfrom lwcnn.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    run_python(script, *_arguments(made, tmp_path / "again"), "--only", *again)
    drawn = sorted((tmp_path / "again/digits").iterdir())
    assert len(drawn) == len(again)
    for path in drawn:
        assert path.read_bytes() == (output / "digits" / path.name).read_bytes(), path.name


def test_what_the_report_prints_is_a_pdf_too(tmp_path):
    figure = figures.plot_confusion_matrix(np.eye(3), NAMES)
    assert [path.name for path in save_figure(figure, tmp_path / "a", with_pdf=True)] == ["a.png", "a.pdf"]
    assert set(PRINTED) <= set(FIGURES)


def test_what_lacks_its_input_is_named_and_the_rest_drawn(made, tmp_path, capsys):
    output = tmp_path / "visualizations"
    kept = output / "digits" / "gradcam.png"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"as committed")
    arguments = _arguments(made, output)
    arguments[2] = f"--models={tmp_path}/none"
    assert main([*arguments, "--only", "ablation", "gradcam"]) == 3
    printed = capsys.readouterr()
    assert "drawn    digits/ablation" in printed.out and "1 were skipped" in printed.out
    assert "skipped  digits/gradcam" in printed.err and "digits-paper_tuned.keras" in printed.err
    assert kept.read_bytes() == b"as committed" and (output / "digits/ablation.png").exists()


def test_without_pixels_only_image_figures_are_skipped(made, tmp_path, capsys):
    """Results of a dataset that is nowhere on this machine."""
    for path in (made / "results/digits").rglob("*"):
        if path.is_file():
            copy = tmp_path / "results/mine" / path.relative_to(made / "results/digits")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes().replace(b'"dataset": "digits"', b'"dataset": "mine"'))
    arguments = ["figures", f"--results={tmp_path}/results", f"--output={tmp_path}/out"]
    assert main([*arguments, "--only", "costs", "gradcam", "right_and_wrong"]) == 3
    printed = capsys.readouterr()
    assert "drawn    mine/costs" in printed.out
    assert all(f"skipped  mine/{name}" in printed.err for name in ("gradcam", "right_and_wrong"))


def test_images_of_ones_own_are_drawn_from_their_folder(tmp_path, capsys):
    digits = load_dataset("digits")
    for i, (image, label) in enumerate(zip(digits.x_test[:60], digits.y_test[:60] % 2)):
        (tmp_path / f"my digits/{label}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(tmp_path / f"my digits/{label}/{i}.png")
    arguments = ["figures", f"--results={tmp_path}/results", f"--models={tmp_path}/models", f"--output={tmp_path}/out"]
    arguments += ["--only", "right_and_wrong", "gradcam", "training_curves", "--dataset"]
    for size in (None, 20):  # the second like that of a fine-tuned network
        data = load_dataset(tmp_path / "my digits", size=size, mirror=size is not None)
        logits = np.float16(np.eye(2)[data.y_test])
        epochs = [{"loss": 0.2, "accuracy": 0.9, "val_accuracy": 0.9}] * 3
        phase = {"optimizer": {"name": "sgd", "learning_rate": 0.1}, "epochs": 3, "batch_size": 8}
        training = {"config": {"phases": [phase]}, "history": [{"name": "all", "history": epochs}]}
        training["data_checksum"] = data.checksum
        group, labels = f"{data.name}/single/quick", data.y_test
        run = write_run_of_classes(tmp_path / "results", group, 0, labels, labels, data.class_names, **training)
        save_npz(run.with_name("released.npz"), seed=np.array(0), logits=logits)
        (tmp_path / "models").mkdir(exist_ok=True)
        build_merged_model(data.input_shape, 2).save(tmp_path / "models" / f"{data.name}-single.keras")
        assert main([*arguments, data.name]) == 3, "their images are not known"
        assert "give the folder or file of the images with --dataset" in capsys.readouterr().err
    assert main([*arguments, str(tmp_path / "my digits")]) == 0, capsys.readouterr().err
    assert len(list((tmp_path / "out").glob("my_digits-*/*.png"))) == 6
    Image.fromarray(digits.x_test[70][..., 0]).save(tmp_path / "my digits/0/new.png")
    assert main([*arguments, str(tmp_path / "my digits")]) == 3
    assert "were made with other images" in capsys.readouterr().err
    assert main([*arguments, str(tmp_path)]) == 1


def test_a_data_set_without_the_papers_method_has_figures_of_its_best_network(made, tmp_path):
    shutil.copytree(made / "results", tmp_path / "results")
    shutil.rmtree(tmp_path / "results/digits/paper")
    inputs = Inputs("digits", Folders(tmp_path / "results", models=made / "models"))
    for name in ("confusion", "per_class_accuracy", "roc", "reliability"):
        assert FIGURES[name](inputs).axes, name


def test_of_many_classes_the_hardest_are_drawn(inputs, monkeypatch):
    monkeypatch.setattr(intervals, "MAX_CLASSES", 3)
    (ax,) = FIGURES["per_class_accuracy"](inputs).axes
    shares = [inputs.best.correct[:, inputs.labels == label].mean() for label in range(10)]
    assert written(ax.get_yticklabels()) == [str(label) for label in np.argsort(shares)[:3]]
    assert "3 hardest classes of 10" in ax.get_title()


def test_released_logits_of_another_run_are_refused(made, tmp_path, capsys):
    folder = tmp_path / "results"
    shutil.copytree(made / "results", folder)
    path = folder / "digits/paper_tuned/full/seed1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"test_accuracy": 0.1}))
    assert main(["figures", f"--results={folder}", f"--output={tmp_path}/out", "--only", "roc"]) == 3
    assert "are not those of seed 1's result" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "words"),
    [(["--only", "confusions"], "Did you mean 'confusion'"), (["--dataset", "digit"], "Did you mean 'digits'")],
)
def test_wrong_names_are_errors(made, tmp_path, capsys, extra, words):
    assert main([*_arguments(made, tmp_path / "out"), *extra]) == 1
    assert words in capsys.readouterr().err


def test_a_figure_that_fails_leaves_the_others(made, tmp_path, capsys):
    folder = tmp_path / "results"
    shutil.copytree(made / "results", folder)
    path = folder / "digits/paper_tuned/full/released.npz"
    arrays = load_npz(path)
    save_npz(path, **arrays | {"features": np.ones_like(arrays["features"])})
    (folder / "bench.json").write_text('{"models": [{"rows": [7]}], "machine": {"device": "a CPU"}}')
    arguments = ["figures", f"--results={folder}", f"--output={tmp_path}/out", "--only"]
    assert main([*arguments, "tsne", "costs", "roc"]) == 1
    printed = capsys.readouterr()
    assert "drawn    digits/roc" in printed.out
    last = printed.err.splitlines()[-1]
    assert last.startswith("lwcnn: error: ") and "digits/tsne: t-SNE needs" in last and "digits/costs" in last


@pytest.mark.parametrize(
    "features",
    [np.ones((50, 3)), np.repeat(np.eye(3), 20, axis=0), np.full((50, 3), np.nan), np.zeros((3, 2)), np.zeros(9)],
    ids=["constant", "three points", "nan", "three images", "one axis"],
)
def test_features_that_cannot_be_embedded_are_refused(features):
    with pytest.raises(LwcnnError, match="Received"):
        embed_features(features)


def test_no_results_at_all_is_an_error(tmp_path, capsys):
    assert main(["figures", f"--results={tmp_path}", f"--output={tmp_path}/out"]) == 1
    assert "There are no results to draw" in capsys.readouterr().err


def test_committed_figures_are_small():
    files = [path for path in Path(ROOT / "visualizations").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 6_000_000
    assert all(path.stat().st_size < 1_000_000 for path in files)


@pytest.mark.parametrize("num_classes, absent", [(2, None), (4, 3)])
def test_roc_of_two_classes_and_of_classes_without_images(num_classes, absent):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, num_classes if absent is None else absent, 60)
    figure = figures.plot_roc(rng.normal(size=(60, num_classes)), labels, [f"class {k}" for k in range(num_classes)])
    shown = written(figure.axes[0].get_legend().get_texts())
    assert len(shown) == len(np.unique(labels)) and all(re.fullmatch(r"class \d  0\.\d{4}", one) for one in shown)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_images_of_any_number_of_channels_are_drawn(channels):
    images = np.random.default_rng(0).integers(0, 256, (2, 6, 6, channels), dtype=np.uint8)
    figure = figures.plot_image_grid(images, ["a", "b"])
    drawn = figure.axes[0].images[0].get_array()
    np.testing.assert_array_equal(drawn[..., 0], images[0, ..., 0])


@pytest.mark.parametrize("first", ["paper", "paper_tuned"])
def test_corruptions_are_drawn_by_the_mean_of_their_severities(tmp_path, first):
    """By corruption, `paper` is drawn only if it is alone."""
    shares = {"contrast": (0.8, 0.7, 0.6, 0.5, 0.4), "JPEG": (0.9, 0.8, 0.7, 0.6, 0.5)}

    def drawn(networks):
        rows = []
        for experiment, more in networks.items():
            rows.append({"experiment": experiment, "corruption": "none", "severity": 0, "accuracy": 0.95 + more})
            for name, accuracies in shares.items():
                found = [{"severity": k, "accuracy": share + more} for k, share in enumerate(accuracies, start=1)]
                rows += [{"experiment": experiment, "corruption": name} | one for one in found]
        write_json(tmp_path / "robustness.json", {"images": "100 test images", "rows": rows})
        by_severity, by_corruption = robustness(Inputs("cifar10", Folders(tmp_path))).axes
        curves = [list(line.get_ydata()) for line in by_severity.lines if len(line.get_xdata()) == 6]
        assert curves[0] == pytest.approx([95, 85, 75, 65, 55, 45]) and len(curves) == len(networks)
        assert written(by_corruption.get_xticklabels()) == ["contrast", "JPEG"]
        return [list(line.get_ydata()) for line in by_corruption.lines if len(line.get_xdata()) == 2]

    alone = [pytest.approx([60, 70])]
    assert drawn({first: 0.0}) == alone
    assert drawn({first: 0.0, "wren_100k": 0.05}) == (alone if first == "paper_tuned" else []) + [
        pytest.approx([65, 75])
    ]


def test_an_equal_accuracy_at_a_higher_cost_is_not_on_the_front():
    points = pd.DataFrame({"name": [*"abcd"], "cost": [10, 20, 30, 30], "accuracy": [50.0, 50.0, 60.0, 55.0]})
    assert pareto_front(points)["name"].tolist() == ["a", "c"]


@pytest.fixture
def three_networks(tmp_path):
    """Networks of 29,999, 30,000 and 10,000 parameters, with 80, 90 and 70% and seeds of 120 and 240 seconds."""
    made = {"wren_30k": (29_999, 20), "wren_100k": (30_000, 10), "wren_10k": (10_000, 30)}
    for name, (params, wrong) in made.items():
        for seed, seconds in ((0, 120), (1, 240)):
            write_run(tmp_path, f"cifar10/{name}/full", seed, wrong, params=params, train_seconds=seconds)
    return Inputs("cifar10", Folders(tmp_path))


def test_the_most_accurate_network_has_fewer_than_thirty_thousand_parameters(three_networks):
    kinds = tradeoffs.our_networks(three_networks)["kind"].to_dict()
    assert kinds == {"wren_30k": MOST_ACCURATE, "wren_100k": OURS, "wren_10k": OURS}


def test_training_is_drawn_in_minutes_from_the_fastest_to_the_slowest_seed(three_networks):
    (ax,) = (
        ax for ax in tradeoffs.costs(three_networks).axes if ax.get_xlabel().startswith("training on a CPU, minutes")
    )
    assert {float(line.get_xdata()[0]) for line in ax.lines if line.get_marker() in "o*"} == {3.0}
    across = [line.get_xdata() for line in ax.lines if len(set(line.get_ydata())) == 1 < len(line.get_xdata())]
    assert [list(ends) for ends in across] == [[2.0, 4.0]] * 3


def test_a_network_of_which_one_cost_is_known_is_drawn_only_if_the_others_have_no_more(three_networks, tmp_path):
    write_run(tmp_path, "cifar10/resnet18/full", 0, 5, params=11_000_000, device="NVIDIA H200")
    inputs = Inputs("cifar10", Folders(tmp_path))
    names = [set(written(ax.texts)) for ax in tradeoffs.costs(inputs).axes[:2]]
    assert names == [{"Wren-30k", "Wren-100k", "Wren-10k"}] * 2
    for path in tmp_path.glob("cifar10/wren_*"):
        shutil.rmtree(path)
    first, *_ = tradeoffs.costs(Inputs("cifar10", Folders(tmp_path))).axes
    assert written(first.texts) == ["ResNet-18"]


def test_variants_alone_are_drawn(tmp_path):
    write_run(tmp_path, "mnist/paper_batch64/full", 0, 5)
    assert [one.experiment for one in Inputs("mnist", Folders(tmp_path)).largest] == ["paper_batch64"]
    write_run(tmp_path, "mnist/paper/full", 0, 5)
    assert [one.experiment for one in Inputs("mnist", Folders(tmp_path)).largest] == ["paper"]


def test_the_axis_of_a_plot_is_optional_in_its_signature():
    assert inspect.signature(figures.plot_roc).parameters["ax"].default is None
