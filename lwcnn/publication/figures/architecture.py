"""Architecture diagrams: a box per layer or block, drawn with matplotlib alone; no Graphviz is needed."""

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
BLOCK = re.compile(r"^((?:stage\d+_)?block\d+)_")  # names of the layers of a residual block begin like this
COLORS = {
    "input": GRAY, "convolution": BASELINE, "dense": BEST, "pooling": GREEN, "norm": SKY, "block": PURPLE,
    "join": ORANGE, "other": GRAY,
}  # fmt: skip
ARROW: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 6, "linewidth": 0.7, "color": "#333333"}
_POOLS = {layers.MaxPooling2D: "max pooling", layers.AveragePooling2D: "average pooling"}
_IDLE = (layers.Flatten, layers.Reshape, layers.ZeroPadding2D, layers.Rescaling, layers.Identity)


@dataclass(frozen=True)
class Box:
    """A layer, or `count` equal blocks in a row, in a diagram; `inputs` are the names of the boxes that it reads."""

    name: str
    text: str
    shape: tuple[int, ...]
    params: int
    inputs: tuple[str, ...]
    kind: str
    count: int = 1

    @property
    def title(self) -> str:
        """What it does, with the count of equal blocks."""
        return f"{self.count} × ({self.text})" if self.count > 1 else self.text


def describe_layers(model: keras.Model) -> list[Box]:
    """Returns a box per layer of a functional model, in order, without those that only reshape or do nothing."""
    boxes: dict[str, Box] = {}
    passed: dict[str, str] = {}  # layers without a box, with the box that stands for their output
    for layer, calls in layer_calls(model):
        read = tuple(dict.fromkeys(passed.get(name, name) for call in calls for name, _ in call))
        if read and (isinstance(layer, _IDLE) or (isinstance(layer, layers.Dropout) and not layer.rate)):
            passed[layer.name] = read[0]
            continue
        kind, text = _describe(layer)
        boxes[layer.name] = Box(layer.name, text, tuple(layer.output.shape[1:]), layer.count_params(), read, kind)
    return list(boxes.values())


def collapse_blocks(boxes: Sequence[Box]) -> list[Box]:
    """Returns the boxes with each residual block as one, and equal blocks in a row as one with their count."""
    names = {box.name: found[1] if (found := BLOCK.match(box.name)) else box.name for box in boxes}
    blocks: dict[str, Box] = {}
    for box in boxes:
        name = names[box.name]
        inputs = tuple(dict.fromkeys(names[i] for i in box.inputs if names[i] != name))
        if name == box.name:
            blocks[name] = replace(box, inputs=inputs)
        elif name not in blocks:
            blocks[name] = replace(box, name=name, inputs=inputs, kind="block", text=_block_text(boxes, name))
        else:
            old = blocks[name]
            inputs = tuple(dict.fromkeys(old.inputs + inputs))
            blocks[name] = replace(old, shape=box.shape, params=old.params + box.params, inputs=inputs)
    return _collapse_rows(list(blocks.values()))


def _collapse_rows(boxes: list[Box]) -> list[Box]:
    kept: list[Box] = []
    names: dict[str, str] = {}  # of boxes that an earlier one stands for
    for box in boxes:
        box = replace(box, inputs=tuple(names.get(name, name) for name in box.inputs))
        last = kept[-1] if kept else None
        if last and box.kind == "block" and box.inputs == (last.name,) and _is_alike(box, last):
            kept[-1] = replace(last, count=last.count + 1, params=last.params + box.params)
            names[box.name] = last.name
        else:
            kept.append(box)
    return kept


def _is_alike(box: Box, row: Box) -> bool:
    return (box.text, box.shape, box.params) == (row.text, row.shape, row.params // row.count)


def boxes_of_block(boxes: Sequence[Box], block: str) -> list[Box]:
    """Returns the boxes of one residual block, after one for its input."""
    inside = [box for box in boxes if box.name.startswith(f"{block}_")]
    outside = {name for box in inside for name in box.inputs} - {box.name for box in inside}
    source = next(box for box in boxes if box.name in outside)
    return [replace(source, inputs=(), params=0, kind="input", text="input of the block"), *inside]


def diagram_size(boxes: Sequence[Box]) -> tuple[float, float]:
    """Returns width and height in inches of a figure that shows boxes at their default size."""
    _, num_columns, num_rows = _layout(boxes)
    return 0.5 + PITCH_X * num_columns, 0.6 + PITCH_Y * num_rows


@styled(lambda boxes, *_: diagram_size(boxes)[0], lambda boxes, *_: diagram_size(boxes)[1])
def plot_architecture(boxes: Sequence[Box], title: str = "", *, ax: Axes):
    """Draws boxes, such as those of `describe_layers`, from top to bottom, with arrows from what each reads."""
    places, num_columns, num_rows = _layout(boxes)
    for box in boxes:
        size = " × ".join(map(str, box.shape))
        each = f"{box.params // box.count:,} parameters{' each' if box.count > 1 else ''}, " if box.params else ""
        draw_box(ax, *places[box.name], BOX_WIDTH, BOX_HEIGHT, box.title, f"{each}{size}", COLORS[box.kind])
        for name in box.inputs:
            _connect(ax, places[name], places[box.name])
    ax.set_xlim(-BOX_WIDTH / 2 - 0.1, (num_columns - 1) * PITCH_X + BOX_WIDTH / 2 + 0.32)
    ax.set_ylim(-(num_rows - 1) * PITCH_Y - BOX_HEIGHT / 2 - 0.05, BOX_HEIGHT / 2 + 0.05)
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.set_title(title)


def draw_box(ax: Axes, x: float, y: float, width: float, height: float, text: str, detail: str, color: str) -> None:
    """Draws a box around (x, y) with a line of text and, below it, a smaller one."""
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2), width, height, boxstyle="round,pad=0,rounding_size=0.05",
            facecolor=(color, 0.22), edgecolor=color, linewidth=0.9,
        )
    )  # fmt: skip
    ax.text(x, y + (0.21 * height if detail else 0), text, ha="center", va="center", fontsize=6)
    ax.text(x, y - 0.22 * height, detail, ha="center", va="center", fontsize=5.5, color="#444444")


