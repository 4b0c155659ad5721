"""One look for all figures, and files that are the same bytes when nothing changed."""

import functools
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import ScaledTranslation
from PIL import Image

from lwcnn.system.files import write_atomically

# Okabe and Ito, "Color Universal Design" (2008): told apart by color-blind readers, and mostly in gray.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
GRAY, OLIVE, BROWN = "#8C8C8C", "#A89B00", "#7A4A1E"  # olive for their yellow, too pale for lines
BASELINE, BEST = BLUE, VERMILLION  # the two models that figures compare
COLORS = (BLUE, ORANGE, GREEN, VERMILLION, SKY, PURPLE, BLACK, OLIVE, GRAY, BROWN)
MARKERS = "os^vDP*Xph"  # ten classes are too many for colors alone

DPI = 300
NUM_FREQUENT_GRAYS, NUM_FREQUENT_COLORS = 4, 72  # kept exactly in the PNGs of plots
GRAY_STEP = 51  # between the other grays: letters need no more at 300 dpi
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.title_fontsize": 7.5,
    "figure.titlesize": 9,
    "figure.dpi": 100,
    "savefig.dpi": DPI,
    "pdf.compression": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.linewidth": 0.7,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.3,
    "legend.frameon": False,
    "image.interpolation": "none",
    "pdf.fonttype": 42,  # TrueType: editors and publishers want it
}


def styled(width: float | Callable, height: float | Callable) -> Callable:
    """Decorates a drawing function to draw in our style, on a new axis where none is given, and to return the figure.

    Width and height of a new figure, in inches, can be functions of the drawing's arguments.
    """

    def decorate(draw: Callable) -> Callable:
        @functools.wraps(draw)
        def plot(*arguments, ax: Axes | None = None, **options) -> Figure:
            with matplotlib.rc_context(STYLE):
                if ax is None:
                    across, up = (side(*arguments) if callable(side) else side for side in (width, height))
                    (ax,) = new_panels(across, up, 1)[1]
                draw(*arguments, ax=ax, **options)
            return cast(Figure, ax.figure)

        return plot

    return decorate


def new_panels(width: float, height: float, columns: int, rows: int = 1, **options) -> tuple[Figure, list[Axes]]:
    """Returns a figure, outside pyplot so that nothing keeps it alive, and its axes in reading order."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        cast(ConstrainedLayoutEngine, figure.get_layout_engine()).set(w_pad=0.07, h_pad=0.07)
        return figure, list(figure.subplots(rows, columns, squeeze=False, **options).flat)


def legend_below(ax: Axes, *arguments, inches: float = 0.42, **options) -> None:
    """Draws a legend below the axis, where it covers nothing; arguments as of `Axes.legend`."""
    below = ax.transAxes + ScaledTranslation(0, -inches, cast(Figure, ax.figure).dpi_scale_trans)
    options = {"columnspacing": 1.2, "handletextpad": 0.5, "borderpad": 0, **options}
    ax.legend(*arguments, loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=below, **options)


def save_figure(figure: Figure, stem: Path, with_pdf: bool = False) -> list[Path]:
    """Writes <stem>.png with 300 dpi and, if asked, <stem>.pdf, without dates; unchanged files stay untouched."""
    written = []
    with matplotlib.rc_context(STYLE):
        for suffix, encode in {".png": _png, ".pdf": _pdf}.items():
            path = stem.with_name(stem.name + suffix)
            if suffix == ".pdf" and not with_pdf:
                continue
            content = encode(figure)
            if not path.exists() or path.read_bytes() != content:
                write_atomically(path, content)
            written.append(path)
    return written


def _png(figure: Figure) -> bytes:
    drawn, packed = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    pixels = np.asarray(Image.open(drawn).convert("RGB"))
    has_photos = any(cast(np.ndarray, shown.get_array()).ndim == 3 for ax in figure.axes for shown in ax.images)
    image = Image.fromarray(pixels).quantize(256) if has_photos else _with_palette(pixels)
    image.save(packed, format="png", dpi=(DPI, DPI), optimize=True)
    return packed.getvalue()


def _with_palette(pixels: np.ndarray) -> Image.Image:
    """Returns pixels (h, w, 3) as an image of the most frequent colors and a scale of grays for letters.

    It makes a plot's PNG a third as large. Areas and lines stay exactly as drawn; Pillow's own reduction tints them.
    """
    packed = pixels.astype(np.int64) @ (1 << 16, 1 << 8, 1)
    codes, places, counts = np.unique(packed, return_inverse=True, return_counts=True)
    colors = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1)
    by_count = np.argsort(-counts, kind="stable")
    is_gray = (colors[by_count] == colors[by_count, :1]).all(axis=1)
    grays, others = colors[by_count[is_gray]], colors[by_count[~is_gray]]
    scale = np.repeat(np.arange(0, 256, GRAY_STEP), 3).reshape(-1, 3)
    palette = np.concatenate([grays[:NUM_FREQUENT_GRAYS], scale, others[:NUM_FREQUENT_COLORS]])
    distances = ((colors[:, None] - palette[None]) ** 2).sum(axis=2)
    image = Image.fromarray(distances.argmin(axis=1)[places].reshape(packed.shape).astype(np.uint8))
    image.putpalette(palette.astype(np.uint8).tobytes())
    return image


def _pdf(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="pdf", dpi=DPI, metadata={"CreationDate": None})
    return buffer.getvalue()
