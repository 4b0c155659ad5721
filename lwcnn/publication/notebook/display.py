"""Shows figures as small pictures with alt text, whatever matplotlib's backend is. Needs IPython."""

import io

import matplotlib
from IPython.display import Image, display
from matplotlib.figure import Figure
from PIL import Image as PillowImage

from lwcnn.publication.figures.style import STYLE

DPI, DRAWN_DPI = 110, 220  # drawn larger and reduced: smooth letters
NUM_COLORS, NUM_COLORS_OF_PHOTOS = 64, 256


def show(figure: Figure, alt: str) -> None:
    """Shows a figure with a sentence for those who can't see it, to which its titles are added."""
    display(Image(_png(figure), alt=_with_titles(figure, alt)))


def _png(figure: Figure) -> bytes:
    drawn, packed = io.BytesIO(), io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(drawn, format="png", dpi=DRAWN_DPI)
    with PillowImage.open(drawn) as image:
        small = image.convert("RGB").reduce(DRAWN_DPI // DPI)
    if any(ax.images for ax in figure.axes):
        few = small.quantize(NUM_COLORS_OF_PHOTOS, PillowImage.Quantize.MEDIANCUT, dither=PillowImage.Dither.NONE)
    else:
        few = small.quantize(NUM_COLORS, PillowImage.Quantize.MAXCOVERAGE, dither=PillowImage.Dither.NONE)
    few.save(packed, format="png", optimize=True)
    return packed.getvalue()


def _with_titles(figure: Figure, alt: str) -> str:
    titles = [figure.get_suptitle(), *(ax.get_title() for ax in figure.axes)]
    return " ".join([alt, *(f"{' '.join(title.split()).rstrip('.')}." for title in titles if title)])