def _connect(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    if start[1] - end[1] < 1.5 * PITCH_Y:
        ends = (start[0], start[1] - BOX_HEIGHT / 2), (end[0], end[1] + BOX_HEIGHT / 2)
        ax.add_patch(FancyArrowPatch(*ends, shrinkA=0, shrinkB=0, **ARROW))
        return
    # Past the boxes between, on the right.
    begin, finish = (start[0] + BOX_WIDTH / 2, start[1]), (end[0] + BOX_WIDTH / 2, end[1] + 0.04)
    side = max(begin[0], finish[0]) + 0.1 + 0.02 * (start[1] - end[1]) / PITCH_Y
    ax.plot([begin[0], side, side], [begin[1], begin[1], finish[1]], color="#333333", linewidth=0.7)
    ax.add_patch(FancyArrowPatch((side, finish[1]), finish, shrinkA=0, shrinkB=0, **ARROW))


def _layout(boxes: Sequence[Box]) -> tuple[dict[str, tuple[float, float]], int, int]:
    """Returns the center of each box, and the numbers of columns and rows: a row is a longest path from an input."""
    rows: dict[str, int] = {}
    for box in boxes:
        rows[box.name] = 1 + max((rows[name] for name in box.inputs), default=-1)
    members: dict[int, list[str]] = {}
    for name, row in rows.items():
        members.setdefault(row, []).append(name)
    num_columns = max(map(len, members.values()))
    places = {
        name: (((num_columns - len(names)) / 2 + i) * PITCH_X, -row * PITCH_Y)
        for row, names in members.items()
        for i, name in enumerate(names)
    }
    return places, num_columns, len(members)


def _describe(layer: keras.Layer) -> tuple[str, str]:
    """Returns the kind and text of a layer."""
    name = getattr(getattr(layer, "activation", None), "__name__", "linear")
    name = {"relu": "ReLU", "hard_silu": "hard swish"}.get(name, name.replace("_", " "))
    active = "" if name == "linear" else f", {name}"
    match layer:
        case layers.DepthwiseConv2D():
            return "convolution", f"depthwise convolution {_times(layer.kernel_size)}{active}"
        case layers.Conv2D():
            return "convolution", f"convolution {_times(layer.kernel_size)}, {layer.filters} filters{active}"
        case layers.Conv1D():
            return "convolution", f"convolution over {layer.kernel_size[0]} channels{active}"
        case layers.Dense():
            return "dense", f"dense {layer.units}{active}"
        case layers.MaxPooling2D() | layers.AveragePooling2D():
            return "pooling", f"{_POOLS[type(layer)]} {_times(layer.pool_size)}"
        case layers.GlobalAveragePooling2D():
            return "pooling", "global average pooling"
        case layers.BatchNormalization():
            return "norm", "batch normalization"
        case layers.Add() | layers.Multiply() | layers.Concatenate():
            return "join", type(layer).__name__.lower()
        case layers.InputLayer():
            return "input", "image"
        case layers.Dropout():
            return "other", f"dropout {layer.rate:g}"
        case layers.Activation():
            return "other", name
        case layers.LeakyReLU():
            return "other", "leaky ReLU"
    return "other", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(layer).__name__).removesuffix("2D")


def _block_text(boxes: Sequence[Box], block: str) -> str:
    inside = [box for box in boxes if box.name.startswith(f"{block}_")]
    parts = ["depthwise " + box.text.split()[2].rstrip(",") for box in inside if box.name.endswith("_depthwise")]
    full = [box.text.split(",")[0] for box in inside if re.search(r"_\d_conv$", box.name)]
    parts += [f"{full.count(text)} × {text}" for text in dict.fromkeys(full)]
    parts += ["SE" for box in inside if box.name.endswith("_squeeze")]
    parts += ["ECA" for box in inside if "over" in box.text]
    parts += ["residual" for box in inside if box.name.endswith("_add")]
    return ", ".join(parts)


def _times(size: Sequence[int]) -> str:
    return "×".join(map(str, size))
