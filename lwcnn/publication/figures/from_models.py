"""The figures of the models themselves: the method, architectures, parameters, and what they look at."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from matplotlib.figure import Figure

from lwcnn.evaluation.gradcam import default_layers, gradcam_heatmap
from lwcnn.experiments.zoo import create_model
from lwcnn.models.cost import count_macs
from lwcnn.publication.figures.architecture import (
    boxes_of_block,
    collapse_blocks,
    describe_layers,
    diagram_size,
    plot_architecture,
)
from lwcnn.publication.figures.grids import overlay_heatmaps, plot_image_grid
from lwcnn.publication.figures.inputs import BASELINE_EXPERIMENT, Inputs
from lwcnn.publication.figures.intervals import plot_parameters_by_layer
from lwcnn.publication.figures.method import plot_method
from lwcnn.publication.figures.style import new_panels
from lwcnn.publication.names import HEADLINE, display_name
from lwcnn.system.errors import unknown_name

NUM_CLASSES_SHOWN = 4
OTHERS = ("repo_baseline", "repo_residual_se", "narrow_resnet18", "resnet_4443", "se_resnet")


@dataclass(frozen=True)
class HeatMapChoice:
    """What the heat maps are of.

    Attributes:
        classes: Names of classes; by default the first few.
        layer: Layer of the model; by default the last one with a map, of each branch.
    """

    classes: Sequence[str] = ()
    layer: str | None = None


def method(inputs: Inputs) -> Figure:
    """The paper's method: dual model, merge and progressive unfreezing."""
    return plot_method(*inputs.shape, f"The paper's method, for {_size(inputs)} images")


def architecture_paper(inputs: Inputs) -> Figure:
    """The paper's merged network."""
    model = create_model(BASELINE_EXPERIMENT, None, *inputs.shape)
    return plot_architecture(describe_layers(model), _model_title(inputs, model, "The paper's merged network"))


def architecture_wren(inputs: Inputs) -> Figure:
    """The best network and, beside it, the inside of a block."""
    model = create_model(HEADLINE, None, *inputs.shape)
    boxes = describe_layers(model)
    parts = collapse_blocks(boxes), boxes_of_block(boxes, "stage1_block1")
    widths, heights = zip(*map(diagram_size, parts))
    figure, axes = new_panels(sum(widths), max(heights), 2, width_ratios=widths)
    titles = _model_title(inputs, model, display_name(HEADLINE)), "Inside of a block"
    for ax, part, title in zip(axes, parts, titles):
        plot_architecture(part, title, ax=ax)
        ax.set_anchor("N")
    return figure


def architecture_others(inputs: Inputs) -> Figure:
    """The networks of others, as built."""
    models = [create_model(name, None, *inputs.shape) for name in OTHERS]
    parts = [collapse_blocks(describe_layers(model)) for model in models]
    widths, heights = zip(*map(diagram_size, parts))
    figure, axes = new_panels(sum(widths), max(heights) + 0.3, len(parts), width_ratios=widths)
    for name, model, part, ax in zip(OTHERS, models, parts, axes):
        plot_architecture(part, _model_title(inputs, model, display_name(name)), ax=ax)
        ax.set_anchor("N")
    return figure


def parameters_by_layer(inputs: Inputs) -> Figure:
    """Parameters of each layer of the baseline and of the best network."""
    models = {display_name(name): inputs.model(name) for name in inputs.shown()}
    counted = {
        name: [box for box in collapse_blocks(describe_layers(model)) if box.params] for name, model in models.items()
    }
    figure, axes = new_panels(5.6 * len(counted), 1.1 + 0.24 * max(map(len, counted.values())), len(counted))
    for (name, boxes), ax in zip(counted.items(), axes):
        texts = [f"{box.count} × ({box.text})" if box.count > 1 else box.text for box in boxes]
        title = f"{name}, {sum(box.params for box in boxes):,} parameters"
        plot_parameters_by_layer(texts, [box.params for box in boxes], title, ax=ax)
    figure.suptitle(inputs.title("Parameters by layer"))
    return figure


def gradcam(inputs: Inputs, choice: HeatMapChoice = HeatMapChoice()) -> Figure:
    """Heat maps of the best network for the class it predicts: of each class one image that is right and one wrong."""
    experiment = inputs.best_experiment
    released, model, pixels = inputs.released(experiment), inputs.model(experiment), inputs.test_images
    names = inputs.class_names
    chosen = choice.classes or names[:: max(1, len(names) // NUM_CLASSES_SHOWN)][:NUM_CLASSES_SHOWN]
    for name in chosen:
        if name not in names:
            raise unknown_name("class", name, names)
    maps = [choice.layer] if choice.layer else default_layers(model)
    predicted = released.logits.argmax(axis=1)
    examples = [_examples(released.labels, predicted, released.logits, names.index(name)) for name in chosen]
    where = np.array([i for pair in examples for i in pair if i is not None])
    heat = [gradcam_heatmap(model, pixels[where], predicted[where], layer) for layer in maps]
    overlays = [dict(zip(where, overlay_heatmaps(pixels[where], one))) for one in heat]
    branches = ["heat map"] if len(maps) == 1 else [f"branch {i}" for i in range(1, len(maps) + 1)]
    images, captions = [], []
    for pair in examples:
        for i, verdict in zip(pair, ("right", "wrong")):
            images += [None if i is None else shown[i] for shown in ({j: pixels[j] for j in where}, *overlays)]
            captions += [""] * (1 + len(maps)) if i is None else [f"{verdict}: {names[predicted[i]]}", *branches]
    what = "Grad-CAM for the predicted class"
    title = inputs.title(what, inputs.model_name(released.run), "yellow: most evidence")
    return plot_image_grid(images, captions, 2 * (1 + len(maps)), list(chosen), title)


def _examples(labels, predicted, logits, label: int) -> tuple[int | None, int | None]:
    """Returns a right and a wrong image of a class, each with the median margin."""
    margins = np.take_along_axis(logits, predicted[:, None], axis=1)[:, 0] - logits.mean(axis=1)
    found = []
    for right in (True, False):
        where = np.flatnonzero((labels == label) & ((predicted == label) == right))
        where = where[np.argsort(margins[where], kind="stable")]
        found.append(int(where[len(where) // 2]) if len(where) else None)
    return found[0], found[1]


def _size(inputs: Inputs) -> str:
    return " × ".join(map(str, inputs.shape[0]))


def _model_title(inputs: Inputs, model: keras.Model, name: str) -> str:
    return f"{name}\n{model.count_params():,} parameters, {count_macs(model) / 1e6:,.1f} million MACs"
