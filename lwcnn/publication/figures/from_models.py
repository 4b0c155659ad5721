"""The figures of the models themselves: their architecture, their parameters, and what they look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import keras
import numpy as np
from matplotlib.figure import Figure

from lwcnn.data import INPUT_SHAPES, ImageSpec
from lwcnn.evaluation.gradcam import default_layers, gradcam_heatmap
from lwcnn.experiments.recipes import NetworkExperiment, get_experiment
from lwcnn.models.baselines.reproduction import build_repo_merged, build_repo_residual_se
from lwcnn.models.baselines.resnet import build_resnet
from lwcnn.models.configs import BRANCHES, NARROW_RESNET18, RESNET_4443, SE_RESNET, ResidualSEConfig
from lwcnn.models.cost import count_macs
from lwcnn.models.dual import build_dual_model, build_merged_model, build_submodel
from lwcnn.models.residual_se import build_residual_se
from lwcnn.publication.figures import titles
from lwcnn.publication.figures.architecture import (
    Box,
    boxes_of_block,
    collapse_blocks,
    describe_layers,
    diagram_size,
    plot_architecture,
)
from lwcnn.publication.figures.bars import plot_parameters_by_layer
from lwcnn.publication.figures.grids import overlay_heatmaps, plot_image_grid
from lwcnn.publication.figures.inputs import BASELINE_EXPERIMENT, Inputs
from lwcnn.publication.figures.style import new_panels
from lwcnn.system.errors import unknown_name

NUM_CLASSES_SHOWN = 4
REFERENCES = {"narrow_resnet18": NARROW_RESNET18, "resnet_4443": RESNET_4443, "se_resnet": SE_RESNET}


@dataclass(frozen=True)
class HeatMapChoice:
    """What the heat maps are of.

    Attributes:
        classes: names of classes; none takes the first few.
        layer: of the model; none takes the last one with a map, of each branch.
    """

    classes: Sequence[str] = ()
    layer: str | None = None


def architecture_submodel(inputs: Inputs) -> Figure:
    """The submodel, one of two."""
    return _diagram(inputs, build_submodel(*_shape(inputs)), "Submodel")


def architecture_dual(inputs: Inputs) -> Figure:
    """The dual-input-output model of stage 1."""
    submodels = [build_submodel(*_shape(inputs), name) for name in BRANCHES]
    return _diagram(inputs, build_dual_model(submodels), "Dual-input-output model, stage 1")


def architecture_merged(inputs: Inputs) -> Figure:
    """The merged model of stage 2."""
    return _diagram(inputs, build_merged_model(*_shape(inputs)), "Merged model, stage 2")


def architecture_residual_se(inputs: Inputs) -> Figure:
    """The residual squeeze-and-excitation network, and what is in a block of it."""
    return _diagram_and_block(inputs, _residual(inputs, "residual_se"), "residual_se", "stage1_block1", 10.2)


def architecture_residual_se_small(inputs: Inputs) -> Figure:
    """The smaller one; its blocks are like those of the other."""
    return _diagram(inputs, _residual(inputs, "residual_se_small"), "residual_se_small")


def architecture_residual_se_distilled(inputs: Inputs) -> Figure:
    """The one that is taught; its blocks are like those of the others."""
    return _diagram(inputs, _residual(inputs, "residual_se_distilled"), "residual_se_distilled")


def architecture_residual_se_muon(inputs: Inputs) -> Figure:
    """The one that Muon trains; its blocks are like those of the others."""
    return _diagram(inputs, _residual(inputs, "residual_se_muon"), "residual_se_muon")


def architecture_repo_baseline(inputs: Inputs) -> Figure:
    """The CIFAR-10 reproduction's joined model, as built."""
    return _diagram(inputs, build_repo_merged(*_shape(inputs), BRANCHES), "repo_baseline")


def architecture_repo_residual_se(inputs: Inputs) -> Figure:
    """The extension's network, as built, and what is in a block of it."""
    return _diagram_and_block(inputs, build_repo_residual_se(*_shape(inputs)), "repo_residual_se", "block1", 7.0)


def architecture_references(inputs: Inputs) -> Figure:
    """The reference ResNets side by side."""
    figure, axes = new_panels(3.1 * len(REFERENCES), 12.0, len(REFERENCES))
    for (name, description), ax in zip(REFERENCES.items(), axes):
        model = build_resnet(*_shape(inputs), description)
        plot_architecture(collapse_blocks(describe_layers(model)), _model_title(inputs, model, name), ax=ax)
        ax.set_anchor("N")
    return figure


