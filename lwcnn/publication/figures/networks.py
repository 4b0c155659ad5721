"""The figures of the networks themselves: the method, architectures, and parameters by layer."""

from collections.abc import Sequence

import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lwcnn.experiments.zoo import create_model
from lwcnn.models.cost import count_macs
from lwcnn.publication.figures.architecture import (
    Box,
    boxes_of_block,
    collapse_blocks,
    describe_layers,
    diagram_size,
    plot_architecture,
)
from lwcnn.publication.figures.inputs import BASELINE_EXPERIMENT, Inputs
from lwcnn.publication.figures.method import plot_method
from lwcnn.publication.figures.style import BASELINE, new_panels, styled
from lwcnn.publication.names import HEADLINE, display_name

OTHERS = ("repo_baseline", "repo_residual_se", "narrow_resnet18", "resnet_4443", "se_resnet")


def method(inputs: Inputs) -> Figure:
    """The paper's method: dual model, merge and progressive unfreezing."""
    size = " × ".join(map(str, inputs.shape[0]))
    return plot_method(*inputs.shape, f"The paper's method, for {size} images")


def architecture_paper(inputs: Inputs) -> Figure:
    """The paper's merged network."""
    boxes, title = _described(inputs, BASELINE_EXPERIMENT, "The paper's merged network")
    return _diagrams({title: boxes})


def architecture_wren(inputs: Inputs) -> Figure:
    """The best network and, beside it, the inside of a block."""
    boxes, title = _described(inputs, HEADLINE)
    return _diagrams({title: collapse_blocks(boxes), "Inside of a block": boxes_of_block(boxes, "stage1_block1")})


def architecture_others(inputs: Inputs) -> Figure:
    """The networks of others, as built."""
    described = [_described(inputs, name) for name in OTHERS]
    return _diagrams({title: collapse_blocks(boxes) for boxes, title in described})


def _described(inputs: Inputs, experiment: str, name: str = "") -> tuple[list[Box], str]:
    """Returns the boxes of an experiment's network, and a title with its size."""
    model = create_model(experiment, None, *inputs.shape)
    size = f"{model.count_params():,} parameters, {count_macs(model) / 1e6:,.1f} million MACs"
    return describe_layers(model), f"{name or display_name(experiment)}\n{size}"


def _diagrams(parts: dict[str, list[Box]]) -> Figure:
    widths, heights = zip(*map(diagram_size, parts.values()))
    figure, axes = new_panels(sum(widths), max(heights), len(parts), width_ratios=widths)
    for (title, boxes), ax in zip(parts.items(), axes):
        plot_architecture(boxes, title, ax=ax)
        ax.set_anchor("N")
    return figure


@styled(6.0, lambda names, *_: 0.9 + 0.23 * len(names))
def plot_parameters_by_layer(names: Sequence[str], counts: Sequence[int], title: str = "", *, ax: Axes):
    """Draws a bar per layer with its parameters and their share of all; the first layer on top."""
    places = [str(i) for i in range(len(names))]  # layers of different depth can have the same text
    sns.barplot(x=list(counts), y=places, color=BASELINE, alpha=0.8, width=0.7, ax=ax)
    for place, count in enumerate(counts):
        share = f"{count:,} ({100 * count / sum(counts):.1f} %)"
        ax.text(count + 0.012 * max(counts), place, share, va="center", fontsize=6.5)
    ax.set_xlim(0, 1.25 * max(counts))
    ax.set_yticks(range(len(names)), names)
    ax.grid(axis="y", visible=False)
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.set(xlabel="parameters", ylabel="", title=title)


def parameters_by_layer(inputs: Inputs) -> Figure:
    """Parameters of each layer of the baseline and of the best network."""
    counted = {
        name: [box for box in collapse_blocks(describe_layers(inputs.model(name))) if box.params]
        for name in inputs.shown
    }
    figure, axes = new_panels(5.6 * len(counted), 1.1 + 0.24 * max(map(len, counted.values())), len(counted))
    for (name, boxes), ax in zip(counted.items(), axes):
        title = f"{display_name(name)}, {sum(box.params for box in boxes):,} parameters"
        plot_parameters_by_layer([box.title for box in boxes], [box.params for box in boxes], title, ax=ax)
    figure.suptitle(inputs.title("Parameters by layer"))
    return figure
