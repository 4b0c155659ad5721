"""The page: it shows the networks' answers for an image side by side, and loads nothing from the internet."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from lwcnn.data.image_files import find_images
from lwcnn.publication.demo.network import Network
from lwcnn.system.environment import require
from lwcnn.system.errors import LwcnnError, wrong

EXAMPLES = Path(__file__).with_name("examples")
"""Twelve test images of CIFAR-10."""

HOST = "127.0.0.1"
NUM_CLASSES_SHOWN = 5
SIDE = 256  # of a heatmap, in pixels
_COSTS = ["file", "class", "bytes", "ms"]
_ENLARGED = ".image-frame img {width: 100%; height: 100%; object-fit: contain}"  # a small photo, too
_INTRODUCTION = (
    "# Lightweight CNNs\n"
    "Drop a photo, take one with the camera, draw, or click an example. Images are resized to what the networks were "
    "trained on, and stay on this machine."
)


def require_gradio() -> Any:
    """Imports Gradio, without its telemetry."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before the import
    return require("gradio", "demo")


def build_page(networks: Sequence[Network], examples: Sequence[Path]) -> Any:
    """Returns the page, a `gradio.Blocks`, with the networks side by side and image files to choose from."""
    gradio = require_gradio()

    def answer(source) -> list:
        try:
            if source is not None:
                # After an example was chosen, Gradio copies the component for the session, without our `preprocess`.
                source = Image.fromarray(source) if isinstance(source, np.ndarray) else source
                return [shown for network in networks for shown in _answer(network, source)]
        except LwcnnError as error:
            gradio.Warning(str(error), title="No image")
        return [None] * 3 * len(networks)

    with gradio.Blocks(title="lwcnn", analytics_enabled=False) as page:
        gradio.Markdown(_INTRODUCTION)
        with gradio.Row():
            with gradio.Column():
                with gradio.Tab("Photo"):
                    photo = gradio.Image(sources=["upload", "webcam", "clipboard"], label="Image", height=SIDE)
                    # We read the file, because Gradio shows an internal error for a broken one.
                    photo.preprocess = lambda upload: upload and Path(upload.path)
                    gradio.Examples(
                        [[str(example)] for example in examples], photo, label="Examples", examples_per_page=12
                    )
                with gradio.Tab("Drawing"):
                    drawing = gradio.Sketchpad(type="pil", label="Drawing", height=SIDE)
            outputs = [shown for network in networks for shown in _answer_column(gradio, network)]
        one_at_a_time = {"concurrency_id": "networks", "concurrency_limit": 1}  # they share interpreters and the clock
        photo.change(answer, photo, outputs, **one_at_a_time)
        drawing.change(lambda drawn: answer(drawn and drawn["composite"]), drawing, outputs, **one_at_a_time)
    return page


def serve(page: Any, port: int) -> str:
    """Serves a page to this machine alone, in the background, and returns its address."""
    gradio = require_gradio()
    local_fonts = gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    try:
        quiet = {"footer_links": [], "share": False, "ssr_mode": False, "quiet": True, "prevent_thread_lock": True}
        _, address, _ = page.launch(server_name=HOST, server_port=port, theme=local_fonts, css=_ENLARGED, **quiet)
    except (OSError, OverflowError) as error:
        raise wrong("Choose another port with --port", f"{port}, which cannot be used") from error
    return address


def find_examples(folder: Path = EXAMPLES) -> list[Path]:
    """Returns the images of a folder, the first of each subfolder before the second ones."""
    found = list(find_images(folder).values())
    if not found:
        raise wrong("Give a folder of images as examples", folder)
    rank = pd.Series(found).groupby([path.parent for path in found]).cumcount()
    return [found[i] for i in rank.sort_values(kind="stable").index]


def _answer_column(gradio: Any, network: Network) -> list:
    """Lays out a network's answer; returns its components in the order of `_answer`."""
    kind = "calibrated" if network.temperature else "not calibrated"
    with gradio.Column():
        gradio.Markdown(f"### {network.title}")
        return [
            gradio.Label(label=f"Probabilities, {kind}", num_top_classes=NUM_CLASSES_SHOWN),
            gradio.Image(label="Grad-CAM: evidence for this class", height=SIDE, interactive=False, buttons=[]),
            gradio.Dataframe(headers=_COSTS, label="Its files, on one thread of this machine", interactive=False),
        ]


def _answer(network: Network, source) -> list:
    image = network.read(source)
    try:
        enlarged = Image.fromarray(network.heatmap(image)).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    except LwcnnError:  # an ensemble, or a network inside another, has no feature maps of its own
        enlarged = None
    return [network.probabilities(image), enlarged, network.costs(image)]
