"""The command `lwcnn predict`: the classes of a folder of images, an .npz or a data set's test images, as a CSV."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lwcnn.cli.arguments import add_data_arguments, at_least_one, path
from lwcnn.data import CLASS_NAMES, DATASET_NAMES, load_dataset
from lwcnn.system.errors import LwcnnError
from lwcnn.system.safe_text import one_line

if TYPE_CHECKING:
    import keras

EXIT_UNREADABLE = 4
"""Exit code where some images could not be read; the others are in the CSV."""


def predict(options) -> int:
    """Predict the classes of images as a CSV; unreadable images are listed and skipped (exit code 4)."""
    from lwcnn.evaluation.predict import predict_to_csv
    from lwcnn.models.io import load_model

    model = load_model(options.model)
    report = _Report()
    names = _class_names(options)
    count = predict_to_csv(model, _batches(options, model, report), names, options.output)
    print(f"{count:,} images are in {options.output}")
    if report.resized:
        size = " x ".join(map(str, model.input_shape[1:3]))
        print(f"{report.resized:,} of them had another size and were resized to {size}", file=sys.stderr)
    if report.unreadable:
        print(f"{report.unreadable:,} images could not be read and were skipped, see above", file=sys.stderr)
        return EXIT_UNREADABLE
    return 0


class _Report:
    """What is told about the files on the way, and counted."""

    def __init__(self):
        self.unreadable = self.resized = 0

    def on_unreadable(self, path: Path, reason: str) -> None:
        self.unreadable += 1
        print(f"unreadable  {one_line(str(path))}: {one_line(reason)}", file=sys.stderr, flush=True)

    def on_resized(self) -> None:
        self.resized += 1


def _batches(options, model: keras.Model, report: _Report):
    from lwcnn.data.streams import find_images, stream_array, stream_files, stream_npz

    source = options.input
    if source in DATASET_NAMES:
        return stream_array(load_dataset(source, options.data_dir).x_test, options.batch_size)
    path = Path(os.path.expanduser(source))
    if path.is_dir():
        shape = tuple(model.input_shape[1:])
        if len(shape) != 3 or None in shape:
            raise LwcnnError(f"Give a model of one image size. Received: {options.model}, which takes {shape}")
        return stream_files(find_images(path), shape, options.batch_size, report.on_unreadable, report.on_resized)
    if path.suffix == ".npz":
        return stream_npz(path, options.batch_size)
    raise LwcnnError(
        f"Give a folder of images, an .npz, or one of {', '.join(DATASET_NAMES)}. Received: {source!r}"
        + ("" if path.exists() else ", which is not there")
    )


def _class_names(options) -> tuple[str, ...]:
    """The names by label: from the options, else from the model file, else those that come with the images."""
    from lwcnn.data.streams import read_class_list, read_class_names
    from lwcnn.models.description import read_description

    if options.classes:
        return read_class_list(options.classes)
    if options.dataset:
        return CLASS_NAMES.get(options.dataset) or load_dataset(options.dataset, options.data_dir).class_names
    if description := read_description(options.model):
        return description.class_names
    if options.input in CLASS_NAMES:
        return CLASS_NAMES[options.input]
    if options.input.endswith(".npz") and (names := read_class_names(Path(os.path.expanduser(options.input)))):
        return names
    raise LwcnnError(
        "The model file does not name its classes: give its data set by --dataset, or the names, one a line, by "
        f"--classes FILE. Received: {options.model}"
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to its parser."""
    parser.add_argument("model", metavar="MODEL", help="a .keras file")
    parser.add_argument(
        "input",
        metavar="INPUT",
        help="a folder of images, resized to the model's input size, on white where they are transparent (id: file "
        "name without extension); an .npz with x_test, images or x (id: index from 0); or the test images of a data "
        f"set (id: index from 0): {', '.join(DATASET_NAMES)}",
    )
    parser.add_argument(
        "--output",
        type=path,
        default=Path("predictions.csv"),
        metavar="FILE",
        help="CSV to write (default: predictions.csv)",
    )
    parser.add_argument(
        "--dataset",
        metavar="NAME",
        help="data set whose class names are written (default: from MODEL, else from INPUT)",
    )
    parser.add_argument("--classes", type=path, metavar="FILE", help="text file of class names, one a line, by label")
    parser.add_argument(
        "--batch-size", type=at_least_one, default=500, metavar="N", help="images in memory at a time (default: 500)"
    )
    add_data_arguments(parser)
