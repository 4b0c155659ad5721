"""What the notebook shows: small pictures, each with a text for those who can't see it."""

import base64
import io

from matplotlib.figure import Figure
from PIL import Image

from lwcnn.publication.notebook import session
from lwcnn.publication.notebook.session import FIGURES


def test_a_figure_is_a_small_png_whose_alt_text_has_the_titles(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    figure = Figure(figsize=(4, 2))
    left, _ = figure.subplots(1, 2)
    left.set_title("Training\ncurves")
    figure.suptitle("CIFAR-10")
    session.show(figure, "Accuracy by epoch.")
    data, metadata = shown[0]._repr_png_() if isinstance(shown[0]._repr_png_(), tuple) else (shown[0]._repr_png_(), {})
    assert metadata == {"alt": "Accuracy by epoch. CIFAR-10. Training curves."}
    with Image.open(io.BytesIO(base64.b64decode(data) if isinstance(data, str) else data)) as image:
        assert image.size == (440, 220)


def test_every_figure_of_the_catalogue_says_what_it_shows():
    assert all((function.__doc__ or "").split("\n")[0].endswith(".") for function in FIGURES.values())
