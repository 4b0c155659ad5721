"""The figures that the results' JSON files alone are enough for."""

import contextlib

import pandas as pd
from matplotlib.figure import Figure

from lwcnn.evaluation.statistics import Difference
from lwcnn.experiments.recipes.ablation import BASELINE as PARTS_BASELINE
from lwcnn.experiments.recipes.ablation import PARTS, WHOLE, leave_one_out, only
from lwcnn.experiments.recipes.paper import EXPERIMENTS
from lwcnn.experiments.results import MissingInput
from lwcnn.publication.claims.literature import PAPER_ACCURACY, RECORD, SEEDS, published
from lwcnn.publication.evidence import BASELINE_EXPERIMENT
from lwcnn.publication.figures import titles
from lwcnn.publication.figures.bars import plot_ablation, plot_accuracy_bars, plot_per_class_accuracy
from lwcnn.publication.figures.confusion import plot_confusion_difference, plot_confusion_matrix
from lwcnn.publication.figures.curves import plot_training_curves
from lwcnn.publication.figures.inputs import Inputs
from lwcnn.publication.figures.style import new_panels
from lwcnn.publication.figures.tradeoffs import Point, plot_tradeoff
from lwcnn.publication.tables.errors import summed_confusion

LATENCY_RUNTIMES = ("litert-int8", "litert")  # the first that was measured


def training_curves(inputs: Inputs) -> Figure:
    """Accuracy and loss through both stages of the paper's method."""
    return _curves(inputs, BASELINE_EXPERIMENT)


def training_curves_best(inputs: Inputs) -> Figure:
    """The same of the best model."""
    return _curves(inputs, inputs.compared()[1])


def _curves(inputs: Inputs, experiment: str) -> Figure:
    runs = inputs.runs(experiment)
    released = runs[runs["weights"].notna()]
    run = (released if len(released) else runs).iloc[:1]
    figure, axes = new_panels(6.8, 5.6, 1, 2)
    what = f"Training: {inputs.display_name}, {titles.model(run)}"
    (one,) = run.itertuples()
    counts = f"{one.num_train_images:,} training and {one.num_val_images:,} validation images"
    plot_training_curves(one.history, "accuracy", f"{what}\n{counts}", ax=axes[0])
    plot_training_curves(one.history, "loss", ax=axes[1])
    return figure


def confusion(inputs: Inputs) -> Figure:
    """Confusion matrices of baseline and best, added up over seeds, and their difference."""
    names = inputs.compared()
    figure, axes = new_panels(11.5, 4.3, 3)
    matrices = [summed_confusion(inputs.runs(name)) for name in names]
    for name, matrix, ax in zip(names, matrices, axes):
        plot_confusion_matrix(matrix, inputs.class_names, titles.model(inputs.runs(name)), ax=ax)
    difference = f"{names[1]} minus {names[0]}, points"
    plot_confusion_difference(matrices[1], matrices[0], inputs.class_names, difference, ax=axes[2])
    figure.suptitle(
        f"Confusion, percent of each label: {inputs.display_name}, n = {inputs.num_test_images:,} test images a seed"
    )
    return figure


def accuracy_bars(inputs: Inputs) -> Figure:
    """Test accuracy of every experiment and preset."""
    groups = list(inputs.groups.items())
    if not groups:
        raise MissingInput(f"there are no results of it. Received: {inputs.dataset!r}")
    groups.sort(key=lambda group: (group[0][1] != "full", -group[1]["test_accuracy"].mean()))
    paper = PAPER_ACCURACY.get(inputs.dataset)
    title = titles.of_data(inputs, "Test accuracy of each experiment", titles.seed_counts([runs for _, runs in groups]))
    return plot_accuracy_bars(
        [f"{experiment} ({preset})" for (experiment, preset), _ in groups],
        [inputs.estimate(runs) for _, runs in groups],
        (f"paper, {100 * paper:.0f} %", paper) if paper else None,
        title,
    )


def per_class_accuracy(inputs: Inputs) -> Figure:
    """Accuracy by class of baseline and best."""
    values = {
        titles.model(runs): pd.DataFrame(list(runs["per_class_accuracy"])).to_numpy(float)
        for runs in map(inputs.runs, inputs.shown())
    }
    title = titles.of_data(inputs, "Test accuracy by class", "mean over seeds")
    return plot_per_class_accuracy(values, inputs.class_names, title)


