"""Figures: what is drawn on an axis, what is skipped, and that the files are the same bytes every time."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from made_data import ROOT, randomize, run_python
from matplotlib.figure import Figure
from PIL import Image
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from lwcnn.cli.main import main
from lwcnn.data import load_dataset
from lwcnn.evaluation import expected_calibration_error, scale_cross_fitted, summarize
from lwcnn.evaluation.metrics import reliability_bins
from lwcnn.evaluation.statistics import Difference, Estimate
from lwcnn.experiments.run import Folders
from lwcnn.models.baselines.reproduction import build_repo_residual_se
from lwcnn.models.dual import build_merged_model
from lwcnn.publication import figures
from lwcnn.publication.claims.literature import PUBLISHED
from lwcnn.publication.figures import architecture, growth
from lwcnn.publication.figures.catalogue import FIGURES, ONLY_WITH
from lwcnn.publication.figures.confusion import most_confused_pairs
from lwcnn.publication.figures.embedding import embed_features
from lwcnn.publication.figures.inputs import Inputs, MissingInput
from lwcnn.publication.figures.probabilities import roc_one_vs_rest
from lwcnn.publication.figures.tradeoffs import KINDS, Point, pareto_front
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


def test_training_curves_hold_the_history(ax):
    branches = ("original", "augmented")
    dual = [
        {"loss": 2.0, "val_accuracy": 0.5}
        | {f"{b}_logits_accuracy": 0.1 * i for b in branches}
        | {f"{b}_logits_val_accuracy": 0.2 * i for b in branches}
        for i in (1, 2, 3)
    ]
    whole = [{"loss": 1.0, "accuracy": 0.7, "val_accuracy": 0.6}, {"loss": 0.9, "accuracy": 0.8, "val_accuracy": 0.65}]
    phases = [{"name": "dual", "history": dual}, {"name": "all", "history": whole}]
    figure = figures.plot_training_curves(phases, "accuracy", "title", ax=ax)
    assert figure is ax.figure and ax.get_title() == "title"
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_allclose(lines["branch augmented, validation"].get_ydata(), [20, 40, 60])
    np.testing.assert_allclose(lines["whole model, training"].get_xydata(), [[4, 70], [5, 80]])
    assert [text.get_text() for text in ax.texts] == ["stage 1: dual", "stage 2:\nall"]
    with pytest.raises(LwcnnError, match="Received: 'speed'"):
        figures.plot_training_curves(phases, "speed", ax=ax)


def test_confusion_matrices_hold_percents_and_points(ax):
    matrix, other = np.array([[3, 1, 0], [0, 2, 2], [0, 0, 8]]), np.eye(3)
    figures.plot_confusion_matrix(matrix, NAMES, ax=ax)
    np.testing.assert_allclose(ax.images[0].get_array(), [[75, 25, 0], [0, 50, 50], [0, 0, 100]])
    assert [text.get_text() for text in ax.texts] == ["75", "25", "50", "50", "100"]
    ax = Figure().subplots()
    figures.plot_confusion_difference(matrix, other, NAMES, ax=ax)
    np.testing.assert_allclose(ax.images[0].get_array(), [[-25, 25, 0], [0, -50, 50], [0, 0, 0]])
    assert most_confused_pairs(matrix, 5) == [(1, 2), (0, 1)]
    with pytest.raises(LwcnnError, match=r"Received: \(2, 3\)"):
        figures.plot_confusion_matrix(matrix[:2], NAMES, ax=ax)


def test_accuracy_bars_hold_means_and_intervals(ax):
    estimates = [Estimate(0.85, 0.75, 0.95, (0.8, 0.9)), Estimate(0.5, 0.4, 0.6, (0.5,))]
    figures.plot_accuracy_bars(["x", "y"], estimates, ("paper", 0.7), ax=ax)
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([85, 50])
    segment = ax.collections[0].get_segments()[0]
    np.testing.assert_allclose(segment[:, 0], [75, 95])
    dots = [line.get_xdata() for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(np.concatenate(dots), [80, 90, 50])


def test_ablation_is_sorted(ax):
    up, down = (
        Difference(0.02, -0.01, 0.05, (0.01, 0.03), (1.0, 1.0)),
        Difference(-0.015, -0.04, 0, (-0.02, -0.01), (1, 1)),
    )
    figures.plot_ablation(["up", "down"], [up, down], ax=ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["down", "up"]
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([-1.5, 2])
    left, right = ax.get_xlim()
    assert left < -4 and right > 5  # the intervals are inside


def test_per_class_accuracy_and_parameters(ax):
    figures.plot_per_class_accuracy({"m": [[0.5, 0.6, 0.7], [0.7, 0.6, 0.9]]}, NAMES, ax=ax)
    assert [bar.get_height() for bar in ax.patches] == pytest.approx([60, 60, 80])
    ax = Figure().subplots()
    figures.plot_parameters_by_layer(["conv", "dense"], [100, 300], ax=ax)
    assert [bar.get_width() for bar in ax.patches] == [100, 300]
    assert [text.get_text() for text in ax.texts] == ["100 (25.0 %)", "300 (75.0 %)"]


def test_tradeoff_holds_points_and_front(ax):
    points = [Point("a", 10, 0.5), Point("b", 20, 0.4), Point("c", 30, 0.9, "public record"), Point("", 30, 0.8)]
    assert [point.name for point in pareto_front(points)] == ["a", "c"]
    figures.plot_tradeoff(points, "cost", ax=ax)
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_allclose(lines["ours, full"].get_xydata(), [[10, 50], [20, 40], [30, 80]])
    np.testing.assert_allclose(lines["Pareto front"].get_xydata(), [[10, 50], [30, 90]])
    assert {"a", "b", "c"} == {text.get_text() for text in ax.texts if text.get_text()}
    with pytest.raises(LwcnnError, match="Received"):
        figures.plot_tradeoff([Point("a", 0, 0.5)], "cost", ax=ax)


def test_what_is_far_worse_than_the_rest_stands_at_the_lower_edge_of_a_tradeoff(ax):
    points = [Point("a", 10, 0.6), Point("b", 20, 0.7), Point("c", 30, 0.9), Point("d", 40, 0.2, low=0.1, high=0.3)]
    figures.plot_tradeoff(points, "cost", ax=ax)
    bottom, _ = ax.get_ylim()
    assert 50 < bottom < 60
    assert [text.get_text() for text in ax.texts if text.get_text()] == ["a", "b", "c", "d: 20 %"]
    assert [40.0, bottom] in [line.get_xydata()[-1].tolist() for line in ax.lines if line.get_marker() == "v"]


def test_literature_is_usable():
    assert {one.kind for one in PUBLISHED} <= set(KINDS)
    assert all(one.source and 0 < one.accuracy < 1 for one in PUBLISHED)


def test_roc_areas_are_scikit_learn_s(ax, outputs):
    logits, labels = outputs
    wanted = [roc_auc_score(labels == c, softmax(logits, axis=1)[:, c]) for c in range(3)]
    false, true, areas = roc_one_vs_rest(logits, labels)
    np.testing.assert_allclose(areas, wanted, atol=1e-12)
    np.testing.assert_allclose(np.trapezoid(true, false), wanted, atol=2e-3)  # what is drawn encloses them
    figures.plot_roc(logits, labels, NAMES, ax=ax)
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_allclose(lines[f"macro average  {np.mean(wanted):.4f}"].get_ydata(), true.mean(axis=0))


def test_reliability_shows_both_errors(ax, outputs):
    logits, labels = outputs
    scaled = scale_cross_fitted(logits, labels)
    before, after = (expected_calibration_error(values, labels) for values in (logits, scaled.logits))
    figures.plot_reliability(logits, labels, ax=ax)
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert f"ECE {100 * before:.1f} %" in legend[0] and f"ECE {100 * after:.1f} %" in legend[1]
    counts = reliability_bins(logits, labels)[2]
    assert 0 < counts[counts > 0].min() < 10, "some bins hold too few images to be drawn"
    assert len(ax.lines[0].get_xdata()) == (counts >= 10).sum()


def test_image_grid_and_overlays(ax):
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1), dtype=np.uint8)
    figures.plot_image_grid([images[0], None, images[2]], ["x", "", "z"], 2, ["row"], ax=ax)
    assert len(ax.images) == 2 and [text.get_text() for text in ax.texts] == ["x", "z", "row"]
    np.testing.assert_array_equal(ax.images[1].get_array()[..., 1], images[2][..., 0])
    cold = figures.overlay_heatmaps(images, np.zeros((3, 4, 4)))
    np.testing.assert_allclose(cold[..., 0], images[..., 0] / 2, atol=1)
    with pytest.raises(LwcnnError, match="Received"):
        figures.overlay_heatmaps(images, np.zeros((3, 4, 5)))


def test_architecture_has_a_box_a_layer(ax):
    model = build_merged_model((12, 12, 3), 10)
    boxes = figures.describe_layers(model)
    assert sum(box.params for box in boxes) == model.count_params()
    assert next(box for box in boxes if box.name == "features").inputs == ("original_features", "augmented_features")
    figures.plot_architecture(boxes, ax=ax)
    texts = {text.get_text() for text in ax.texts}
    assert "original_conv2: conv 3×3, 20, ReLU" in texts and "1,820 parameters, 3 × 3 × 20" in texts


def test_blocks_of_the_reference_networks_become_one_box_each(ax):
    model = build_repo_residual_se((12, 12, 3), 10)
    boxes = architecture.collapse_blocks(architecture.describe_layers(model))
    blocks = {box.name: box for box in boxes if box.kind == "block"}
    assert {name: box.text for name, box in blocks.items()} == dict.fromkeys(
        ("block1", "block2"), "2 × conv 3×3, SE, residual"
    )
    assert sum(box.params for box in boxes) == model.count_params()
    inside = architecture.boxes_of_block(architecture.describe_layers(model), "block2")
    assert inside[0].name == "pool1" and sum(box.params for box in inside) == blocks["block2"].params
    width, height = architecture.diagram_size(boxes)
    assert width < architecture.diagram_size(inside)[0]  # its shortcut takes a column of its own
    figures.plot_architecture(boxes, ax=ax)


def test_embedding_holds_the_points(ax):
    features = np.random.default_rng(0).normal(size=(30, 5))
    points = figures.embed_features(features)
    np.testing.assert_array_equal(points, figures.embed_features(features))
    figures.plot_embedding(points, np.arange(30) % 3, NAMES, ax=ax)
    np.testing.assert_allclose(ax.lines[1].get_xydata(), points[1::3])


def _write_run(folder, experiment, preset, seed, logits, data):
    measured = summarize(logits, data.y_test)
    epochs = [{"loss": 2.0 - 0.1 * i, "accuracy": 0.5 + 0.1 * i, "val_accuracy": 0.5 + 0.1 * i} for i in range(3)]
    result = {
        "dataset": "digits", "experiment": experiment, "preset": preset, "seed": seed, "weights": None,
        "params": 14862, "macs": 568240, "train_seconds": 10.0 + seed, "data_checksum": data.checksum,
        "num_train_images": 1294, "num_val_images": 144, "val_accuracy": measured["accuracy"],
        "test_accuracy": measured["accuracy"], "ece": measured["ece"],
        "per_class_accuracy": dict(zip(data.class_names, measured["per_class_accuracy"])),
        "confusion_matrix": measured["confusion_matrix"],
        "history": [{"name": "head", "history": epochs}, {"name": "all", "history": epochs}],
        "train_accuracy": 0.9, "config": {}, "backend": "jax", "device": "a CPU", "num_threads": 1, "versions": {},
        "commit": "abc",
    }  # fmt: skip
    write_json(folder / "results/digits" / experiment / preset / f"seed{seed}.json", result)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with made results and models of the digits, whose pixels are always at hand."""
    folder, data = tmp_path_factory.mktemp("made"), load_dataset("digits")
    generator = np.random.default_rng(0)
    strengths = {("paper", "full"): 2, ("paper", "quick"): 1.5, ("single", "quick"): 1.2, ("paper_tuned", "full"): 3}
    strengths |= {("parts_baseline", "quick"): 1.5, ("parts_only_se", "quick"): 1.6}
    for (experiment, preset), strength in strengths.items():
        for seed in (0, 1):
            noise = generator.normal(size=(len(data.y_test), 10))
            logits = (noise + strength * np.eye(10)[data.y_test]).astype(np.float16)
            _write_run(folder, experiment, preset, seed, logits, data)
            classes = folder / f"results/digits/{experiment}/{preset}/seed{seed}_classes.npy"
            np.save(classes, logits.argmax(-1).astype(np.uint8))
        if preset == "full":
            arrays = {"seed": np.array(1), "logits": logits, "features": logits[:120, :6]}
            save_npz(folder / "results/digits" / experiment / preset / "released.npz", **arrays)
            (folder / "models").mkdir(exist_ok=True)
            randomize(build_merged_model((28, 28, 1), 10)).save(folder / "models" / f"digits-{experiment}.keras")
    np.save(folder / "results/digits/test_labels.npy", data.y_test.astype(np.uint8))
    model = "digits-paper.keras"
    record = {"model": model, "dataset": "digits", "format": "litert-int8", "size_bytes": 29920}
    write_json(folder / "results/export/digits-paper-litert-int8.json", record)
    rows = [{"name": "litert-int8", "batch1": {"p50_ms": 0.0123}}]
    write_json(folder / "results/bench.json", {"models": [{"model": model, "rows": rows}]})
    return folder


