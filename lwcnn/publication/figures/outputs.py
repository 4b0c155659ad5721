"""Figures of model outputs: confusion of classes, ROC curves, calibration, and the penultimate features by t-SNE."""

from collections.abc import Sequence

import numpy as np
import seaborn as sns
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import softmax
from sklearn.manifold import TSNE
from sklearn.metrics import auc, roc_curve
from threadpoolctl import threadpool_limits

from lwcnn.evaluation.metrics import expected_calibration_error, reliability_bins
from lwcnn.experiments.release import NUM_FEATURE_IMAGES
from lwcnn.experiments.results import MissingInput
from lwcnn.publication.evidence import summed_confusion
from lwcnn.publication.figures.inputs import Inputs, describe_runs
from lwcnn.publication.figures.style import BASELINE, BEST, COLORS, GRAY, MARKERS, Look, new_panels, styled
from lwcnn.system.errors import wrong

MAX_NUMBERED = 20  # classes; with more, the numbers of a confusion matrix are unreadable
PERPLEXITY = 30  # van der Maaten and Hinton 2008: 5 to 50


@styled(4.2, 3.9)
def plot_confusion_matrix(matrix: np.ndarray, class_names: Sequence[str], title: str = "", *, ax: Axes):
    """Draws counts (classes, classes), in percent: how the images of each class (rows) are classified (columns)."""
    matrix = np.asarray(matrix, dtype=float)
    if matrix.shape != (len(class_names), len(class_names)):
        raise wrong("Give a row per class", f"{matrix.shape}, {len(class_names)} names")
    percent = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)  # zeros for a class without images
    digits = 0 if (percent - np.diag(np.diag(percent))).max() >= 5 else 1
    shown = [[f"{value:.{digits}f}" if round(value, digits) else "" for value in row] for row in percent]
    sns.heatmap(
        percent, vmin=0, vmax=100, cmap="Blues", annot=shown if len(class_names) <= MAX_NUMBERED else None, fmt="",
        annot_kws={"fontsize": 6}, square=True, cbar=False, xticklabels=class_names, yticklabels=class_names, ax=ax,
    )  # fmt: skip
    ax.set_xticklabels(ax.get_xticklabels(), rotation=45, ha="right", rotation_mode="anchor")
    ax.tick_params(length=0)
    ax.tick_params(axis="y", rotation=0)
    ax.set(xlabel="predicted class", ylabel="true class", title=title)


@styled(5.2, 3.6)
def plot_roc(logits, labels, class_names: Sequence[str], title: str = "", *, ax: Axes):
    """Draws each class's ROC curve against the rest, with the area (AUC) in the legend and its mean above."""
    probabilities, areas = softmax(np.asarray(logits, dtype=float), axis=1), []
    for label, name in enumerate(class_names):
        if not (labels == label).any():
            continue
        dashes, color = ("solid", (0, (4, 1.5)), (0, (1, 1)))[label % 3], COLORS[label % len(COLORS)]
        false, true, _ = roc_curve(labels == label, probabilities[:, label])
        areas.append(auc(false, true))
        ax.plot(false, true, linestyle=dashes, color=color, linewidth=1, label=f"{name}  {areas[-1]:.4f}")
    ax.plot([0, 1], [0, 1], color=GRAY, linewidth=0.8, linestyle=(0, (3, 2)), zorder=1)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", title=title)
    ax.set(xlabel="false positive rate", ylabel="true positive rate")
    legend = f"class, AUC (mean {np.mean(areas):.4f})"
    ax.legend(title=legend, loc="center left", bbox_to_anchor=(1.01, 0.5), alignment="left")


@styled(4.0, 4.0)
def plot_reliability(
    logits: np.ndarray, labels: np.ndarray, title: str = "", temperature: float | None = None, *, ax: Axes
):
    """Draws accuracy against confidence, before and, with a temperature, after its scaling; ECE in the legend.

    Bars show the share of the images in each bin. There are 15 bins, as in the ECE; fewer, but at least 5, below 300
    images. The accuracy of a bin of fewer than 50 images is not drawn; below 5,000 images, that of fewer than a
    hundredth, or of one image.
    """
    num_bins, least = int(np.clip(len(labels) // 20, 5, 15)), np.clip(len(labels) / 100, 2, 50)
    models = {"as trained": (logits, BASELINE, "o")}
    if temperature:
        models["temperature-scaled"] = (logits / temperature, BEST, "s")
    for i, (name, (values, color, marker)) in enumerate(models.items()):
        confidence, accuracy, count = reliability_bins(values, labels, num_bins)
        shown = count >= min(least, count.max())
        text = f"{name}: ECE {expected_calibration_error(values, labels):.1%}"
        look: Look = {"marker": marker, "color": color, "linewidth": 1, "markersize": 4, "clip_on": False}
        ax.plot(confidence[shown], accuracy[shown], label=text, **look)
        left = (np.arange(num_bins) + i / 2) / num_bins
        ax.bar(left, count / len(labels), 0.5 / num_bins, align="edge", color=color, alpha=0.35, linewidth=0)
    ax.plot([0, 1], [0, 1], color=GRAY, linewidth=0.8, linestyle=(0, (3, 2)), zorder=1, label="perfectly calibrated")
    ax.set(xlim=(0, 1.04), ylim=(0, 1.04), aspect="equal", title=title)
    ax.set(xlabel="confidence, the largest probability", ylabel="accuracy; bars: share of the images")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16))


