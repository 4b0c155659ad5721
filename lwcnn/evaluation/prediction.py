"""Predictions of a model, written as a CSV while the images stream by."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import keras

from lwcnn.data.streams import Batch
from lwcnn.evaluation import predict_logits
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import open_atomically
from lwcnn.system.safe_text import csv_cell

COLUMNS = ("id", "label")


def predict_to_csv(model: keras.Model, batches: Iterable[Batch], class_names: Sequence[str], output: Path) -> int:
    """Writes the predicted class of each image, a line `id,label` each, and gives their number.

    The file takes its place at the end, whole; after an error it is as it was before.

    Args:
        model: as `predict_logits` takes it.
        batches: (names, images) as `lwcnn.data.streams` gives them.
        class_names: by label, as many as the model has classes.
        output: the CSV.

    Raises:
        LwcnnError: no image at all, another number of classes, images that do not fit, or a failure to write.
    """
    if model.output_shape[-1] != len(class_names):
        raise LwcnnError(
            f"The model has {model.output_shape[-1]} classes: name each by --classes, or their data set by --dataset. "
            f"Received: {len(class_names)} names"
        )
    count = 0
    with open_atomically(output, text=True) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for names, images in batches:
            classes = predict_logits(model, images).argmax(axis=1)
            writer.writerows((csv_cell(name), csv_cell(class_names[label])) for name, label in zip(names, classes))
            count += len(names)
        if count == 0:
            raise LwcnnError(f"None of the images can be read; nothing was written. Received: 0 images for {output}")
    return count
