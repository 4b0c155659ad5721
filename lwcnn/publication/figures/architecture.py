"""Architecture diagrams: a box a layer, or a block, drawn with matplotlib alone; no Graphviz is needed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import layers
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from lwcnn.models.graph import layer_calls
from lwcnn.publication.figures.style import BASELINE, BEST, GRAY, GREEN, ORANGE, PURPLE, SKY, styled

BOX_WIDTH, BOX_HEIGHT, PITCH_X, PITCH_Y = 2.5, 0.36, 2.75, 0.56  # inches at the default size
BLOCK = re.compile(r"^((?:stage\d+_)?block\d+)_")  # residual networks: the layers of a block begin so
_COLORS = {
    "input": GRAY, "convolution": BASELINE, "dense": BEST, "pooling": GREEN, "norm": SKY, "block": PURPLE,
    "join": ORANGE, "other": GRAY,
}  # fmt: skip


@dataclass(frozen=True)
class Box:
    """A layer, or several, in a diagram.

    Attributes:
        name: the layer's.
        text: what it does.
        shape: of its output for one image.
        params: its parameters.
        inputs: names of the boxes that it reads.
        kind: of `_COLORS`.
    """

    name: str
    text: str
    shape: tuple[int, ...]
    params: int
    inputs: tuple[str, ...]
    kind: str


def describe_layers(model: keras.Model) -> list[Box]:
    """A box for each layer of a functional model, in order.

    Raises:
        LwcnnError: another kind of model.
    """
    boxes = []
    for layer, calls in layer_calls(model):
        read = [name for call in calls for name, _ in call]
        kind, text = _describe(layer)
        boxes.append(Box(layer.name, text, tuple(layer.output.shape[1:]), layer.count_params(), tuple(read), kind))
    return boxes


def collapse_blocks(boxes: Sequence[Box]) -> list[Box]:
    """The boxes with each residual block's as one."""
    names = {box.name: found[1] if (found := BLOCK.match(box.name)) else box.name for box in boxes}
    merged: dict[str, Box] = {}
    for box in boxes:
        name = names[box.name]
        inputs = tuple(dict.fromkeys(names[i] for i in box.inputs if names[i] != name))
        if name not in merged:
            merged[name] = replace(box, name=name, inputs=inputs)
            if name != box.name:
                merged[name] = replace(merged[name], kind="block", text=_block_text(boxes, name))
        else:
            old = merged[name]
            all_inputs = tuple(dict.fromkeys(old.inputs + inputs))
            merged[name] = replace(old, shape=box.shape, params=old.params + box.params, inputs=all_inputs)
    return list(merged.values())


def boxes_of_block(boxes: Sequence[Box], block: str) -> list[Box]:
    """The boxes of one residual block, after one for what it reads."""
    inside = [box for box in boxes if box.name.startswith(f"{block}_")]
    names = {box.name for box in inside}
    outside = {name for box in inside for name in box.inputs} - names
    source = next(box for box in boxes if box.name in outside)
    return [replace(source, inputs=(), params=0, kind="input", text="what the block reads"), *inside]


def diagram_size(boxes: Sequence[Box]) -> tuple[float, float]:
    """Width and height in inches of a figure that shows boxes at their default size."""
    _, num_columns, num_rows = _layout(boxes)
    return 0.5 + PITCH_X * num_columns, 0.5 + PITCH_Y * num_rows