def ablation(inputs: Inputs) -> Figure:
    """What each experiment of one preset is worth beside `paper`, seed by seed."""
    chosen, evidence = inputs.ablation_preset, inputs.evidence
    names = [name for name in EXPERIMENTS if name != BASELINE_EXPERIMENT and (name, chosen) in inputs.groups]
    if not names or (BASELINE_EXPERIMENT, chosen) not in inputs.groups:
        raise MissingInput(f"no `{chosen}` runs of `{BASELINE_EXPERIMENT}` and another. Received: {inputs.dataset!r}")
    found = [evidence.difference(inputs.dataset, name, BASELINE_EXPERIMENT, chosen) for name in names]
    what = f"What each part is worth: each experiment minus {BASELINE_EXPERIMENT}, the same seeds"
    details = f"preset {chosen}, {titles.seed_counts([one.by_seed for one in found])}"
    return plot_ablation(names, found, titles.of_data(inputs, what, details))


def parts(inputs: Inputs) -> Figure:
    """What each part of the improved model is worth, alone on the baseline and in the whole."""
    panels: dict[str, dict[str, Difference]] = {
        "alone, minus the baseline": {},
        "in the whole, minus the whole without it": {},
    }
    for key, part in PARTS.items():
        pairs = (only(key), PARTS_BASELINE), (WHOLE, leave_one_out(key))
        for gains, (name, reference) in zip(panels.values(), pairs):
            with contextlib.suppress(MissingInput):
                gains[part.title] = inputs.evidence.difference(inputs.dataset, name, reference, inputs.ablation_preset)
    panels = {title: gains for title, gains in panels.items() if gains}
    if not panels:
        raise MissingInput(
            f"no `{inputs.ablation_preset}` runs of `{PARTS_BASELINE}` and a part. Received: {inputs.dataset!r}"
        )
    figure, axes = new_panels(max(5.2 * len(panels), 6.5), 3.0, len(panels))
    for ax, (title, gains) in zip(axes, panels.items()):
        plot_ablation(list(gains), list(gains.values()), title, ax=ax)
    seeds = titles.seed_counts([one.by_seed for gains in panels.values() for one in gains.values()])
    details = f"preset {inputs.ablation_preset}, {seeds}, bootstrap over seeds and images"
    figure.suptitle(titles.of_data(inputs, "What each part of the improved model is worth", details))
    return figure


def parameters(inputs: Inputs) -> Figure:
    """Accuracy against parameters: ours, the systems to reproduce and public records."""
    points = _published(inputs, "params") + _ours(inputs, lambda runs: runs["params"].iloc[0], name_all=False)
    return plot_tradeoff(points, "parameters", _tradeoff_title(inputs, "Parameters against accuracy"))


def frontier(inputs: Inputs) -> Figure:
    """Accuracy of small networks: ours with the preset `full`, and public records."""
    points = [
        Point(_OURS.get(one.name, one.name), one.cost, one.accuracy, one.kind, one.low, one.high)
        for one in _ours(inputs, lambda runs: runs["params"].iloc[0]) + _published(inputs, "params")
        if one.kind in ("ours, full", RECORD)
    ]
    shown = [one for one in points if 10_000 <= one.cost <= 100_000 and one.accuracy >= LEAST_ACCURACY]
    if not shown:
        raise MissingInput(f"no network of 10k to 100k parameters is that accurate. Received: {inputs.dataset!r}")
    title = f"Test accuracy of small networks, {inputs.display_name}, {_images(inputs)}"
    return plot_tradeoff(shown, "parameters, moving statistics included where known", title)


_OURS = {
    "residual_se": "ours, AdamW",
    "residual_se_small": "ours, small",
    "residual_se_distilled": "ours, distilled",
    "residual_se_muon": "ours, Muon",
    "residual_se_stem_adamw": "ours, control",
}
LEAST_ACCURACY = 0.8  # of the frontier's figure


