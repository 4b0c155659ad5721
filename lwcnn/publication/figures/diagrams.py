"""Diagrams without Graphviz: an architecture with a box per layer or block, and the paper's method on one page."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import keras
import matplotlib
from keras import layers
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from lwcnn.data.known import INPUT_SHAPES
from lwcnn.experiments.results import MissingInput
from lwcnn.experiments.zoo import create_model
from lwcnn.models.cost import count_macs
from lwcnn.models.dual import build_dual_model, build_merged_model, build_submodel
from lwcnn.models.graph import layer_calls
from lwcnn.publication.figures import style
from lwcnn.publication.figures.inputs import Inputs
from lwcnn.publication.figures.style import BASELINE, BEST, GRAY, GREEN, ORANGE, Look, new_panels, styled
from lwcnn.publication.names import HEADLINE, display_name

BOX_WIDTH, BOX_HEIGHT, PITCH = 2.5, 0.36, 0.56  # inches at the default size
BLOCK = re.compile(r"(?:stage\d+_)?block\d+(?=_)")  # begins the names of the layers of a residual block
LINE: Look = {"linewidth": 0.7, "color": "#333333"}
BRANCH_COLORS = (BASELINE, BEST)
STEP_HEIGHT, STEP_PITCH = 0.3, 0.42
BRANCH_X, BRANCH_WIDTH, HEAD_WIDTH = (-0.56, 0.56), 1.02, 2.1
TRUNK = ("conv 3×3, 10", "max pooling", "conv 3×3, 20", "max pooling")

_LAYERS = {
    layers.DepthwiseConv2D: (BASELINE, "depthwise convolution {size}"),
    layers.Conv2D: (BASELINE, "convolution {size}, {layer.filters} filters"),
    layers.Conv1D: (BASELINE, "convolution over {size} channels"),
    layers.Dense: (BEST, "dense {layer.units}"),
    layers.MaxPooling2D: (GREEN, "max pooling {size}"),
    layers.AveragePooling2D: (GREEN, "average pooling {size}"),
    layers.GlobalAveragePooling2D: (GREEN, "global average pooling"),
    layers.BatchNormalization: (style.SKY, "batch normalization"),
    layers.Add: (ORANGE, "add"),
    layers.Multiply: (ORANGE, "multiply"),
    layers.Concatenate: (ORANGE, "concatenate"),
    layers.InputLayer: (GRAY, "image"),
    layers.Dropout: (GRAY, "dropout {layer.rate:g}"),
    layers.Activation: (GRAY, "{activation}"),
}
"""Color and text by type of layer."""

_IDLE = (layers.Flatten, layers.Reshape, layers.ZeroPadding2D, layers.Rescaling, layers.Identity)


@dataclass(frozen=True)
class Box:
    """A layer, or `count` equal ones in a row, each with `params`; `inputs` names the boxes that it reads."""

    name: str
    text: str
    shape: tuple[int, ...]
    params: int
    inputs: tuple[str, ...]
    color: str
    count: int = 1

    @property
    def title(self) -> str:
        return f"{self.count} × {self.text}" if self.count > 1 else self.text


def describe_layers(model: keras.Model) -> list[Box]:
    """Returns a box per layer of a functional model, in order, without those that only reshape or do nothing."""
    boxes: dict[str, Box] = {}
    passed: dict[str, str] = {}  # layers without a box, with the box that stands for their output
    for layer, calls in layer_calls(model):
        read = tuple(dict.fromkeys(passed.get(name, name) for call in calls for name, _ in call))
        if read and (isinstance(layer, _IDLE) or (isinstance(layer, layers.Dropout) and not layer.rate)):
            passed[layer.name] = read[0]
            continue
        color, text = _describe(layer)
        boxes[layer.name] = Box(layer.name, text, tuple(layer.output.shape[1:]), layer.count_params(), read, color)
    return list(boxes.values())


def collapse_blocks(boxes: Sequence[Box]) -> list[Box]:
    """Returns a chain of boxes: each residual block is one box, and equal consecutive boxes are one with a count."""
    blocks: list[Box] = []
    for name, boxes_of_name in groupby(boxes, lambda box: m[0] if (m := BLOCK.match(box.name)) else box.name):
        group = list(boxes_of_name)
        color, text = (style.PURPLE, "residual block") if len(group) > 1 else (group[0].color, group[0].text)
        params = sum(box.params for box in group)
        blocks.append(replace(group[0], name=name, text=text, shape=group[-1].shape, params=params, color=color))
    rows = [list(row) for _, row in groupby(blocks, lambda box: (box.text, box.shape, box.params))]
    names = ["", *(row[0].name for row in rows)]
    return [replace(row[0], inputs=(before,), count=len(row)) for row, before in zip(rows, names, strict=False)]


def boxes_of_block(boxes: Sequence[Box], block: str) -> list[Box]:
    """Returns the boxes of one residual block, after one for its input."""
    inside = [box for box in boxes if box.name.startswith(f"{block}_")]
    outside = {name for box in inside for name in box.inputs} - {box.name for box in inside}
    source = next(box for box in boxes if box.name in outside)
    return [replace(source, inputs=(), params=0, color=GRAY, text="input of the block"), *inside]


@styled(3.25, lambda boxes, *_, **__: 0.6 + PITCH * len(boxes))
def plot_architecture(boxes: Sequence[Box], title: str = "", *, ax: Axes):
    """Draws boxes, such as those of `describe_layers`, from top to bottom, with arrows from their inputs."""
    rows = {box.name: row for row, box in enumerate(boxes)}
    for row, box in enumerate(boxes):
        size = " × ".join(map(str, box.shape))
        each = f"{box.params:,} parameters{' each' if box.count > 1 else ''}, " if box.params else ""
        _draw_box(ax, 0, -row * PITCH, BOX_WIDTH, BOX_HEIGHT, box.title, f"{each}{size}", box.color)
        for name in box.inputs:
            if name in rows:
                _connect(ax, rows[name], row)
    ax.set_xlim(-BOX_WIDTH / 2 - 0.1, BOX_WIDTH / 2 + 0.32)
    ax.set_ylim(-(len(boxes) - 1) * PITCH - BOX_HEIGHT / 2 - 0.05, BOX_HEIGHT / 2 + 0.05)
    ax.set_aspect("equal")
    ax.set_anchor("N")
    ax.set_axis_off()
    ax.set_title(title)


def _draw_box(ax: Axes, x: float, y: float, width: float, height: float, text: str, detail: str, color: str) -> None:
    """Draws a box around (x, y) with a line of text and, below it, a smaller one."""
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2), width, height, boxstyle="round,pad=0,rounding_size=0.05",
            facecolor=(color, 0.22), edgecolor=color, linewidth=0.9,
        )
    )  # fmt: skip
    ax.text(x, y + (0.21 * height if detail else 0), text, ha="center", va="center", fontsize=6)
    ax.text(x, y - 0.22 * height, detail, ha="center", va="center", fontsize=5.5, color="#444444")


def _connect(ax: Axes, start: int, end: int) -> None:
    """Draws an arrow between two rows; past the boxes between, on the right, if they are not neighbors."""
    top, bottom = -start * PITCH, -end * PITCH
    if end == start + 1:
        ends = (0.0, top - BOX_HEIGHT / 2), (0.0, bottom + BOX_HEIGHT / 2)
    else:
        edge, side = BOX_WIDTH / 2, BOX_WIDTH / 2 + 0.1 + 0.02 * (end - start)
        ax.plot([edge, side, side], [top, top, bottom], **LINE)
        ends = (side, bottom), (edge, bottom)
    _draw_arrow(ax, *ends)


def _draw_arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    ax.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=0, arrowstyle="-|>", mutation_scale=6, **LINE))


def _describe(layer: keras.Layer) -> tuple[str, str]:
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(layer).__name__).removesuffix("2D")
    color, text = next((known for of, known in _LAYERS.items() if isinstance(layer, of)), (GRAY, name))
    active = getattr(getattr(layer, "activation", None), "__name__", "linear")
    active = {"relu": "ReLU", "hard_silu": "hard SiLU"}.get(active, active.replace("_", " "))
    size = getattr(layer, "kernel_size", getattr(layer, "pool_size", ()))
    text = text.format(layer=layer, size="×".join(map(str, size)), activation=active)
    return color, text if active in ("linear", text) else f"{text}, {active}"


def architecture_wren(inputs: Inputs) -> Figure:
    """The layers of Wren-30k and, beside them, the inside of a block."""
    model = create_model(HEADLINE, None, INPUT_SHAPES["cifar10"])
    boxes, size = describe_layers(model), f"{model.count_params():,} parameters"
    network, block = collapse_blocks(boxes), boxes_of_block(boxes, "stage1_block1")
    figure, axes = new_panels(6.5, 0.6 + PITCH * max(len(network), len(block)), 2)
    macs = f"{count_macs(model) / 1e6:,.1f} million MACs"
    plot_architecture(network, f"{display_name(HEADLINE)}\n{size}, {macs}", ax=axes[0])
    plot_architecture(block, "Inside a block", ax=axes[1])
    return figure


@matplotlib.rc_context(fname=style.STYLE)
def plot_method(input_shape: tuple[int, int, int], num_classes: int, title: str = "") -> Figure:
    """Draws the dual model, the merge and the two phases of unfreezing for images (height, width, channels)."""
    dual = build_dual_model([build_submodel(input_shape, num_classes, name) for name in ("original", "augmented")])
    merged = build_merged_model(input_shape, num_classes)
    head, size = sum(layer.count_params() for layer in merged.layers[-3:]), f"{merged.count_params():,} parameters"
    notes = {
        "1. Train side by side": f"{dual.count_params():,} parameters\nNadam, until validation\naccuracy stops rising",
        "2. Merge": f"{size}\neach dense layer becomes a\n1×1 convolution with ReLU",
        "3. Train the new head": f"{head:,} parameters trained\nby Nadam; both branches\n(gray) are frozen",
        "4. Unfreeze all layers": f"{size} trained\nby SGD with momentum,\nlearning rate 0.001",
    }
    figure, axes = new_panels(7.4, 4.5, 4)
    _draw_dual(axes[0], num_classes)
    for ax, colors in zip(axes[1:], (BRANCH_COLORS, (GRAY, GRAY), BRANCH_COLORS)):
        _draw_merged(ax, num_classes, colors)
    for ax, (name, note) in zip(axes, notes.items()):
        ax.set_title(name, fontweight="bold")
        ax.text(0, -8.62 * STEP_PITCH, note, ha="center", va="top", fontsize=6.5, color=style.BLACK, linespacing=1.3)
        ax.set_xlim(-1.16, 1.16)
        ax.set_ylim(-9.85 * STEP_PITCH, 0.45 * STEP_PITCH)
        ax.set_axis_off()
    figure.suptitle(title)
    return figure


def _draw_dual(ax: Axes, num_classes: int) -> None:
    for x, color, images in zip(BRANCH_X, BRANCH_COLORS, ("image", "augmented image")):
        _column(ax, x, (images, *TRUNK, f"dense {num_classes}", "loss"), (GRAY, *[color] * 5, ORANGE))
        _arrow(ax, x, 6, 0.6 * x, 7)
    _column(ax, 0, ["sum of both losses"], [ORANGE], 7, HEAD_WIDTH)


def _draw_merged(ax: Axes, num_classes: int, colors: Sequence[str]) -> None:
    _column(ax, 0, ["image"], [GRAY], 0, HEAD_WIDTH)
    for x, color in zip(BRANCH_X, colors):
        _column(ax, x, (*TRUNK, f"conv 1×1, {num_classes}"), [color] * 5, 1)
        _arrow(ax, 0.6 * x, 0, x, 1)
        _arrow(ax, x, 5, 0.6 * x, 6)
    head = ("concatenate", "dense 32, ReLU, dropout", f"dense {num_classes}")
    _column(ax, 0, head, (ORANGE, GREEN, GREEN), 6, HEAD_WIDTH)


def _column(ax: Axes, x: float, texts: Sequence[str], colors: Sequence[str], first=0, width=BRANCH_WIDTH) -> None:
    for row, (text, color) in enumerate(zip(texts, colors), first):
        _draw_box(ax, x, -row * STEP_PITCH, width, STEP_HEIGHT, text, "", color)
        if row > first:
            _arrow(ax, x, row - 1, x, row)


def _arrow(ax: Axes, x: float, row: int, to_x: float, to_row: int) -> None:
    start, end = -row * STEP_PITCH - STEP_HEIGHT / 2, -to_row * STEP_PITCH + STEP_HEIGHT / 2
    _draw_arrow(ax, (x, start), (to_x, end))


def method(inputs: Inputs) -> Figure:
    """The paper's method: dual model, merge and progressive unfreezing."""
    if (shape := INPUT_SHAPES.get(inputs.dataset)) is None:
        raise MissingInput(f"it needs a public dataset. Received: {inputs.dataset!r}")
    return plot_method(shape, len(inputs.class_names), f"The paper's method, for {' × '.join(map(str, shape))} images")