@styled(lambda boxes, *_: diagram_size(boxes)[0], lambda boxes, *_: diagram_size(boxes)[1])
def plot_architecture(boxes: Sequence[Box], title: str | None = None, *, ax: Axes):
    """Draws boxes from top to bottom, with arrows from what each reads.

    Args:
        boxes: as of `describe_layers`; `collapse_blocks` and `boxes_of_block` make them fewer.
    """
    places, num_columns, num_rows = _layout(boxes)
    for box in boxes:
        x, y = places[box.name]
        ax.add_patch(
            FancyBboxPatch(
                (x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2),
                BOX_WIDTH,
                BOX_HEIGHT,
                boxstyle="round,pad=0,rounding_size=0.05",
                facecolor=(*_rgb(_COLORS[box.kind]), 0.22),
                edgecolor=_COLORS[box.kind],
                linewidth=0.9,
            )
        )
        size = " × ".join(map(str, box.shape))
        count = f"{box.params:,} parameters, " if box.params else ""
        label = box.name if box.text in box.name else f"{box.name}: {box.text}"
        ax.text(x, y + 0.075, label, ha="center", va="center", fontsize=6)
        ax.text(x, y - 0.08, f"{count}{size}", ha="center", va="center", fontsize=5.5, color="#444444")
        for name in box.inputs:
            _arrow(ax, places[name], (x, y))
    ax.set_xlim(-BOX_WIDTH / 2 - 0.1, (num_columns - 1) * PITCH_X + BOX_WIDTH / 2 + 0.32)
    ax.set_ylim(-(num_rows - 1) * PITCH_Y - BOX_HEIGHT / 2 - 0.05, BOX_HEIGHT / 2 + 0.05)
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.set_title(title or "")


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    style: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 6, "linewidth": 0.7, "color": "#333333"}
    if start[1] - end[1] < 1.5 * PITCH_Y:
        ax.add_patch(
            FancyArrowPatch(
                (start[0], start[1] - BOX_HEIGHT / 2), (end[0], end[1] + BOX_HEIGHT / 2), shrinkA=0, **style
            )
        )
        return
    # Past the boxes between, on the right.
    begin, finish = (start[0] + BOX_WIDTH / 2, start[1]), (end[0] + BOX_WIDTH / 2, end[1] + 0.04)
    side = max(begin[0], finish[0]) + 0.1 + 0.02 * (start[1] - end[1]) / PITCH_Y
    ax.plot([begin[0], side, side], [begin[1], begin[1], finish[1]], color="#333333", linewidth=0.7)
    ax.add_patch(FancyArrowPatch((side, finish[1]), finish, shrinkA=0, shrinkB=0, **style))


def _layout(boxes: Sequence[Box]) -> tuple[dict[str, tuple[float, float]], int, int]:
    """Center of each box by name, and the numbers of columns and rows: a row is a longest way from an input."""
    rows: dict[str, int] = {}
    for box in boxes:
        rows[box.name] = 1 + max((rows[name] for name in box.inputs), default=-1)
    members: dict[int, list[str]] = {}
    for name, row in rows.items():
        members.setdefault(row, []).append(name)
    num_columns = max(map(len, members.values()))
    places = {}
    for row, names in members.items():
        first = (num_columns - len(names)) / 2
        for i, name in enumerate(names):
            places[name] = ((first + i) * PITCH_X, -row * PITCH_Y)
    return places, num_columns, len(members)


def _describe(layer: keras.Layer) -> tuple[str, str]:
    """(kind, text) of a layer."""
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", "linear")
    active = "" if name == "linear" else f", {'ReLU' if name == 'relu' else name}"
    if isinstance(layer, layers.DepthwiseConv2D):
        return "convolution", f"depthwise {_times(layer.kernel_size)}{active}"
    if isinstance(layer, layers.Conv2D):
        return "convolution", f"conv {_times(layer.kernel_size)}, {layer.filters}{active}"
    if isinstance(layer, layers.Dense):
        return "dense", f"dense {layer.units}{active}"
    if isinstance(layer, layers.MaxPooling2D):
        return "pooling", f"max pool {_times(layer.pool_size)}"
    if isinstance(layer, layers.GlobalAveragePooling2D):
        return "pooling", "global average pool"
    if isinstance(layer, layers.BatchNormalization):
        return "norm", "batch norm"
    if isinstance(layer, (layers.Add, layers.Multiply, layers.Concatenate)):
        return "join", type(layer).__name__.lower()
    if isinstance(layer, layers.InputLayer):
        return "input", "input"
    if isinstance(layer, layers.Dropout):
        return "other", f"dropout {layer.rate:g}"
    if isinstance(layer, layers.Activation):
        return "other", "ReLU" if name == "relu" else name
    if isinstance(layer, layers.LeakyReLU):
        return "other", "leaky ReLU"
    return "other", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(layer).__name__).lower().removesuffix("2d")


def _block_text(boxes: Sequence[Box], block: str) -> str:
    inside = [box for box in boxes if box.name.startswith(f"{block}_")]
    parts = ["depthwise " + box.text.split()[1].rstrip(",") for box in inside if box.name.endswith("_depthwise")]
    full = [box.text.split(",")[0] for box in inside if re.search(r"_\d_conv$", box.name)]
    parts += [f"{full.count(text)} × {text}" for text in dict.fromkeys(full)]
    parts += ["SE" for box in inside if box.name.endswith("_squeeze")]
    parts += ["residual" for box in inside if box.name.endswith("_add")]
    return ", ".join(parts)


def _times(size: Sequence[int]) -> str:
    return "×".join(map(str, size))


def _rgb(color: str) -> tuple[float, ...]:
    return tuple(int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
