"""The paper's method on one page: the dual model, the merge, and the progressive unfreezing."""

from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from lwcnn.data.known import INPUT_SHAPES
from lwcnn.models.dual import build_dual_model, build_merged_model, build_submodel
from lwcnn.publication.figures.architecture import ARROW, draw_box
from lwcnn.publication.figures.inputs import Inputs
from lwcnn.publication.figures.style import BASELINE, BEST, BLACK, GRAY, GREEN, ORANGE, STYLE, new_panels

BRANCH_COLORS = (BASELINE, BEST)
HEIGHT, PITCH = 0.3, 0.42
BRANCH_X, BRANCH_WIDTH, HEAD_WIDTH = (-0.56, 0.56), 1.02, 2.1
TRUNK = ("conv 3×3, 10", "max pooling", "conv 3×3, 20", "max pooling")


@matplotlib.rc_context(fname=STYLE)
def plot_method(input_shape: tuple[int, int, int], num_classes: int, title: str = "") -> Figure:
    """Draws the dual model, the merge and the two phases of unfreezing for images (height, width, channels)."""
    dual = build_dual_model([build_submodel(input_shape, num_classes, name) for name in ("original", "augmented")])
    merged = build_merged_model(input_shape, num_classes)
    head, size = sum(layer.count_params() for layer in merged.layers[-3:]), f"{merged.count_params():,} parameters"
    to_head = (f"{head:,} parameters trained", "by Nadam; both branches", "(gray) are frozen")
    steps = (
        ("2. Merge", BRANCH_COLORS, (size, "each dense layer becomes a", "1×1 convolution with ReLU")),
        ("3. Train the new head", (GRAY, GRAY), to_head),
        ("4. Unfreeze all layers", BRANCH_COLORS, (f"{size} trained", "by SGD with momentum,", "at a small rate")),
    )
    figure, axes = new_panels(7.4, 4.5, 4)
    _draw_dual(axes[0], num_classes, dual.count_params())
    for ax, (name, colors, notes) in zip(axes[1:], steps):
        _draw_merged(ax, name, num_classes, colors, notes)
    for ax in axes:
        ax.set_xlim(-1.16, 1.16)
        ax.set_ylim(-9.85 * PITCH, 0.45 * PITCH)
        ax.set_axis_off()
    figure.suptitle(title)
    return figure


def _draw_dual(ax: Axes, num_classes: int, params: int) -> None:
    for x, color, images in zip(BRANCH_X, BRANCH_COLORS, ("image", "augmented")):
        _column(ax, x, (images, *TRUNK, f"dense {num_classes}", "loss"), (GRAY, *[color] * 5, ORANGE))
        _arrow(ax, x, 6, 0.6 * x, 7)
    _column(ax, 0, ["sum of both losses"], [ORANGE], 7, HEAD_WIDTH)
    _texts(ax, "1. Train side by side", (f"{params:,} parameters", "Nadam, until validation", "accuracy stops rising"))


def _draw_merged(ax: Axes, name: str, num_classes: int, colors: Sequence[str], notes: Sequence[str]) -> None:
    _column(ax, 0, ["image"], [GRAY], 0, HEAD_WIDTH)
    for x, color in zip(BRANCH_X, colors):
        _column(ax, x, (*TRUNK, f"conv 1×1, {num_classes}"), [color] * 5, 1)
        _arrow(ax, 0.6 * x, 0, x, 1)
        _arrow(ax, x, 5, 0.6 * x, 6)
    head = ("concatenate", "dense 32, ReLU, dropout", f"dense {num_classes}")
    _column(ax, 0, head, (ORANGE, GREEN, GREEN), 6, HEAD_WIDTH)
    _texts(ax, name, notes)


def _column(ax: Axes, x: float, texts: Sequence[str], colors: Sequence[str], first=0, width=BRANCH_WIDTH) -> None:
    for row, (text, color) in enumerate(zip(texts, colors), first):
        draw_box(ax, x, -row * PITCH, width, HEIGHT, text, "", color)
        if row > first:
            _arrow(ax, x, row - 1, x, row)


def _arrow(ax: Axes, x: float, row: int, to_x: float, to_row: int) -> None:
    ends = (x, -row * PITCH - HEIGHT / 2), (to_x, -to_row * PITCH + HEIGHT / 2)
    ax.add_patch(FancyArrowPatch(*ends, shrinkA=0, shrinkB=0, **ARROW))


def _texts(ax: Axes, name: str, notes: Sequence[str]) -> None:
    ax.set_title(name, fontweight="bold")
    ax.text(0, -8.62 * PITCH, "\n".join(notes), ha="center", va="top", fontsize=6.5, color=BLACK, linespacing=1.3)


def method(inputs: Inputs) -> Figure:
    """The paper's method: dual model, merge and progressive unfreezing."""
    shape = INPUT_SHAPES[inputs.dataset]
    return plot_method(shape, len(inputs.class_names), f"The paper's method, for {' × '.join(map(str, shape))} images")
