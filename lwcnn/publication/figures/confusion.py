"""Confusion matrices: which classes are taken for which."""

from collections.abc import Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lwcnn.publication.evidence import summed_confusion
from lwcnn.publication.figures.inputs import Inputs, describe_runs
from lwcnn.publication.figures.style import new_panels, styled
from lwcnn.system.errors import LwcnnError

MAX_NUMBERED = 20  # classes; with more, numbers are unreadable


@styled(4.2, 3.9)
def plot_confusion_matrix(matrix: np.ndarray, class_names: Sequence[str], title: str = "", *, ax: Axes):
    """Draws counts (classes, classes), in percent: how the images of each class (rows) are classified (columns)."""
    matrix = np.asarray(matrix, dtype=float)
    if matrix.shape != (len(class_names), len(class_names)):
        raise LwcnnError(f"Give a row per class. Received: {matrix.shape}, {len(class_names)} names")
    percent = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)  # zeros for a class without images
    digits = 0 if (percent - np.diag(np.diag(percent))).max() >= 5 else 1
    shown = [[f"{value:.{digits}f}" if round(value, digits) else "" for value in row] for row in percent]
    sns.heatmap(
        percent, vmin=0, vmax=100, cmap="Blues", annot=shown if len(class_names) <= MAX_NUMBERED else None, fmt="",
        annot_kws={"fontsize": 6}, square=True, cbar=False, xticklabels=class_names, yticklabels=class_names, ax=ax,
    )  # fmt: skip
    ax.set_xticklabels(ax.get_xticklabels(), rotation=45, ha="right", rotation_mode="anchor")
    ax.tick_params(length=0)
    ax.set(xlabel="predicted", ylabel="label", title=title)


def confusion(inputs: Inputs) -> Figure:
    """Confusion matrices of baseline and best, summed over seeds."""
    figure, axes = new_panels(3.85 * len(inputs.compared), 4.3, len(inputs.compared))
    for one, ax in zip(inputs.compared, axes):
        plot_confusion_matrix(summed_confusion(one.runs), inputs.class_names, describe_runs(one.runs), ax=ax)
    figure.suptitle(inputs.title("Confusion, percent of each class", f"{inputs.images_counted} per seed"))
    return figure
