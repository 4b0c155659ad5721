"""The figures made from released logits and features, and, where they show images, the data set's pixels."""

import numpy as np
from matplotlib.figure import Figure
from scipy.special import softmax

from lwcnn.figures import titles
from lwcnn.figures.confusion import most_confused_pairs
from lwcnn.figures.embedding import embed_features, plot_embedding
from lwcnn.figures.grids import plot_image_grid
from lwcnn.figures.inputs import Inputs, MissingInput
from lwcnn.figures.probabilities import plot_reliability, plot_roc
from lwcnn.figures.style import new_panels

NUM_PAIRS, NUM_PER_PAIR = 6, 8
NUM_ERRORS = 32


def roc(inputs: Inputs) -> Figure:
    """ROC curves of baseline and best, one class against the rest, in the corner where they differ."""
    shown = inputs.shown()
    figure, axes = new_panels(5.4 * len(shown), 3.7, len(shown))
    for name, ax in zip(shown, axes):
        released = inputs.released(name)
        title = titles.of_runs(inputs, "ROC, one class against the rest", [released.result])
        plot_roc(released.logits, released.labels, inputs.class_names, title, True, ax=ax)
    return figure


def reliability(inputs: Inputs) -> Figure:
    """Reliability of baseline and best, before and after temperature scaling."""
    shown = inputs.shown()
    figure, axes = new_panels(4.2 * len(shown), 3.9, len(shown))
    for name, ax in zip(shown, axes):
        released = inputs.released(name)
        what = "Reliability; temperatures fitted on the other half of the test images"
        plot_reliability(
            released.logits,
            released.labels,
            titles.of_runs(inputs, what, [released.result]).replace("; ", ";\n"),
            ax=ax,
        )
    return figure


def tsne(inputs: Inputs) -> Figure:
    """Penultimate features, baseline beside best, by t-SNE."""
    shown = inputs.shown()
    figure, axes = new_panels(4.3 * len(shown), 4.3, len(shown))
    for name, ax in zip(shown, axes):
        released = inputs.released(name)
        if released.features is None:
            raise MissingInput(f"its released run has no features. Received: {name!r} on {inputs.dataset!r}")
        labels = released.labels[: len(released.features)]
        title = (
            f"t-SNE of the penultimate features\n{inputs.display_name}, {titles.model([released.result])}, "
            f"n = {len(labels):,} test images"
        )
        plot_embedding(embed_features(released.features), labels, inputs.class_names, title, ax=ax)
    return figure


def confused_pairs(inputs: Inputs) -> Figure:
    """Images of the best model's most confused pairs of classes, the most confident mistakes first."""
    released = inputs.released(inputs.best_experiment)
    pixels, classes = inputs.test_images, released.logits.argmax(axis=1)
    confidence = softmax(released.logits, axis=1).max(axis=1)
    counts = np.zeros((released.logits.shape[1],) * 2, dtype=int)
    np.add.at(counts, (released.labels, classes), 1)
    images, captions, rows = [], [], []
    for label, prediction in most_confused_pairs(counts, NUM_PAIRS):
        where = np.flatnonzero((released.labels == label) & (classes == prediction))
        where = where[np.argsort(-confidence[where], kind="stable")][:NUM_PER_PAIR]
        gap = NUM_PER_PAIR - len(where)
        images += [pixels[i] for i in where] + [None] * gap
        captions += [f"{100 * confidence[i]:.0f} %" for i in where] + [""] * gap
        names = inputs.class_names
        rows.append(f"{names[label]}\ntaken for\n{names[prediction]}\n({counts[label, prediction]} images)")
    title = titles.of_runs(inputs, "Most confused pairs, the most confident mistakes first", [released.result])
    return plot_image_grid(images, captions, NUM_PER_PAIR, rows, title)


def confident_errors(inputs: Inputs) -> Figure:
    """The best model's most confident mistakes."""
    released = inputs.released(inputs.best_experiment)
    pixels, classes = inputs.test_images, released.logits.argmax(axis=1)
    confidence = softmax(released.logits, axis=1).max(axis=1)
    wrong = np.flatnonzero(classes != released.labels)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:NUM_ERRORS]
    names = inputs.class_names
    captions = [
        f"{names[released.labels[i]]}, taken\nfor {names[classes[i]]}, {100 * confidence[i]:.1f} %" for i in worst
    ]
    title = titles.of_runs(inputs, f"The {len(worst)} most confident mistakes", [released.result])
    return plot_image_grid([pixels[i] for i in worst], captions, 8, (), title)
