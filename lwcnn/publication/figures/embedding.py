"""Penultimate features in the plane, by t-SNE."""

from collections.abc import Sequence

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from lwcnn.publication.figures.style import CLASS_COLORS, CLASS_MARKERS, styled
from lwcnn.system.errors import LwcnnError

SEED = 0
PERPLEXITY = 30  # van der Maaten and Hinton 2008: 5 to 50


def embed_features(features: np.ndarray, seed: int = SEED) -> np.ndarray:
    """The features' t-SNE, (n, 2): the same on one machine whatever number of threads it has.

    Args:
        features: Finite, shape (n, d), at least 4 of them different; each is divided by its deviation, so that none
            outweighs the others.
        seed: Seed of the embedding.

    Raises:
        LwcnnError: Features of another shape, not finite, or nearly all alike: t-SNE has nothing to spread, and its
            compiled code crashes on equal points.
    """
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or len(features) < 4:
        raise LwcnnError(f"Give features of shape (n, d) with n of at least 4. Received: {features.shape}")
    if not np.isfinite(features).all():
        raise LwcnnError(
            "Give features that are finite: those of a model that diverged have no embedding. Received: NaN"
        )
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
    """Draws points of the plane by class, with each class's name where most of it lies.

    Args:
        points: (n, 2), as of `embed_features`.
        labels: (n,).
        class_names: by label.
    """
    labels = np.asarray(labels)
    if points.shape != (len(labels), 2):
        raise LwcnnError(f"Give a point a label, shape ({len(labels)}, 2). Received: {points.shape}")
    for label, name in enumerate(class_names):
        own = points[labels == label]
        if not len(own):
            continue
        color, marker = CLASS_COLORS[label % len(CLASS_COLORS)], CLASS_MARKERS[label % len(CLASS_MARKERS)]
        ax.plot(*own.T, marker, color=color, markersize=2.2, markeredgewidth=0.3, alpha=0.7, label=name)
    for label, name in enumerate(class_names):
        own = points[labels == label]
        if len(own):
            x, y = np.median(own, axis=0)
            ax.text(
                x,
                y,
                name,
                ha="center",
                va="center",
                fontsize=7,
                fontweight="bold",
                path_effects=[patheffects.withStroke(linewidth=2, foreground="white")],
            )
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    ax.set_aspect("equal", adjustable="datalim")
    for spine in ax.spines.values():
        spine.set_visible(True)
    ax.set_title(title or "")