def _arguments(made, output):
    return ["figures", f"--results={made}/results", f"--models={made}/models", f"--output={output}"]


def test_all_are_drawn_and_again_to_the_same_bytes(made, tmp_path, capsys):
    """Deletes `visualizations/`, draws it anew, and some of it once more in another process."""
    output = tmp_path / "visualizations"
    assert main(_arguments(made, output)) == 0, capsys.readouterr().err
    assert {path.name for path in (output / "digits").iterdir()} == {
        f"{name}.{suffix}" for name in FIGURES if ONLY_WITH.get(name, "digits") == "digits" for suffix in ("png", "pdf")
    }
    for path in (output / "digits").glob("*.png"):
        with Image.open(path) as image:
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1) and path.stat().st_size < 1_000_000
    again = ["parameters", "tsne", "gradcam", "confusion"]
    script = "import sys\nfrom lwcnn.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    run_python(script, *_arguments(made, tmp_path / "again"), "--only", *again)
    drawn = sorted((tmp_path / "again/digits").iterdir())
    assert len(drawn) == 2 * len(again)
    for path in drawn:
        assert path.read_bytes() == (output / "digits" / path.name).read_bytes(), path.name


def test_the_cost_of_training_has_a_panel_a_quantity(tmp_path, ax):
    with pytest.raises(MissingInput, match="growth.json"):
        growth.training_cost(Inputs("cifar10", Folders(results=tmp_path)))
    rows = [{"varied": "batch", "batch": b, "seconds": 40 / b, "peak_bytes": 10**9 + b} for b in (32, 64, 512)]
    rows += [{"varied": "size", "size": s, "seconds": s / 8, "peak_bytes": 10**9} for s in (28, 64)]
    write_json(tmp_path / "growth.json", {"device": "one", "threads": 1, "rows": rows})
    figure = growth.training_cost(Inputs("cifar10", Folders(results=tmp_path)))
    panels = {panel.get_xlabel(): panel for panel in figure.axes if panel.get_xlabel()}
    assert set(panels) == {growth.LABELS["batch"], growth.LABELS["size"]}
    batch = panels[growth.LABELS["batch"]]
    np.testing.assert_allclose(batch.lines[0].get_xydata(), [(b, 40 / b) for b in (32, 64, 512)])
    assert batch.get_xscale() == "log" and panels[growth.LABELS["size"]].get_xscale() == "linear"
    with pytest.raises(LwcnnError, match="as many seconds"):
        figures.plot_growth([1, 2], [1], [1, 2], "images", ax=ax)


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
    assert kept.read_bytes() == b"as committed" and (output / "digits/ablation.pdf").exists()


