"""Shows figures as small pictures with alt text, whatever matplotlib's backend is. Needs IPython."""

from IPython.display import Image, display
from matplotlib.figure import Figure

from lwcnn.publication.figures.style import to_png

DPI = 110


def show(figure: Figure, alt: str) -> None:
    """Shows a figure with a sentence for those who can't see it, to which its titles are added."""
    titles = [figure.get_suptitle(), *(ax.get_title() for ax in figure.axes)]
    texts = [alt, *(f"{' '.join(title.split()).rstrip('.')}." for title in titles if title)]
    display(Image(to_png(figure, DPI), alt=" ".join(texts)))
