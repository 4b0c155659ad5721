"""Images side by side, with captions, and with heat maps over them."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes

from lwcnn.publication.figures.style import styled
from lwcnn.system.errors import LwcnnError

SIDE = 0.82  # of an image, in inches
LEAST_WIDTH = 4.5  # inches, for the title
GAP = 0.06  # between images, as a share of their side
CAPTION = 0.30  # room for two lines above an image
HEAT_OPACITY = 0.5


def _width(images, captions, columns=8, row_names=(), *_):
    return max(LEAST_WIDTH, 0.1 + SIDE * (1 + GAP) * columns + 0.75 * bool(row_names))


def _height(images, captions, columns=8, *_):
    return 0.45 + SIDE * (1 + CAPTION) * -(-len(images) // columns)


@styled(_width, _height)
def plot_image_grid(
    images: Sequence[np.ndarray | None],
    captions: Sequence[str],
    columns: int = 8,
    row_names: Sequence[str] = (),
    title: str | None = None,
    *,
    ax: Axes,
):
    """Draws images in rows, each with a caption of up to two short lines above it.

    Args:
        images: Each uint8 of shape (h, w, 1) or (h, w, 3); None leaves its place empty.
        captions: One per image.
        columns: Number of images in a row.
        row_names: Names left of the rows.

    Raises:
        LwcnnError: There are no images, or images and captions do not fit.
    """
    if len(images) != len(captions) or not len(images):
        raise LwcnnError(f"Give a caption per image. Received: {len(images)} images, {len(captions)} captions")
    pitch_x, pitch_y = 1 + GAP, 1 + CAPTION
    for i, (image, caption) in enumerate(zip(images, captions)):
        if image is None:
            continue
        row, column = divmod(i, columns)
        left, top = column * pitch_x, -row * pitch_y
        ax.imshow(_rgb(image), extent=(left, left + 1, top - 1, top))
        ax.text(left + 0.5, top + 0.02, caption, ha="center", va="bottom", fontsize=5.5, linespacing=1.0)
    num_rows = -(-len(images) // columns)
    for row, name in enumerate(row_names):
        ax.text(-0.08, -row * pitch_y - 0.5, name, ha="right", va="center", fontsize=6.5)
    ax.set_xlim(0, columns * pitch_x - GAP)
    ax.set_ylim(-(num_rows - 1) * pitch_y - 1, CAPTION - 0.02)
    ax.set_aspect("equal")
    ax.grid(False)
    ax.set_axis_off()
    ax.set_title(title or "")


def overlay_heatmaps(images: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
    """Returns images with heat maps over them, uint8 (n, h, w, 3): gray where nothing, yellow where most.

    Args:
        images: uint8 of shape (n, h, w, 1) or (n, h, w, 3).
        heatmaps: Shape (n, h, w), 0 to 1, as `gradcam_heatmap` returns.

    Raises:
        LwcnnError: The arrays do not fit.
    """
    if images.shape[:3] != heatmaps.shape:
        raise LwcnnError(f"Give a heat map per image. Received: {images.shape} and {heatmaps.shape}")
    gray = np.repeat(images.mean(axis=-1, keepdims=True), 3, axis=-1) / 255
    heat = colormaps["inferno"](heatmaps)[..., :3]
    return np.rint(255 * ((1 - HEAT_OPACITY) * gray + HEAT_OPACITY * heat)).astype(np.uint8)


def _rgb(image: np.ndarray) -> np.ndarray:
    return np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image
