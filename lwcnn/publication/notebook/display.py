"""Showing in a notebook: figures as pictures, text as Markdown. Needs IPython, which every notebook has."""

import io

import matplotlib
from IPython.display import Image, Markdown, display
from matplotlib.figure import Figure

from lwcnn.publication.figures.style import STYLE

SHOWN_DPI, DRAWN_DPI = 100, 160  # drawn finer than shown, for screens with small pixels


def show(figure: Figure, sentence: str) -> None:
    """Shows a figure, whatever matplotlib's backend is, and under it what it shows.

    Args:
        figure: any of matplotlib's.
        sentence: Markdown.
    """
    drawn = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(drawn, format="png", dpi=DRAWN_DPI)
    display(Image(drawn.getvalue(), width=round(SHOWN_DPI * figure.get_figwidth())))
    tell(sentence)


def tell(text: str) -> None:
    """Shows Markdown."""
    display(Markdown(text))
