"""Confusion matrices, their difference, and which classes are taken for which."""

from collections.abc import Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lwcnn.publication.evidence import summed_confusion
from lwcnn.publication.figures.inputs import Inputs
from lwcnn.publication.figures.style import new_panels, styled
from lwcnn.publication.names import display_name
from lwcnn.system.errors import LwcnnError

MAX_NUMBERED = 20  # classes; with more, numbers are unreadable


@styled(4.2, 3.9)
def plot_confusion_matrix(matrix: np.ndarray, class_names: Sequence[str], title: str = "", *, ax: Axes):
    """Draws counts (classes, classes), in percent: how the images of each class (rows) are classified (columns)."""
    percent = _row_percent(matrix, class_names)
    mistakes = percent[~np.eye(len(percent), dtype=bool)]
    _draw(ax, percent, class_names, title, "Blues", 0, 100, "{:.1f}" if mistakes.max(initial=0) < 5 else "{:.0f}")


@styled(4.2, 3.9)
def plot_confusion_difference(
    matrix: np.ndarray, other: np.ndarray, class_names: Sequence[str], title: str = "", *, ax: Axes
):
    """Draws `matrix` minus `other`, each in percent of its rows, in points."""
    difference = _row_percent(matrix, class_names) - _row_percent(other, class_names)
    reach = max(float(np.abs(difference).max()), 1.0)
    _draw(ax, difference, class_names, title, "PuOr_r", -reach, reach, "{:+.1f}" if reach < 5 else "{:+.0f}")


def _row_percent(matrix: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    """Returns counts in percent of their rows; a class without images gives zeros."""
    matrix = np.asarray(matrix, dtype=float)
    if matrix.shape != (len(class_names), len(class_names)):
        raise LwcnnError(
            f"Give a square matrix with a row per class. Received: {matrix.shape}, {len(class_names)} names"
        )
    return 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)


def most_confused_pairs(matrix: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Returns the (label, prediction) pairs off the diagonal with the most images, most first."""
    matrix = np.array(matrix)
    np.fill_diagonal(matrix, 0)
    order = np.argsort(-matrix, axis=None, kind="stable")[:count]
    pairs = [(int(i) // matrix.shape[1], int(i) % matrix.shape[1]) for i in order]
    return [pair for pair in pairs if matrix[pair]]


def _draw(ax, values, class_names, title, colors, low, high, form) -> None:
    shown = np.array([[form.format(value) for value in row] for row in values])
    shown[shown.astype(float) == 0] = ""
    sns.heatmap(
        values, vmin=low, vmax=high, cmap=colors, annot=shown if len(class_names) <= MAX_NUMBERED else None, fmt="",
        annot_kws={"fontsize": 6}, square=True, cbar=False, xticklabels=class_names, yticklabels=class_names, ax=ax,
    )  # fmt: skip
    ax.set_xticklabels(ax.get_xticklabels(), rotation=45, ha="right", rotation_mode="anchor")
    ax.tick_params(length=0)
    ax.set(xlabel="predicted", ylabel="label", title=title)


def confusion(inputs: Inputs) -> Figure:
    """Confusion matrices of baseline and best, summed over seeds, and their difference."""
    names = inputs.shown
    matrices = [summed_confusion(inputs.runs(name)) for name in names]
    figure, axes = new_panels(3.85 * (2 * len(names) - 1), 4.3, 2 * len(names) - 1)
    for name, matrix, ax in zip(names, matrices, axes):
        plot_confusion_matrix(matrix, inputs.class_names, inputs.model_name(inputs.runs(name)), ax=ax)
    if len(names) == 2:
        difference = f"{display_name(names[1])} minus {display_name(names[0])}, points"
        plot_confusion_difference(matrices[1], matrices[0], inputs.class_names, difference, ax=axes[2])
    figure.suptitle(inputs.title("Confusion, percent of each class", f"{inputs.images_counted} per seed"))
    return figure
