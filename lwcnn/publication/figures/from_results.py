"""The figures that the results' JSON files alone are enough for."""

import contextlib
import re

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from lwcnn.evaluation.statistics import Estimate, estimate_accuracy
from lwcnn.experiments.recipes.ablation import BASELINE as PARTS_BASELINE
from lwcnn.experiments.recipes.ablation import PARTS, WHOLE, leave_one_out, only
from lwcnn.experiments.recipes.paper import EXPERIMENTS
from lwcnn.experiments.recipes.techniques import BASE as TECHNIQUE_BASE
from lwcnn.experiments.recipes.techniques import TECHNIQUES, technique
from lwcnn.experiments.results import MissingInput
from lwcnn.publication.claims.literature import PAPER_ACCURACY
from lwcnn.publication.confusions import summed_confusion
from lwcnn.publication.evidence import BASELINE_EXPERIMENT
from lwcnn.publication.figures.confusion import plot_confusion_difference, plot_confusion_matrix
from lwcnn.publication.figures.curves import plot_fold_curves, plot_folds, plot_training_curves
from lwcnn.publication.figures.inputs import Inputs
from lwcnn.publication.figures.intervals import error_scale, interval_legend, plot_intervals
from lwcnn.publication.figures.style import COLORS, new_panels
from lwcnn.publication.names import budget, display_name


def training_curves(inputs: Inputs) -> Figure:
    """Accuracy and loss through both stages of the paper's method."""
    return _curves(inputs, BASELINE_EXPERIMENT)


def training_curves_best(inputs: Inputs) -> Figure:
    """Accuracy and loss of the best network."""
    return _curves(inputs, inputs.best_experiment)


def _curves(inputs: Inputs, experiment: str) -> Figure:
    runs = inputs.runs(experiment)
    released = runs[runs["weights"].notna()]
    run = (released if len(released) else runs).iloc[:1]
    figure, axes = new_panels(6.8, 5.6, 1, 2)
    (one,) = run.itertuples()
    counts = f"{one.num_train_images:,} training and {one.num_val_images:,} validation images"
    plot_training_curves(one.history, "accuracy", ax=axes[0])
    plot_training_curves(one.history, "loss", ax=axes[1])
    figure.suptitle(inputs.title("Training", inputs.model_name(run), counts))
    return figure


def confusion(inputs: Inputs) -> Figure:
    """Confusion matrices of baseline and best, summed over seeds, and their difference."""
    names = inputs.shown()
    matrices = [summed_confusion(inputs.runs(name)) for name in names]
    figure, axes = new_panels(3.85 * (2 * len(names) - 1), 4.3, 2 * len(names) - 1)
    for name, matrix, ax in zip(names, matrices, axes):
        plot_confusion_matrix(matrix, inputs.class_names, inputs.model_name(inputs.runs(name)), ax=ax)
    if len(names) == 2:
        difference = f"{display_name(names[1])} minus {display_name(names[0])}, points"
        plot_confusion_difference(matrices[1], matrices[0], inputs.class_names, difference, ax=axes[2])
    figure.suptitle(inputs.title("Confusion, percent of each class", f"{inputs.images_counted} per seed"))
    return figure


def accuracies(inputs: Inputs) -> Figure:
    """Test accuracy of every experiment, a panel per budget."""
    by_preset: dict[str, dict[str, Estimate]] = {}
    for (experiment, preset), runs in inputs.groups.items():
        by_preset.setdefault(preset, {})[display_name(experiment)] = inputs.estimate(runs)
    presets = [preset for preset in inputs.presets if preset in by_preset]
    heights = [len(by_preset[preset]) + 2.5 for preset in presets]
    figure, axes = new_panels(6.5, 1.2 + 0.2 * sum(heights), 1, len(presets), height_ratios=heights, sharex=True)
    paper = PAPER_ACCURACY.get(inputs.dataset)
    reference = (f"the paper, {100 * paper:.0f} %", paper) if paper else None
    best = [display_name(inputs.best_experiment)]
    for preset, ax in zip(presets, axes):
        found = by_preset[preset]
        rows = sorted(found, key=lambda name: -found[name].mean)
        title = budget(preset).capitalize()
        plot_intervals({"": found}, rows, best, reference, title=title, ax=ax)
        ax.tick_params(labelbottom=True)  # shared axes hide it
    error_scale(axes[-1])
    axes[-1].set_xlabel("test accuracy, %, on a logarithmic scale of the error")
    interval_legend(figure, by_preset, reference=reference[0] if reference else "")
    figure.suptitle(inputs.title("Test accuracy", inputs.images_counted))
    return figure


