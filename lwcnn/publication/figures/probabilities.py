"""What the logits say beyond the class: ROC curves, and calibration before and after temperature scaling."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from scipy.special import softmax
from sklearn.metrics import roc_curve

from lwcnn.evaluation import expected_calibration_error, scale_cross_fitted
from lwcnn.evaluation.metrics import reliability_bins
from lwcnn.publication.figures.style import BASELINE, BEST, BLACK, CLASS_COLORS, GRAY, styled
from lwcnn.system.errors import LwcnnError

_GRID = np.linspace(0, 1, 1001)  # false positive rates at which the classes' curves are averaged and drawn


def roc_one_vs_rest(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ROC curve of each class against all others, by its softmax probability.

    Args:
        logits: (n, classes).
        labels: (n,), each class among them and none alone.

    Returns:
        False positive rates (1001,), the classes' true positive rates there (classes, 1001), and the areas under
        the exact curves (classes,). The macro average is the mean over classes.

    Raises:
        LwcnnError: a class without images.
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
    """Draws each class's ROC curve, one against the rest, and their macro average; areas (AUC) in the legend.

    Args:
        logits: (n, classes).
        labels: (n,).
        class_names: by label.
        corner: above 0 to 1: draws only false positive rates up to it and true positive rates from 1 - it, the corner
            in which good classifiers differ.
    """
    false, true, areas = roc_one_vs_rest(logits, labels)
    for label, name in enumerate(class_names):
        color = CLASS_COLORS[label % len(CLASS_COLORS)]
        dashes = ("solid", (0, (4, 1.5)), (0, (1, 1)))[label % 3]
        ax.plot(false, true[label], color=color, linestyle=dashes, linewidth=0.9, label=f"{name}  {areas[label]:.4f}")
    macro = true.mean(axis=0)
    ax.plot(false, macro, color=BLACK, linewidth=2, label=f"macro average  {areas.mean():.4f}")
    if corner == 1:
        ax.plot([0, 1], [0, 1], color=GRAY, linewidth=0.7, linestyle=(0, (2, 2)))
    room = 0.012 * corner
    ax.set_xlim(-room, corner + room)
    ax.set_ylim(1 - corner - room, 1 + room)
    ax.set_xlabel("false positive rate")
    ax.set_ylabel("true positive rate")
    ax.set_title(title or "")
    ax.legend(title="class, AUC", loc="center left", bbox_to_anchor=(1.01, 0.5), title_fontsize=7.5, alignment="left")


@styled(4.0, 3.6)
def plot_reliability(logits: np.ndarray, labels: np.ndarray, title: str | None = None, num_bins: int = 15, *, ax: Axes):
    """Draws accuracy against confidence, before and after cross-fitted temperature scaling; ECE in the legend.

    The size of a marker is its bin's share of the images; bins of fewer than ten are left out of the drawing, not of
    the ECE. See `scale_cross_fitted` for the temperature.

    Args:
        logits: (n, classes).
        labels: (n,).
        num_bins: of equal width, also those of the ECE.
    """
    scaled = scale_cross_fitted(logits, labels)
    temperature = " and ".join(dict.fromkeys(f"{t:.2f}" for t in scaled.temperatures))
    for values, name, color, marker in (
        (np.asarray(logits, dtype=float), "as trained", BASELINE, "o"),
        (scaled.logits, f"temperature {temperature}", BEST, "s"),
    ):
        confidence, accuracy, count = reliability_bins(values, labels, num_bins)
        shown = count >= min(10, count.max())
        ece = expected_calibration_error(values, labels, num_bins)
        ax.plot(confidence[shown], accuracy[shown], color=color, linewidth=1, label=f"{name}: ECE {100 * ece:.1f} %")
        ax.scatter(
            confidence[shown],
            accuracy[shown],
            6 + 90 * (count / count.sum())[shown],
            color=color,
            marker=marker,
            alpha=0.7,
        )
    ax.plot([0, 1], [0, 1], color=GRAY, linewidth=0.8, linestyle=(0, (3, 2)), zorder=1)
    ax.set_xlim(0, 1.02)
    ax.set_ylim(0, 1.02)
    ax.set_xlabel("confidence, the largest probability")
    ax.set_ylabel("accuracy")
    ax.set_title(title or "")
    ax.legend(loc="upper left")
