"""A progress display that also writes TensorBoard's event files, with any backend. Needs the extra `tensorboard`."""

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lwcnn.publication.figures.grids import plot_image_grid
from lwcnn.publication.figures.outputs import plot_confusion_matrix
from lwcnn.publication.figures.style import to_png
from lwcnn.system.environment import require
from lwcnn.system.safe_text import one_line, plot_text
from lwcnn.training.progress import Progress

NUM_SAMPLES = 32
DPI = 150


class TensorBoard(Progress):
    """Writes scalars after each epoch, and the confusion matrix and sample images at the end of a run."""

    def __init__(self, folder: Path, style: str, title: str = ""):
        super().__init__(style, title)
        self._writers = require("tensorboard.summary.writer.event_file_writer", "tensorboard")
        self._summary = require("tensorboard.compat.proto.summary_pb2", "tensorboard").Summary
        self._event = require("tensorboard.compat.proto.event_pb2", "tensorboard").Event
        folder.mkdir(parents=True, exist_ok=True)  # raises OSError if it cannot be created, not TensorFlow's error
        self._folder, self._is_broken = folder, False

    @cached_property
    def _writer(self):
        return self._writers.EventFileWriter(str(self._folder))  # creates a file, so only for runs that train

    def end_epoch(self, record: Mapping[str, float], accuracies: Sequence[float]) -> None:
        super().end_epoch(record, accuracies)
        self._write_values([{"tag": name, "simple_value": value} for name, value in record.items()])

    def end_run(self, result: Mapping, images: np.ndarray, classes: np.ndarray, path: Path) -> None:
        """Displays the result of a run and writes its test accuracy, confusion matrix and sample images."""
        super().end_run(result, images, classes, path)
        names = [plot_text(name) for name in result["per_class_accuracy"]]
        values: list[dict] = [{"tag": "test_accuracy", "simple_value": result["test_accuracy"]}]
        if matrix := result.get("confusion_matrix"):
            values.append({"tag": "confusion_matrix", "image": self._image(plot_confusion_matrix(matrix, names))})
        captions = [names[label] for label in classes[:NUM_SAMPLES]]
        samples = plot_image_grid(list(images[:NUM_SAMPLES]), captions, title="Predicted classes of test images")
        self._write_values([*values, {"tag": "samples", "image": self._image(samples)}], is_last=True)

    def _image(self, figure: Figure):
        width, height = (round(DPI * side) for side in figure.get_size_inches())
        return self._summary.Image(height=height, width=width, colorspace=3, encoded_image_string=to_png(figure, DPI))

    def _write_values(self, values: Sequence[dict], is_last: bool = False) -> None:
        """Writes values, and nothing more after an error, which is told once: the training goes on."""
        if self._is_broken:
            return
        summary = self._summary(value=[self._summary.Value(**value) for value in values])
        try:
            self._writer.add_event(self._event(wall_time=time.time(), step=self.epoch_of_run, summary=summary))
            self._writer.flush()
            if is_last:
                self._writer.close()
        except Exception as error:  # where TensorFlow is installed, its errors, which are no OSError
            self._is_broken = True
            self.note(
                f"warning: nothing more is written for TensorBoard ({one_line(str(error))[:200]}): {self._folder}"
            )