def per_class_accuracy(inputs: Inputs) -> Figure:
    """Accuracy by class of baseline and best."""
    groups: dict[str, dict[str, Estimate]] = {}
    for name in inputs.shown():
        correct = inputs.correct(inputs.runs(name))
        by_class = (correct[:, inputs.labels == label] for label in range(len(inputs.class_names)))
        estimates = zip(inputs.class_names, by_class)
        groups[inputs.model_name(inputs.runs(name))] = {c: estimate_accuracy(list(found)) for c, found in estimates}
    figure, (ax,) = new_panels(6.5, 1.3 + 0.28 * len(inputs.class_names), 1)
    plot_intervals(groups, title=inputs.title("Test accuracy by class", inputs.images_counted), ax=ax)
    ax.set_xlabel("test accuracy, %")
    interval_legend(figure, groups, named=True)
    return figure


def ablation(inputs: Inputs) -> Figure:
    """What each change of the paper's method is worth, seed by seed."""
    chosen = inputs.ablation_preset
    found = {
        display_name(name): inputs.evidence.difference(inputs.dataset, name, BASELINE_EXPERIMENT, chosen)
        for name in EXPERIMENTS
        if name != BASELINE_EXPERIMENT
        and (name, chosen) in inputs.groups
        and inputs.evidence.has(inputs.dataset, BASELINE_EXPERIMENT, chosen)
    }
    if not found:
        raise MissingInput(f"no `{chosen}` runs of `{BASELINE_EXPERIMENT}` and another. Received: {inputs.dataset!r}")
    rows = sorted(found, key=lambda name: found[name].mean)
    figure, (ax,) = new_panels(6.5, 1.3 + 0.24 * len(rows), 1)
    plot_intervals({"": found}, rows, reference=("the method as described", 0.0), ax=ax)
    ax.set_title(inputs.title("What each change of the paper's method is worth", budget(chosen), inputs.images_counted))
    ax.set_xlabel("test accuracy minus that of the method as described, points")
    interval_legend(figure, {"": found})
    return figure


def parts(inputs: Inputs) -> Figure:
    """What each part of the improved network is worth, alone and in the whole, beside the claimed gains."""
    panels: dict[str, dict[str, Estimate]] = {"added to the baseline": {}, "removed from the full recipe": {}}
    chosen = inputs.ablation_preset
    for key, part in PARTS.items():
        for gains, pair in zip(panels.values(), ((only(key), PARTS_BASELINE), (WHOLE, leave_one_out(key)))):
            with contextlib.suppress(MissingInput):
                gains[part.title] = inputs.evidence.difference(inputs.dataset, *pair, chosen)
    panels = {title: gains for title, gains in panels.items() if gains}
    if not panels:
        raise MissingInput(f"no `{chosen}` runs of `{PARTS_BASELINE}` and a part. Received: {inputs.dataset!r}")
    rows = [part.title for part in PARTS.values() if any(part.title in gains for gains in panels.values())]
    claims = {part.title: _claimed(part.claim) for part in PARTS.values() if part.claim}
    figure, axes = new_panels(
        max(4.2 * len(panels), 6.5), 1.5 + 0.28 * len(rows), len(panels), sharey=True, sharex=True
    )
    for ax, (title, gains) in zip(axes, panels.items()):
        plot_intervals({"": gains}, rows, bands=claims, reference=("", 0.0), title=title, ax=ax)
        ax.set_xlabel(
            "accuracy gained when added, points" if "added" in title else "accuracy lost when removed, points"
        )
    interval_legend(figure, panels, band="the extension's claim")
    figure.suptitle(inputs.title("What each part is worth", budget(chosen), inputs.images_counted))
    return figure


