"""The sentences of the figures that are made from released logits and features; see `lwcnn.publication.notebook.captions`."""

import numpy as np
from scipy.special import softmax
from sklearn.neighbors import NearestNeighbors

from lwcnn.evaluation import expected_calibration_error, scale_cross_fitted
from lwcnn.publication.figures.confusion import most_confused_pairs
from lwcnn.publication.figures.from_outputs import NUM_EMBEDDED
from lwcnn.publication.figures.inputs import Inputs, MissingInput
from lwcnn.publication.figures.probabilities import roc_one_vs_rest

CONFIDENT = 0.9


def roc(inputs: Inputs) -> str:
    parts = []
    for name in inputs.shown():
        one = inputs.released(name)
        areas = roc_one_vs_rest(one.logits, one.labels)[2]
        low = inputs.class_names[int(areas.argmin())]
        parts.append(f"`{name}` {areas.mean():.4f} (least for *{low}*, {areas.min():.4f})")
    return f"The area under the curve, mean over classes: {'; '.join(parts)}."


def reliability(inputs: Inputs) -> str:
    parts = []
    for name in inputs.shown():
        one = inputs.released(name)
        before = expected_calibration_error(one.logits, one.labels)
        after = expected_calibration_error(scale_cross_fitted(one.logits, one.labels).logits, one.labels)
        parts.append(f"`{name}` {100 * before:.1f} % as trained and {100 * after:.1f} % after temperature scaling")
    return f"The expected calibration error (15 bins): {'; '.join(parts)}."


def tsne(inputs: Inputs) -> str:
    parts = []
    for name in inputs.shown():
        one = inputs.released(name)
        if one.features is None:
            raise MissingInput(f"its released run has no features. Received: {inputs.dataset}/{name}")
        features = one.features[:NUM_EMBEDDED].astype(float)
        labels = one.labels[: len(features)]
        nearest = NearestNeighbors(n_neighbors=2).fit(features).kneighbors(features)[1][:, 1]
        parts.append(f"{100 * np.mean(labels[nearest] == labels):.1f} % (`{name}`)")
    return f"In the features themselves the nearest other image is of the same class for {' and '.join(parts)} of them."


def confused_pairs(inputs: Inputs) -> str:
    counts, classes = _released_counts(inputs), inputs.class_names
    pairs, wrong = most_confused_pairs(counts, 5), counts.sum() - np.trace(counts)
    if not pairs:
        return "No test image is mistaken."
    label, taken = pairs[0]
    share = sum(counts[pair] for pair in pairs) / wrong
    return (
        f"`{inputs.best_experiment}` takes *{classes[label]}* for *{classes[taken]}* most often, {counts[pairs[0]]} "
        f"times; the {len(pairs)} pairs shown are {100 * share:.0f} % of its {wrong:,} mistakes."
    )


def confident_errors(inputs: Inputs) -> str:
    one = inputs.released(inputs.best_experiment)
    wrong = one.logits.argmax(axis=1) != one.labels
    sure = softmax(one.logits, axis=1).max(axis=1) > CONFIDENT
    text = (
        f"Of {wrong.sum():,} mistakes of `{inputs.best_experiment}`, {(wrong & sure).sum():,} are made with more than "
        f"{100 * CONFIDENT:.0f} % confidence"
    )
    if not sure.any():
        return f"{text}; none of its answers is as sure as that."
    return f"{text}; of its {sure.sum():,} answers as sure as that {100 * np.mean(~wrong[sure]):.1f} % are right."


def gradcam(inputs: Inputs) -> str:
    one = inputs.released(inputs.best_experiment)
    right = np.mean(one.logits.argmax(axis=1) == one.labels)
    return (
        f"What speaks for the class that `{inputs.best_experiment}` names, in images that it gets right "
        f"({100 * right:.1f} % of all) and wrong; each map is divided by its own largest value, so maps can't be "
        "compared by strength."
    )


def _released_counts(inputs: Inputs) -> np.ndarray:
    one = inputs.released(inputs.best_experiment)
    counts = np.zeros((one.logits.shape[1],) * 2, dtype=int)
    np.add.at(counts, (one.labels, one.logits.argmax(axis=1)), 1)
    return counts
