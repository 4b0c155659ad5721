"""What the logits say beyond the class: ROC curves, and calibration before and after temperature scaling."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from scipy.special import softmax
from sklearn.metrics import roc_curve

from lwcnn.evaluation.calibration import scale_cross_fitted
from lwcnn.evaluation.metrics import expected_calibration_error, reliability_bins
from lwcnn.publication.figures.style import BASELINE, BEST, BLACK, COLORS, GRAY, legend_below, styled
from lwcnn.system.errors import LwcnnError

_GRID = np.concatenate([[0], np.geomspace(1e-4, 1, 1000)])  # false positive rates at which curves are drawn
LEAST_CORNER = 0.01


def roc_one_vs_rest(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Computes the ROC curve of each class against all others, by its softmax probability.

    Args:
        logits: Logits of shape (n, classes).
        labels: Labels of shape (n,) with each class among them.

    Returns:
        False positive rates (1001,), true positive rates (classes, 1001) and areas under the exact curves (classes,).

    Raises:
        LwcnnError: A class has no images.
    """
    probabilities = softmax(np.asarray(logits, dtype=float), axis=1)
    labels = np.asarray(labels)
    missing = sorted(set(range(logits.shape[1])) - set(labels.tolist()))
    if missing:
        raise LwcnnError(f"Give images of each class. Received none of: {missing}")
    rates, areas = [], []
    for label in range(logits.shape[1]):
        false, true, _ = roc_curve(labels == label, probabilities[:, label])
        rates.append(np.interp(_GRID, false, true))
        areas.append(np.trapezoid(true, false))
    return _GRID, np.array(rates), np.array(areas)


def roc_corner(areas: np.ndarray) -> float:
    """Returns the largest false positive rate worth showing for a model with these areas."""
    return float(np.clip(round(4 * (1 - areas.mean()), 2), LEAST_CORNER, 1))


@styled(5.2, 3.6)
def plot_roc(
    logits: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    title: str | None = None,
    corner: float = 1.0,
    *,
    ax: Axes,
):
    """Draws each class's ROC curve against the rest, and their macro average; areas (AUC) in the legend.

    Args:
        logits: Logits of shape (n, classes).
        labels: Labels of shape (n,).
        class_names: Names by label.
        corner: Largest false positive rate drawn, above 0 to 1; true positive rates are drawn from 1 - 2 * corner.
    """
    false, true, areas = roc_one_vs_rest(logits, labels)
    for label, name in enumerate(class_names):
        dashes = ("solid", (0, (4, 1.5)), (0, (1, 1)))[label % 3]
        color = COLORS[label % len(COLORS)]
        ax.plot(false, true[label], color=color, linestyle=dashes, linewidth=1, label=f"{name}  {areas[label]:.4f}")
    ax.plot(false, true.mean(axis=0), color=BLACK, linewidth=2, label=f"macro average  {areas.mean():.4f}")
    lowest = max(0.0, 1 - 2 * corner)
    ax.set_xlim(-0.01 * corner, corner)
    ax.set_ylim(lowest, 1 + 0.02 * (1 - lowest))
    ax.set(xlabel="false positive rate", ylabel="true positive rate", title=title or "")
    ax.legend(title="class, AUC", loc="center left", bbox_to_anchor=(1.01, 0.5), alignment="left")


@styled(4.0, 4.0)
def plot_reliability(logits: np.ndarray, labels: np.ndarray, title: str | None = None, num_bins: int = 15, *, ax: Axes):
    """Draws accuracy against confidence, before and after cross-fitted temperature scaling; ECE in the legend.

    The area of a marker shows its bin's share of the images; bins of fewer than ten are not drawn but count in the ECE.

    Args:
        logits: Logits of shape (n, classes).
        labels: Labels of shape (n,).
        num_bins: Number of bins of equal width, also those of the ECE.
    """
    scaled = scale_cross_fitted(logits, labels)
    temperature = " and ".join(dict.fromkeys(f"{t:.2f}" for t in scaled.temperatures))
    shown = []
    for values, name in (
        (np.asarray(logits, dtype=float), "as trained"),
        (scaled.logits, f"temperature {temperature}"),
    ):
        confidence, accuracy, count = reliability_bins(values, labels, num_bins)
        ece = expected_calibration_error(values, labels, num_bins)
        shown.append(pd.DataFrame({"confidence": confidence, "accuracy": accuracy, "share": count / count.sum()}))
        shown[-1] = shown[-1][count >= min(10, count.max())].assign(model=f"{name}: ECE {100 * ece:.1f} %")
    bins, colors = pd.concat(shown, ignore_index=True), (BASELINE, BEST)
    look = {"x": "confidence", "y": "accuracy", "hue": "model", "style": "model", "palette": colors, "ax": ax}
    sns.lineplot(bins, **look, dashes=False, linewidth=1)
    handles, names = ax.get_legend_handles_labels()
    handles.append(Patch(alpha=0))
    names.append("area of a marker: share of images")
    sizes = {"size": "share", "size_norm": (0, 0.6), "sizes": (6, 110)}
    sns.scatterplot(bins, **look, **sizes, markers=("o", "s"), alpha=0.7, legend=False)
    for share in (0.01, 0.1, 0.5):
        handles.append(ax.scatter([], [], 6 + 104 * share / 0.6, color=GRAY))
        names.append(f"{100 * share:.0f} %")
    ax.plot([0, 1], [0, 1], color=GRAY, linewidth=0.8, linestyle=(0, (3, 2)), zorder=1)
    ax.set_xlim(0, 1.02)
    ax.set_ylim(0, 1.04)
    ax.set(xlabel="confidence, the largest probability", ylabel="accuracy", title=title or "")
    legend_below(ax, handles, names, ncols=2)