def embed_features(features: np.ndarray) -> np.ndarray:
    """Computes the t-SNE (n, 2) of features (n, d), each divided by its standard deviation.

    The result is the same on one machine for any number of threads. Equal points would crash the compiled code.
    """
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or not np.isfinite(features).all():
        raise wrong("Give finite features of shape (n, d)", f"an array of shape {features.shape}")
    if (different := len(np.unique(features, axis=0))) < 4:
        raise wrong("t-SNE needs 4 different features or more", f"{different} among {len(features)}")
    deviations = features.std(axis=0)
    scaled = features / np.where(deviations > 0, deviations, 1)
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    with threadpool_limits(1):  # sums in another order would change the result
        return TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(scaled)


@styled(4.2, 3.9)
def plot_embedding(points: np.ndarray, labels: np.ndarray, class_names: Sequence[str], title: str = "", *, ax: Axes):
    """Draws points of shape (n, 2) by class, with each class's name at the median of its points."""
    present = np.unique(labels)
    colors = {label: COLORS[label % len(COLORS)] for label in present}
    markers = {label: MARKERS[label % len(MARKERS)] for label in present}
    sns.scatterplot(
        x=points[:, 0], y=points[:, 1], hue=labels, style=labels, palette=colors, markers=markers, s=9, alpha=0.7,
        linewidth=0.2, legend=False, ax=ax,
    )  # fmt: skip
    outline = [patheffects.withStroke(linewidth=2, foreground="white")]
    for label in present:
        x, y = np.median(points[labels == label], axis=0)
        name = class_names[label]
        ax.text(x, y, name, ha="center", va="center", fontsize=7, fontweight="bold", path_effects=outline)
    ax.set(xticks=[], yticks=[], title=title)
    ax.grid(False)
    ax.set_aspect("equal", adjustable="datalim")
    sns.despine(ax=ax, left=True, bottom=True)


def confusion(inputs: Inputs) -> Figure:
    """Confusion matrices of baseline and best, in percent, over all seeds."""
    figure, axes = new_panels(3.85 * len(inputs.compared), 4.6, len(inputs.compared))
    for one, ax in zip(inputs.compared, axes):
        plot_confusion_matrix(summed_confusion(one.runs), inputs.class_names, describe_runs(one.runs), ax=ax)
    details = f"{inputs.images_counted} per seed", "blank: rounds to 0"
    figure.suptitle(inputs.title("Confusion, percent of each class", *details))
    return figure


def roc(inputs: Inputs) -> Figure:
    """ROC curves of baseline and best, one class against the rest."""
    figure, panels = _panels(inputs, "ROC curves, one class against the rest", 4.6, 3.6)
    for one, title, ax in panels:
        plot_roc(one.logits, one.labels, inputs.class_names, title, ax=ax)
    return figure


def reliability(inputs: Inputs) -> Figure:
    """Reliability of baseline and best, before and after temperature scaling."""
    figure, panels = _panels(inputs, "Reliability", 3.5, 3.9)
    for one, title, ax in panels:
        plot_reliability(one.logits, one.labels, title, one.temperature, ax=ax)
    return figure


def tsne(inputs: Inputs) -> Figure:
    """Penultimate features of baseline and best by t-SNE."""
    figure, panels = _panels(inputs, "t-SNE of the penultimate features", 4.2, 4.4, NUM_FEATURE_IMAGES)
    for one, title, ax in panels:
        if one.features is None:
            raise MissingInput(f"a released run has no features. Received: {title}")
        points = embed_features(one.features[:NUM_FEATURE_IMAGES])
        plot_embedding(points, one.labels[: len(points)], inputs.class_names, title, ax=ax)
    return figure


def _panels(inputs: Inputs, what: str, width: float, height: float, most: int | None = None):
    """Returns a figure, and the released run, title and axis of baseline and best."""
    released = [one.released for one in inputs.compared]
    figure, axes = new_panels(width * len(released), height, len(released))
    figure.suptitle(inputs.title(what, f"{len(released[0].labels[:most]):,} test images"))
    return figure, [(one, describe_runs(one.run), ax) for one, ax in zip(released, axes)]