def _claimed(text: str) -> tuple[float, float]:
    """Returns the range of "+3 to +4"; half a point around the figure of "about +2"."""
    ends = [float(number) for number in re.findall(r"\d+", text)]
    return (ends[0], ends[1]) if len(ends) > 1 else (ends[0] - 0.5, ends[0] + 0.5)


def techniques(inputs: Inputs) -> Figure:
    """What each technique is worth on the recipe of the best network, a panel per budget, the best first."""
    panels: dict[str, dict[str, Estimate]] = {}
    for preset in inputs.presets:
        for key, one in TECHNIQUES.items():
            with contextlib.suppress(MissingInput):
                gain = inputs.evidence.difference(inputs.dataset, technique(key), TECHNIQUE_BASE, preset)
                panels.setdefault(preset, {})[one.title] = gain
    if not panels:
        raise MissingInput(f"no run of `{TECHNIQUE_BASE}` and a technique. Received: {inputs.dataset!r}")
    heights = [len(gains) + 2.5 for gains in panels.values()]
    figure, axes = new_panels(6.5, 1.2 + 0.2 * sum(heights), 1, len(panels), height_ratios=heights, sharex=True)
    for (preset, gains), ax in zip(panels.items(), axes):
        rows = sorted(gains, key=lambda title: -gains[title].mean)
        plot_intervals({"": gains}, rows, reference=("", 0.0), title=budget(preset).capitalize(), ax=ax)
    axes[-1].set_xlabel("test accuracy minus that of the recipe without it, points")
    interval_legend(figure, panels)
    figure.suptitle(inputs.title("What each technique is worth", inputs.images_counted))
    return figure


def robustness(inputs: Inputs) -> Figure:
    """Accuracy of the released networks on corrupted test images, by severity and by corruption."""
    measured = inputs.evidence.benchmark("robustness")
    frame = pd.DataFrame(measured["rows"])
    frame["accuracy, %"], frame["network"] = 100 * frame["accuracy"], frame["experiment"].map(display_name)
    corrupted = frame[frame["severity"] > 0].assign(severity="mean of 1 to 5")
    figure, axes = new_panels(9.0, 3.4, 2, width_ratios=(1, 1.6), sharey=True)
    look = {"y": "accuracy, %", "hue": "network", "palette": COLORS[: frame["network"].nunique()], "errorbar": None}
    sns.lineplot(frame, x="severity", style="network", markers=True, dashes=False, legend=False, ax=axes[0], **look)
    sns.barplot(corrupted, x="corruption", ax=axes[1], **look)
    axes[1].tick_params(axis="x", labelrotation=45)
    sns.move_legend(axes[1], "center left", bbox_to_anchor=(1.01, 0.5), title=None)
    figure.suptitle(inputs.title("Corrupted images", measured["images"]))
    return figure


def folds(inputs: Inputs) -> Figure:
    """Accuracy of each fold, and its curves where they were recorded: from scratch, and never reset as published."""
    found = inputs.evidence.folds
    found = found[found["dataset"] == inputs.dataset]
    if found.empty:
        raise MissingInput(f"no K-fold cross-validation was run on it. Received: {inputs.dataset!r}")
    leaky = found[found["leaky"].astype(bool)]
    procedure = found["leaky"].map({True: "model never reset, as published", False: "each fold from scratch"})
    test = float(leaky["test_accuracy"].iloc[0]) if len(leaky) else None
    title = inputs.title("K-fold cross-validation", "paper's method", budget(found["preset"].iloc[0]))
    recorded = found[found["history"].notna()].groupby(procedure, sort=False)["history"]
    figure, axes = new_panels(5.6, 3.0 * (1 + len(recorded)), 1, 1 + len(recorded))
    plot_folds(found.assign(procedure=procedure), test, title, ax=axes[0])
    for (name, histories), ax in zip(recorded, axes[1:]):
        plot_fold_curves(list(histories), name, ax=ax)
    return figure
