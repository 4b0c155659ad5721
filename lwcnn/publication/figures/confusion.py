"""Confusion matrices, their difference, and which classes are taken for which."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from lwcnn.publication.figures.style import styled
from lwcnn.system.errors import LwcnnError


@styled(4.2, 3.9)
def plot_confusion_matrix(matrix: np.ndarray, class_names: Sequence[str], title: str | None = None, *, ax: Axes):
    """Draws the share, in percent, of each class's images (rows) that is given each class (columns).

    Args:
        matrix: counts, (classes, classes), row the label and column the prediction; several seeds' may be added up.
        class_names: by label.

    Raises:
        LwcnnError: a matrix that is not square, or does not fit the names.
    """
    percent = row_percent(matrix, class_names)
    mistakes = percent[~np.eye(len(percent), dtype=bool)]
    _draw(ax, percent, class_names, title, "Blues", 0, 100, "{:.1f}" if mistakes.max(initial=0) < 5 else "{:.0f}")


@styled(4.2, 3.9)
def plot_confusion_difference(
    matrix: np.ndarray,
    other: np.ndarray,
    class_names: Sequence[str],
    title: str | None = None,
    *,
    ax: Axes,
):
    """Draws `matrix` minus `other`, each in percent of its rows, in points; arguments as above."""
    difference = row_percent(matrix, class_names) - row_percent(other, class_names)
    reach = max(float(np.abs(difference).max()), 1.0)
    _draw(ax, difference, class_names, title, "PuOr_r", -reach, reach, "{:+.1f}" if reach < 5 else "{:+.0f}")


def row_percent(matrix: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    """The counts (classes, classes) as percent of their rows; a class without images gives a row of zeros."""
    matrix = np.asarray(matrix, dtype=float)
    if matrix.shape != (len(class_names), len(class_names)):
        raise LwcnnError(f"Give a square matrix with a row a class. Received: {matrix.shape}, {len(class_names)} names")
    return 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)


def most_confused_pairs(matrix: np.ndarray, count: int) -> list[tuple[int, int]]:
    """The (label, prediction) pairs off the diagonal with the most images, most first."""
    matrix = np.array(matrix)
    np.fill_diagonal(matrix, 0)
    order = np.argsort(-matrix, axis=None, kind="stable")[:count]
    pairs = [(int(i) // matrix.shape[1], int(i) % matrix.shape[1]) for i in order]
    return [pair for pair in pairs if matrix[pair]]


def _draw(ax, values, class_names, title, colors, low, high, form) -> None:
    ax.imshow(values, cmap=colors, vmin=low, vmax=high)
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    places = range(len(class_names))
    ax.set_xticks(places, class_names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(places, class_names)
    ax.tick_params(length=0)
    ax.set_xlabel("predicted")
    ax.set_ylabel("label")
    ax.set_title(title or "")
    if len(class_names) > 20:
        return  # numbers would be unreadable
    strongest = max(abs(low), abs(high))
    for row in places:
        for column in places:
            value = values[row, column]
            if float(form.format(value)) == 0:
                continue
            color = "white" if abs(value) > 0.6 * strongest else "black"
            ax.text(column, row, form.format(value), ha="center", va="center", color=color, fontsize=6)
