"""One style for all figures, and files whose bytes change only if the figure does."""

import functools
import inspect
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import matplotlib
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from lwcnn.system.files import write_atomically

# Okabe and Ito, "Color Universal Design" (2008): told apart by color-blind readers, and mostly in gray.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
GRAY, OLIVE, BROWN = "#8C8C8C", "#A89B00", "#7A4A1E"  # olive for their yellow, too pale for lines
BASELINE, BEST = BLUE, VERMILLION  # the two models that figures compare
COLORS = (BLUE, ORANGE, GREEN, VERMILLION, SKY, PURPLE, BLACK, OLIVE, GRAY, BROWN)
MARKERS = "os^vDP*Xph"  # ten classes are too many for colors alone

Look = dict[str, Any]
"""Options of Matplotlib's drawing functions."""

DPI = 300
STYLE = Path(__file__).with_name("lwcnn.mplstyle")
"""Matplotlib's style sheet, for `matplotlib.rc_context(fname=STYLE)`."""


def styled(width: float, height: float | Callable) -> Callable:
    """Decorates a drawing function to draw in our style, on a new axis if none is given, and to return the figure.

    Width and height of a new figure are in inches; the height can be a function of the drawing's arguments.
    """

    def decorate(draw: Callable) -> Callable:
        @functools.wraps(draw)
        def plot(*arguments, ax: Axes | None = None, **options) -> Figure:
            with matplotlib.rc_context(fname=STYLE):
                if ax is None:
                    (ax,) = new_panels(width, height(*arguments, **options) if callable(height) else height, 1)[1]
                draw(*arguments, ax=ax, **options)
            return cast(Figure, ax.figure)

        signature = inspect.signature(draw)
        on_axis = signature.parameters["ax"].replace(default=None, annotation=Axes | None)
        parameters = {**signature.parameters, "ax": on_axis}.values()
        plot.__signature__ = signature.replace(parameters=[*parameters], return_annotation=Figure)  # type: ignore[attr-defined]
        return plot

    return decorate


def new_panels(width: float, height: float, columns: int, rows: int = 1, **options) -> tuple[Figure, list[Axes]]:
    """Returns a figure, outside pyplot so that nothing keeps it alive, and its axes in reading order."""
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.07, h_pad=0.07))
    return figure, list(figure.subplots(rows, columns, squeeze=False, **options).flat)


def up_to_100(low: float, high: float) -> tuple[float, float]:
    """Returns the limits of an axis of accuracies in percent, cut to a margin above 100."""
    return low, min(high, 100 + 0.04 * (100 - low))


def legend_below(figure: Figure) -> None:
    """Draws a legend of all panels below a figure, a line per label."""
    handles = {label: handle for ax in figure.axes for handle, label in zip(*ax.get_legend_handles_labels())}
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=min(3, len(handles)))


def save_figure(figure: Figure, stem: Path, with_pdf: bool) -> list[Path]:
    """Writes <stem>.png with 300 dpi and, if asked, <stem>.pdf, without dates, and returns their paths."""
    contents = {stem.with_name(f"{stem.name}.png"): to_png(figure)}
    if with_pdf:
        drawn = io.BytesIO()
        with matplotlib.rc_context(fname=STYLE):
            figure.savefig(drawn, format="pdf", dpi=DPI, metadata={"CreationDate": None})
        contents[stem.with_name(f"{stem.name}.pdf")] = drawn.getvalue()
    for path, content in contents.items():
        write_atomically(path, content)
    return list(contents)


def to_png(figure: Figure, dpi: int = DPI) -> bytes:
    """Returns a figure as a PNG with a palette, which takes less than half the bytes of full color."""
    drawn, packed = io.BytesIO(), io.BytesIO()
    with matplotlib.rc_context(fname=STYLE):
        figure.savefig(drawn, format="png", dpi=dpi)
    has_shades = any(ax.images or any(isinstance(one, QuadMesh) for one in ax.collections) for ax in figure.axes)
    # Of lines and letters, 64 colors suffice; the median cut would average those of few pixels.
    colors, method = (256, Image.Quantize.MEDIANCUT) if has_shades else (64, Image.Quantize.FASTOCTREE)
    image = Image.open(drawn).convert("RGB").quantize(colors, method, dither=Image.Dither.NONE)
    image.save(packed, format="png", dpi=(dpi, dpi), optimize=True)
    return packed.getvalue()