def training_time(inputs: Inputs) -> Figure:
    """Accuracy against training time."""
    points = _published(inputs, "train_seconds")
    points += _ours(inputs, lambda runs: runs["train_seconds"].mean())
    others = "; squares: another machine" if points[0].kind == SEEDS else ""
    label = f"training time, s (one thread of a shared two-core CPU, validation included{others})"
    return plot_tradeoff(points, label, _tradeoff_title(inputs, "Training time against accuracy"))


def macs(inputs: Inputs) -> Figure:
    """Accuracy against multiply-accumulates."""
    points = _ours(inputs, lambda runs: runs["macs"].iloc[0], name_all=False)
    return plot_tradeoff(points, "multiply-accumulates of one image", _tradeoff_title(inputs, "MACs against accuracy"))


def int8_bytes(inputs: Inputs) -> Figure:
    """Accuracy of the int8 file against its size."""
    records, points = inputs.exported_int8(), _published(inputs, "int8_bytes")
    named = {BASELINE_EXPERIMENT, inputs.best_experiment}
    sizes = records["size_bytes"]
    for experiment, record in records.iterrows():
        runs, measured = inputs.runs(experiment), record.get("accuracy_exported")
        is_named = experiment in named or _leads(inputs, experiment, sizes.index, sizes.get)
        shown = runs["test_accuracy"].mean() if pd.isna(measured) else measured
        points.append(_point(experiment, is_named, runs, sizes[experiment], shown))
    what = "Size of the int8 file against its accuracy: released seeds"
    return plot_tradeoff(points, "int8 file, bytes", f"{what}\n{inputs.display_name}, {_images(inputs)}")


def latency(inputs: Inputs) -> Figure:
    """Accuracy against the median time of one image."""
    for runtime in LATENCY_RUNTIMES:
        try:
            times = inputs.latencies(runtime)
            break
        except MissingInput as error:
            missing = error
    else:
        raise missing
    points = [
        _point(name, True, inputs.runs(name), time, inputs.runs(name)["test_accuracy"].mean())
        for name, time in times.items()
    ]
    label = f"median latency of one image, ms ({runtime}, one CPU thread)"
    return plot_tradeoff(points, label, _tradeoff_title(inputs, "Latency against accuracy"))


def _ours(inputs: Inputs, cost_of, name_all: bool = True) -> list[Point]:
    """Our experiments' points; where many share one architecture, the baseline, the best and full ones are named."""
    points = []
    for experiment, runs in inputs.experiments.items():
        named = name_all or experiment in (BASELINE_EXPERIMENT, inputs.best_experiment)
        named = (
            named or runs["preset"].iloc[0] == "full" or _leads(inputs, experiment, inputs.experiments, _params(inputs))
        )
        found = inputs.estimate(runs)
        # Bars through half the figure would hide the points.
        ends = (found.low, found.high) if named and found.high - found.low <= 0.05 else (None, None)
        points.append(_point(experiment, named, runs, cost_of(runs), found.mean, *ends))
    return points


def _point(experiment, named, runs, cost, accuracy, low=None, high=None) -> Point:
    kind = "ours, full" if runs["preset"].iloc[0] == "full" else "ours, quick"
    return Point(experiment if named else "", cost, accuracy, kind, low, high)


def _params(inputs: Inputs):
    return lambda experiment: inputs.runs(experiment)["params"].iloc[0]


def _leads(inputs: Inputs, experiment: str, others, cost_of) -> bool:
    """Whether an experiment is the most accurate one of its cost."""
    equal = [other for other in others if cost_of(other) == cost_of(experiment)]
    return experiment == max(equal, key=lambda name: inputs.runs(name)["test_accuracy"].mean())


def _published(inputs: Inputs, quantity: str) -> list[Point]:
    found = published(inputs.dataset, quantity)
    return [Point(one.name, getattr(one, quantity), one.accuracy, one.kind) for one in found]


def _tradeoff_title(inputs: Inputs, what: str) -> str:
    counts = titles.seed_counts(list(inputs.experiments.values()))
    return f"{what}\n{inputs.display_name}, ours: means of {counts}, {_images(inputs)}"


def _images(inputs: Inputs) -> str:
    return f"n = {inputs.num_test_images:,} test images"
