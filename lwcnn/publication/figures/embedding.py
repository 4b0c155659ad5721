"""Penultimate features in the plane, by t-SNE."""

from collections.abc import Sequence

import numpy as np
import seaborn as sns
from matplotlib import patheffects
from matplotlib.axes import Axes
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from lwcnn.publication.figures.style import COLORS, MARKERS, styled
from lwcnn.system.errors import LwcnnError

PERPLEXITY = 30  # van der Maaten and Hinton 2008: 5 to 50


def embed_features(features: np.ndarray, seed: int = 0) -> np.ndarray:
    """Computes the features' t-SNE, shape (n, 2): the same on one machine for any number of threads.

    Args:
        features: Finite, shape (n, d), at least 4 of them different; each is divided by its deviation, so that none
            outweighs the others.
        seed: Seed of the embedding.

    Raises:
        LwcnnError: The features have another shape, are not finite or nearly all alike: the compiled code of t-SNE
            crashes on equal points.
    """
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or len(features) < 4:
        raise LwcnnError(f"Give features of shape (n, d) with n of at least 4. Received: {features.shape}")
    if not np.isfinite(features).all():
        raise LwcnnError("Give finite features: a model that diverged has no embedding. Received: NaN")
    if (different := len(np.unique(features, axis=0))) < 4:
        raise LwcnnError(
            "t-SNE needs at least 4 different features; a model whose features are alike has learned nothing. "
            f"Received: {different} different among {len(features)}"
        )
    deviations = features.std(axis=0)
    scaled = features / np.where(deviations > 0, deviations, 1)
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    with threadpool_limits(1):  # sums in another order would lead elsewhere
        return TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(scaled)


@styled(4.2, 3.9)
def plot_embedding(
    points: np.ndarray, labels: np.ndarray, class_names: Sequence[str], title: str | None = None, *, ax: Axes
):
    """Draws points of shape (n, 2) by class, with each class's name where most of it lies."""
    labels = np.asarray(labels)
    if points.shape != (len(labels), 2):
        raise LwcnnError(f"Give a point per label, shape ({len(labels)}, 2). Received: {points.shape}")
    present = np.unique(labels)
    colors = {label: COLORS[label % len(COLORS)] for label in present}
    markers = {label: MARKERS[label % len(MARKERS)] for label in present}
    sns.scatterplot(
        x=points[:, 0], y=points[:, 1], hue=labels, style=labels, palette=colors, markers=markers, s=9, alpha=0.7,
        linewidth=0.2, legend=False, ax=ax,
    )  # fmt: skip
    outline = [patheffects.withStroke(linewidth=2, foreground="white")]
    for label in present:
        x, y = np.median(points[labels == label], axis=0)
        name = class_names[label]
        ax.text(x, y, name, ha="center", va="center", fontsize=7, fontweight="bold", path_effects=outline)
    ax.set(xticks=[], yticks=[], title=title or "")
    ax.grid(False)
    ax.set_aspect("equal", adjustable="datalim")
    sns.despine(ax=ax, left=True, bottom=True)
