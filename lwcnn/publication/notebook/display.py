"""Shows figures as pictures, whatever matplotlib's backend is. Needs IPython, which every notebook has."""

import io

import matplotlib
from IPython.display import Image, Markdown, display
from matplotlib.figure import Figure

from lwcnn.publication.figures.style import STYLE

SHOWN_DPI, DRAWN_DPI = 100, 160  # drawn finer than shown, for screens with small pixels


def show(figure: Figure) -> None:
    """Shows a figure of matplotlib's."""
    drawn = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(drawn, format="png", dpi=DRAWN_DPI)
    display(Image(drawn.getvalue(), width=round(SHOWN_DPI * figure.get_figwidth())))


def tell(text: str) -> None:
    """Shows Markdown."""
    display(Markdown(text))