def test_without_pixels_only_image_figures_are_skipped(made, tmp_path, capsys):
    """Results of a data set that is nowhere on this machine."""
    for path in (made / "results/digits").rglob("*"):
        if path.is_file():
            copy = tmp_path / "results/mine" / path.relative_to(made / "results/digits")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes().replace(b'"dataset": "digits"', b'"dataset": "mine"'))
    arguments = ["figures", f"--results={tmp_path}/results", f"--output={tmp_path}/out"]
    assert main([*arguments, "--only", "macs", "confused_pairs", "confident_errors", "int8_bytes", "latency"]) == 3
    printed = capsys.readouterr()
    assert "drawn    mine/macs" in printed.out
    assert all(f"skipped  mine/{name}" in printed.err for name in ("confused_pairs", "confident_errors", "int8_bytes"))


def test_released_logits_of_another_run_are_refused(made, tmp_path, capsys):
    folder = tmp_path / "results"
    for path in (made / "results").rglob("*.*"):
        copy = folder / path.relative_to(made / "results")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    path = folder / "digits/paper_tuned/full/seed1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"test_accuracy": 0.1}))
    assert main(["figures", f"--results={folder}", f"--output={tmp_path}/out", "--only", "roc"]) == 3
    assert "are not those of seed 1's result" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["--only", "confusions"], "Did you mean 'confusion'"),
        (["--dataset", "digit"], "Did you mean 'digits'"),
        (["--only", "gradcam", "--classes", "10"], "Unknown class"),
        (["--only", "gradcam", "--layer", "original_conv3"], "Did you mean 'original_conv"),
    ],
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
    (folder / "bench.json").write_text('{"models": [{"model": "digits-paper.keras", "rows": [7]}]}')
    arguments = ["figures", f"--results={folder}", f"--output={tmp_path}/out", "--only"]
    assert main([*arguments, "tsne", "latency", "macs"]) == 1
    printed = capsys.readouterr()
    assert "drawn    digits/macs" in printed.out
    last = printed.err.splitlines()[-1]
    assert last.startswith("lwcnn: error: ") and "digits/tsne: t-SNE needs" in last and "digits/latency" in last


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