def parameters_by_layer(inputs: Inputs) -> Figure:
    """Parameters of each layer of the baseline, and of the best model where its architecture is another."""
    models = {name: inputs.model(name) for name in inputs.shown()}
    counted: dict[tuple, tuple[str, list[Box]]] = {}
    for name, model in models.items():
        boxes = [box for box in collapse_blocks(describe_layers(model)) if box.params]
        key = tuple((box.name, box.params) for box in boxes)
        names = f"{counted[key][0]} and {name}" if key in counted else name
        counted[key] = (names, boxes)
    rows = max(len(boxes) for _, boxes in counted.values())
    figure, axes = new_panels(6.2 * len(counted), 1.1 + 0.24 * rows, len(counted))
    for (name, boxes), ax in zip(counted.values(), axes):
        total = sum(box.params for box in boxes)
        title = f"Parameters by layer: {inputs.display_name}, {total:,} in all, any seed\n{name}"
        plot_parameters_by_layer([box.name for box in boxes], [box.params for box in boxes], title, ax=ax)
    return figure


def gradcam(inputs: Inputs, choice: HeatMapChoice = HeatMapChoice()) -> Figure:
    """Heat maps of the best model, for the class it predicts: of each class an image it gets right and one wrong."""
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
    overlays = {
        layer: dict(
            zip(where, overlay_heatmaps(pixels[where], gradcam_heatmap(model, pixels[where], predicted[where], layer)))
        )
        for layer in maps
    }
    images, captions = [], []
    for pair in examples:
        for i, verdict in zip(pair, ("right", "wrong")):
            images += [None if i is None else pixels[i]] + [None if i is None else overlays[m][i] for m in maps]
            captions += ["" if i is None else f"{verdict}: {names[predicted[i]]}"]
            captions += ["" if i is None else layer for layer in maps]
    what = "Grad-CAM for the predicted class; yellow: most evidence"
    title = titles.of_shown(inputs, what, released.run, where)
    return plot_image_grid(images, captions, 2 * (1 + len(maps)), list(chosen), title)


def _examples(labels, predicted, logits, label: int) -> tuple[int | None, int | None]:
    """Of the images of a class the one that is rightly, and the one that is wrongly, classified with median margin."""
    margins = np.take_along_axis(logits, predicted[:, None], axis=1)[:, 0] - logits.mean(axis=1)
    found = []
    for right in (True, False):
        where = np.flatnonzero((labels == label) & ((predicted == label) == right))
        where = where[np.argsort(margins[where], kind="stable")]
        found.append(int(where[len(where) // 2]) if len(where) else None)
    return found[0], found[1]


def _shape(inputs: Inputs) -> tuple[tuple[int, int, int], int]:
    """The images' shape and the number of classes."""
    if inputs.dataset in INPUT_SHAPES:
        return INPUT_SHAPES[inputs.dataset], len(inputs.class_names)
    model = inputs.model(BASELINE_EXPERIMENT)  # a data set of the user's own
    return tuple(model.input_shape[1:]), model.output_shape[-1]


def _residual(inputs: Inputs, experiment: str) -> keras.Model:
    """The network that an experiment trains on the data set."""
    shape, num_classes = _shape(inputs)
    images = ImageSpec(shape, mirror=False)  # no network depends on it
    plan = cast(NetworkExperiment, get_experiment(experiment, "full", images))
    return build_residual_se(shape, num_classes, cast(ResidualSEConfig, plan.network))


def _diagram(inputs: Inputs, model: keras.Model, name: str) -> Figure:
    return plot_architecture(collapse_blocks(describe_layers(model)), _model_title(inputs, model, name))


def _diagram_and_block(inputs: Inputs, model: keras.Model, name: str, block: str, height: float) -> Figure:
    """A diagram with each block as one box, and beside it what is in one of them."""
    boxes = describe_layers(model)
    inside = boxes_of_block(boxes, block)
    widths = [diagram_size(part)[0] for part in (collapse_blocks(boxes), inside)]
    figure, axes = new_panels(sum(widths), height, 2, width_ratios=widths)
    plot_architecture(collapse_blocks(boxes), _model_title(inputs, model, name), ax=axes[0])
    plot_architecture(inside, f"Inside of {block}", ax=axes[1])
    for ax in axes:
        ax.set_anchor("N")
    return figure


def _model_title(inputs: Inputs, model: keras.Model, name: str) -> str:
    shape, num_classes = _shape(inputs)
    size = " × ".join(map(str, shape))
    counts = f"{model.count_params():,} parameters, {count_macs(model):,} MACs"
    return f"{name}\n{size} images, {num_classes} classes\n{counts}"
