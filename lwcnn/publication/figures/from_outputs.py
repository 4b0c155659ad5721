"""The figures made from released logits and features, and, where they show images, the data set's pixels."""

import numpy as np
from matplotlib.figure import Figure
from scipy.special import softmax

from lwcnn.publication.figures import titles
from lwcnn.publication.figures.confusion import most_confused_pairs
from lwcnn.publication.figures.embedding import embed_features, plot_embedding
from lwcnn.publication.figures.grids import plot_image_grid
from lwcnn.publication.figures.inputs import Inputs, MissingInput
from lwcnn.publication.figures.probabilities import plot_reliability, plot_roc, roc_one_vs_rest
from lwcnn.publication.figures.style import new_panels

NUM_PAIRS, NUM_PER_PAIR = 5, 5
NUM_ERRORS = 12
NUM_EMBEDDED = 700  # more points hide each other, and take bytes


def roc(inputs: Inputs) -> Figure:
    """ROC curves of baseline and best, one class against the rest; of good models the corner in which they differ."""
    figure, released, axes = _panels(inputs, "ROC, one class against the rest", 5.3, 3.8)
    area = roc_one_vs_rest(released[0].logits, released[0].labels)[2].mean()
    corner = 1.0 if area < 0.98 else 0.2 if area < 0.998 else 0.05
    for one, ax in zip(released, axes):
        plot_roc(one.logits, one.labels, inputs.class_names, titles.model(one.run), corner, ax=ax)
    return figure


def reliability(inputs: Inputs) -> Figure:
    """Reliability of baseline and best, before and after temperature scaling."""
    what = "Reliability; each half's temperature fitted on the other"
    figure, released, axes = _panels(inputs, what, 4.2, 4.1)
    for one, ax in zip(released, axes):
        plot_reliability(one.logits, one.labels, titles.model(one.run), ax=ax)
    return figure


def tsne(inputs: Inputs) -> Figure:
    """Penultimate features, baseline beside best, by t-SNE."""
    figure, released, axes = _panels(inputs, "t-SNE of the penultimate features", 4.2, 4.4, "features", NUM_EMBEDDED)
    for one, ax in zip(released, axes):
        features = one.features[:NUM_EMBEDDED]
        plot_embedding(
            embed_features(features), one.labels[: len(features)], inputs.class_names, titles.model(one.run), ax=ax
        )
    return figure


def _panels(inputs: Inputs, what: str, width: float, height: float, needed: str = "logits", most: int | None = None):
    """A figure with a panel for the baseline and one for the best, and their released runs, of `most` images."""
    released = [inputs.released(name) for name in inputs.shown()]
    for one in released:
        if getattr(one, needed) is None:
            name = f"{inputs.dataset}/{one.run['experiment'].iloc[0]}"
            raise MissingInput(f"its released run has no {needed}. Received: {name}")
    figure, axes = new_panels(width * len(released), height, len(released))
    count = len(getattr(released[0], needed)[:most])
    figure.suptitle(f"{what}\n{inputs.display_name}, n = {count:,} test images")
    return figure, released, axes


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
    title = titles.of_shown(inputs, "Most confused pairs, the most confident mistakes first", released.run, images)
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
    title = titles.of_shown(inputs, "The most confident mistakes", released.run, worst)
    return plot_image_grid([pixels[i] for i in worst], captions, 6, (), title)
