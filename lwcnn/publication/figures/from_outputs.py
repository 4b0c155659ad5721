"""The figures made from released logits and features, and, where they show images, the data set's pixels."""

import numpy as np
from matplotlib.figure import Figure
from scipy.special import softmax

from lwcnn.evaluation.metrics import confusion_matrix
from lwcnn.publication.figures.confusion import most_confused_pairs
from lwcnn.publication.figures.embedding import embed_features, plot_embedding
from lwcnn.publication.figures.grids import plot_image_grid
from lwcnn.publication.figures.inputs import Inputs, MissingInput
from lwcnn.publication.figures.probabilities import plot_reliability, plot_roc, roc_corner, roc_one_vs_rest
from lwcnn.publication.figures.style import new_panels

NUM_PAIRS, NUM_PER_PAIR = 5, 5
NUM_SAMPLES = 2  # rows each of right and of wrong ones
MAX_COLUMNS = 10  # classes shown as samples
NUM_EMBEDDED = 700  # more points hide each other, and take bytes


def roc(inputs: Inputs) -> Figure:
    """ROC curves of baseline and best, one class against the rest: the corner in which they differ."""
    figure, released, axes = _panels(inputs, "ROC curves, one class against the rest", 4.6, 3.6)
    corner = roc_corner(roc_one_vs_rest(released[0].logits, released[0].labels)[2])
    for one, ax in zip(released, axes):
        plot_roc(one.logits, one.labels, inputs.class_names, inputs.model_name(one.run), corner, ax=ax)
    return figure


def reliability(inputs: Inputs) -> Figure:
    """Reliability of baseline and best, before and after temperature scaling."""
    figure, released, axes = _panels(inputs, "Reliability", 3.9, 4.6)
    for one, ax in zip(released, axes):
        plot_reliability(one.logits, one.labels, inputs.model_name(one.run), ax=ax)
    return figure


def tsne(inputs: Inputs) -> Figure:
    """Penultimate features of baseline and best by t-SNE."""
    figure, released, axes = _panels(inputs, "t-SNE of the penultimate features", 4.2, 4.4, "features", NUM_EMBEDDED)
    for one, ax in zip(released, axes):
        points = embed_features(one.features[:NUM_EMBEDDED])
        plot_embedding(points, one.labels[: len(points)], inputs.class_names, inputs.model_name(one.run), ax=ax)
    return figure


def _panels(inputs: Inputs, what: str, width: float, height: float, needed: str = "logits", most: int | None = None):
    """Returns a figure with a panel each for baseline and best, their released runs, and the axes."""
    released = [inputs.released(name) for name in inputs.shown()]
    for one in released:
        if getattr(one, needed) is None:
            name = f"{inputs.dataset}/{one.run['experiment'].iloc[0]}"
            raise MissingInput(f"its released run has no {needed}. Received: {name}")
    figure, axes = new_panels(width * len(released), height, len(released))
    figure.suptitle(inputs.title(what, f"{len(getattr(released[0], needed)[:most]):,} test images"))
    return figure, released, axes


def confused_pairs(inputs: Inputs) -> Figure:
    """Images of the best network's most confused pairs of classes, the most confident errors first."""
    released, pixels, classes, confidence = _classified(inputs)
    images, captions, rows, names = [], [], [], inputs.class_names
    counts = confusion_matrix(released.logits, released.labels)
    for label, prediction in most_confused_pairs(counts, NUM_PAIRS):
        where = np.flatnonzero((released.labels == label) & (classes == prediction))
        where = where[np.argsort(-confidence[where], kind="stable")][:NUM_PER_PAIR]
        gap = NUM_PER_PAIR - len(where)
        images += [pixels[i] for i in where] + [None] * gap
        captions += [f"{100 * confidence[i]:.0f} %" for i in where] + [""] * gap
        rows.append(f"{names[label]}\ntaken for\n{names[prediction]}\n({counts[label, prediction]} images)")
    title = inputs.title("Most confused pairs", inputs.model_name(released.run), "with confidence")
    return plot_image_grid(images, captions, NUM_PER_PAIR, rows, title)


def right_and_wrong(inputs: Inputs) -> Figure:
    """Test images of each class that the best network gets right, drawn at random, and its most confident errors."""
    released, pixels, classes, confidence = _classified(inputs)
    names, columns = inputs.class_names, min(MAX_COLUMNS, len(inputs.class_names))
    order = np.random.default_rng(0).permutation(len(classes))
    images, captions = [], []
    for is_right in (True, False):
        chosen = []
        for label in range(columns):
            where = order[(released.labels[order] == label) & ((classes[order] == label) == is_right)]
            chosen.append(where if is_right else where[np.argsort(-confidence[where], kind="stable")])
        for row in range(NUM_SAMPLES):
            for where in chosen:
                i = where[row] if row < len(where) else None
                images.append(None if i is None else pixels[i])
                wrong = "" if i is None or is_right else f"{names[released.labels[i]]}, taken\nfor "
                text = "" if i is None else f"{wrong}{names[classes[i]]}, {100 * confidence[i]:.0f} %"
                captions.append(text)
    title = inputs.title("Right and wrong", inputs.model_name(released.run), "predicted class and confidence")
    rows = ["right", "right", "wrong", "wrong"]
    return plot_image_grid(images, captions, columns, rows, title)


def _classified(inputs: Inputs):
    """Returns the best experiment's released run, the pixels, its predicted classes and their probabilities."""
    released = inputs.released(inputs.best_experiment)
    confidence = softmax(released.logits, axis=1).max(axis=1)
    return released, inputs.test_images, released.logits.argmax(axis=1), confidence
