"""Images side by side, with captions, and with heatmaps over them."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from scipy.special import softmax

from lwcnn.evaluation.gradcam import default_layers, gradcam_heatmap
from lwcnn.publication.figures.inputs import Inputs, describe_runs
from lwcnn.publication.figures.style import STYLE, new_panels
from lwcnn.system.errors import wrong

SIDE, CAPTION = 0.82, 0.3  # of an image and the room above it, in inches
LEAST_WIDTH = 4.5  # inches, for the title
HEAT_OPACITY = 0.5
MAX_COLUMNS = 10  # classes shown as samples
NUM_CLASSES_WITH_HEAT = 4


@matplotlib.rc_context(fname=STYLE)
def plot_image_grid(
    images: Sequence[np.ndarray | None],
    captions: Sequence[str],
    columns: int = 8,
    row_names: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """Draws images, uint8 of shape (h, w, 1 or 3), in rows, each with a caption of up to two short lines above it.

    None leaves its place empty.
    """
    if len(images) != len(captions) or not len(images):
        raise wrong("Give a caption per image", f"{len(images)} images, {len(captions)} captions")
    rows = -(-len(images) // columns)
    width, height = SIDE * columns + 0.75 * bool(row_names), 0.45 + (SIDE + CAPTION) * rows
    figure, axes = new_panels(max(LEAST_WIDTH, width), height, columns, rows)
    figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    for ax in axes:
        ax.set_axis_off()
    for ax, image, caption in zip(axes, images, captions, strict=False):
        if image is not None:
            image = image[..., : 3 if image.shape[2] > 2 else 1]  # without alpha
            ax.imshow(np.broadcast_to(image, (*image.shape[:2], 3)))
            ax.set_title(caption, fontsize=6.5, linespacing=1.0, pad=2)
    for ax, name in zip(axes[::columns], row_names, strict=False):
        ax.text(-0.08, 0.5, name, ha="right", va="center", fontsize=6.5, transform=ax.transAxes)
    figure.suptitle(title, wrap=True)
    return figure


def overlay_heatmaps(images: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
    """Returns images under heatmaps (n, h, w), 0 to 1, as uint8 (n, h, w, 3): gray at 0, yellow at 1."""
    if images.shape[:3] != heatmaps.shape:
        raise wrong("Give a heatmap per image", f"{images.shape} and {heatmaps.shape}")
    gray = np.repeat(images.mean(axis=-1, keepdims=True), 3, axis=-1) / 255
    heat = colormaps["inferno"](heatmaps)[..., :3]
    return np.rint(255 * ((1 - HEAT_OPACITY) * gray + HEAT_OPACITY * heat)).astype(np.uint8)


def right_and_wrong(inputs: Inputs) -> Figure:
    """Test images of each class that the best network gets right, drawn at random, and its most confident errors."""
    released, pixels = inputs.best.released, inputs.test_images
    names, labels = inputs.class_names, released.labels
    classes, confidence = released.logits.argmax(axis=1), softmax(released.logits, axis=1).max(axis=1)
    is_right = classes == labels

    def caption(i: int) -> str:
        mistake = "" if is_right[i] else f"{names[labels[i]]} as\n"
        return f"{mistake}{names[classes[i]]}, {confidence[i]:.0%}"

    at_random = np.random.default_rng(0).permutation(len(classes))
    by_confidence = at_random[np.argsort(-confidence[at_random], kind="stable")]
    columns, rows, shown = min(MAX_COLUMNS, len(names)), [], []
    for word, order in (
        ("right,\nat random", at_random[is_right[at_random]]),
        ("wrong, most\nconfident", by_confidence[~is_right[by_confidence]]),
    ):
        by_class = [order[labels[order] == label] for label in range(columns)]
        if len(order):
            rows.append(word)
            shown += [found[0] if len(found) else None for found in by_class]
    images = [None if i is None else pixels[i] for i in shown]
    captions = ["" if i is None else caption(i) for i in shown]
    title = inputs.title("Right and wrong", describe_runs(released.run), "predicted class and confidence")
    return plot_image_grid(images, captions, columns, rows, title)


def gradcam(inputs: Inputs) -> Figure:
    """Heatmaps of the best network for the predicted class: a right and a wrong image of four classes."""
    released, pixels = inputs.best.released, inputs.test_images
    predicted = released.logits.argmax(axis=1)
    model, names = inputs.model(inputs.best.experiment), inputs.class_names
    labels = range(0, len(names), max(1, len(names) // NUM_CLASSES_WITH_HEAT))[:NUM_CLASSES_WITH_HEAT]
    margins = released.logits.max(axis=1) - released.logits.mean(axis=1)
    layers, images, captions = default_layers(model), [], []
    branches = ["heatmap"] if len(layers) == 1 else [f"branch {i + 1}" for i in range(len(layers))]
    for label in labels:
        for verdict in ("right", "wrong"):
            where = np.flatnonzero((released.labels == label) & ((predicted == label) == (verdict == "right")))
            if not len(where):
                images += [None] * (1 + len(layers))
                captions += [""] * (1 + len(layers))
                continue
            i = where[np.argsort(margins[where], kind="stable")][len(where) // 2]  # the median margin
            image = pixels[i : i + 1]
            maps = [gradcam_heatmap(model, image, predicted[i : i + 1], layer) for layer in layers]
            images += [image[0], *(overlay_heatmaps(image, one)[0] for one in maps)]
            captions += [f"{verdict}: {names[predicted[i]]}", *branches]
    what = "Grad-CAM for the predicted class"
    title = inputs.title(what, describe_runs(released.run), "yellow: most evidence")
    return plot_image_grid(images, captions, 2 * (1 + len(layers)), [names[label] for label in labels], title)
