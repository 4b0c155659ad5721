"""A network as the page shows it: class probabilities, heatmap, and the answers and costs of its exported files."""

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import keras
import numpy as np
from scipy.special import softmax

from lwcnn.data.image_files import read_image, read_images
from lwcnn.data.sources import cache_folder, keep_in_cache
from lwcnn.evaluation.gradcam import default_layers, gradcam_heatmap
from lwcnn.evaluation.predict import input_shape, predict_logits
from lwcnn.experiments.shipped import model_file
from lwcnn.export.bench.measure import time_calls
from lwcnn.export.convert import convert, draw_calibration_images
from lwcnn.export.formats import PACKAGES, LitertModel
from lwcnn.models.description import model_checksum, read_description
from lwcnn.models.io import load_model
from lwcnn.publication.figures.grids import overlay_heatmaps
from lwcnn.publication.names import display_name
from lwcnn.system import environment
from lwcnn.system.errors import LwcnnError, wrong
from lwcnn.system.npz import load_npz

NUM_RUNS, MAX_SECONDS = 30, 2.0  # the page shows the median of their times


@dataclass(frozen=True)
class Network:
    """A trained network and its LiteRT files by precision; `temperature` divides the logits, if the file has one."""

    title: str
    model: keras.Model
    class_names: tuple[str, ...]
    temperature: float | None
    files: dict[str, bytes]

    @cached_property
    def runtimes(self) -> dict[str, LitertModel]:
        """The files, ready to run on one thread."""
        return {precision: LitertModel(content) for precision, content in self.files.items()}

    def read(self, source) -> np.ndarray:
        """Reads an image, a path or a Pillow image, as uint8 of the network's input shape, (1, h, w, c)."""
        try:
            return read_image(source, input_shape(self.model))[np.newaxis]
        except Exception as error:  # a broken file can raise anything
            raise LwcnnError("This cannot be read as an image: give a PNG, JPEG or WebP file.") from error

    def probabilities(self, image: np.ndarray) -> dict[str, float]:
        """Returns the probability of each class, calibrated where the temperature is known."""
        shares = softmax(predict_logits(self.model, image)[0].astype(float) / (self.temperature or 1.0))
        return dict(zip(self.class_names, shares.tolist(), strict=True))

    def heatmap(self, image: np.ndarray) -> np.ndarray:
        """Returns the image, uint8 of shape (h, w, 3), under its Grad-CAM for the predicted class."""
        label = int(predict_logits(self.model, image)[0].argmax())
        maps = [gradcam_heatmap(self.model, image, label, layer) for layer in default_layers(self.model)]
        return overlay_heatmaps(image, np.mean(maps, axis=0))[0]

    def costs(self, image: np.ndarray) -> list[list[str]]:
        """Returns a row per file: precision, predicted class, bytes, and milliseconds for this image on one thread."""
        rows = []
        for precision, runtime in self.runtimes.items():
            label, call = int(runtime(image)[0].argmax()), partial(runtime.run, runtime.prepare(image))
            times = time_calls(call, NUM_RUNS, MAX_SECONDS, num_warm_up=0)
            size = f"{len(self.files[precision]):,}"
            rows.append([precision, self.class_names[label], size, f"{float(f'{np.median(times):.2g}'):g}"])
        return rows


def open_network(name: str | Path, examples: Sequence[Path]) -> Network:
    """Loads a network, by name or path, and its LiteRT files, which are converted when it is first opened.

    The examples are images like those that it was trained on; int8 is calibrated on them.
    """
    path = model_file(name)
    model, description = load_model(path), read_description(path)
    if description is None:
        raise wrong("Give a model file that names its classes, as lwcnn writes them", path)
    images, _, unreadable = read_images(examples, input_shape(model))
    for index, why in unreadable.items():
        raise wrong(f"Move it out of the folder of examples: it cannot be read ({why})", f"{examples[index]}")
    title = f"{display_name(description.experiment)}, {model.count_params():,} parameters"
    return Network(title, model, description.class_names, description.temperature, litert_files(path, model, images))


def litert_files(path: Path, model: keras.Model, images: np.ndarray) -> dict[str, bytes]:
    """Returns a model's LiteRT files by precision, "float32" and "int8", calibrated on the images."""
    made_from = f"{model_checksum(path)} {environment.versions(PACKAGES)} {environment.commit()}"
    digest = hashlib.sha256(made_from.encode() + images.tobytes()).hexdigest()
    kept = cache_folder() / "converted" / f"{path.stem}-{digest[:12]}.npz"
    with contextlib.suppress(LwcnnError):  # not there, or damaged
        return {precision: content.tobytes() for precision, content in load_npz(kept).items()}
    chosen = draw_calibration_images(images, len(images))
    files = {"float32": convert(model, "litert"), "int8": convert(model, "litert-int8", chosen)}
    keep_in_cache(kept, {name: np.frombuffer(content, np.uint8) for name, content in files.items()}, compressed=True)
    return files
