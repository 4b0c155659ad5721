"""TensorBoard's files: read back by its own reader."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lwcnn.publication.tensorboard import TensorBoard

loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")


def test_scalars_of_every_epoch_then_confusion_matrix_and_samples(tmp_path, made_dataset):
    board = TensorBoard(tmp_path / "run", "none")
    board.expect(3)
    for epoch, (phase, number) in enumerate([("head", 1), ("all", 1), ("all", 2)]):
        board.begin_epoch(phase, number, 2 if phase == "all" else 1, num_steps=1)
        board.end_epoch({"loss": 2.0 - epoch, "val_accuracy": 0.25 * epoch, "seconds": 1.0}, [0.25 * epoch])
        if phase == "head":
            board.end_phase(1)
    board.end_phase(2)
    names = ("cat", r"$\q$")  # not a formula
    result = {
        "test_accuracy": 0.75,
        "per_class_accuracy": dict.fromkeys(names, 0.75),
        "confusion_matrix": [[3, 1], [1, 3]],
    }
    board.end_run(result, made_dataset.x_test[:8], np.array([0, 0, 0, 1, 0, 1, 1, 1]), Path("seed0.json"))

    (file,) = (tmp_path / "run").iterdir()
    events = list(loader.LegacyEventFileLoader(str(file)).Load())
    assert all(event.wall_time > 0 for event in events), "TensorBoard's axes of time"
    written = [(event.step, value) for event in events for value in event.summary.value]
    scalars = {(step, value.tag): value.simple_value for step, value in written if value.HasField("simple_value")}
    assert [scalars[step, "loss"] for step in (1, 2, 3)] == [2, 1, 0]
    assert scalars[3, "val_accuracy"] == 0.5 and scalars[3, "test_accuracy"] == 0.75
    images = {value.tag: value.image for _, value in written if value.HasField("image")}
    assert set(images) == {"confusion_matrix", "samples"}
    for image in images.values():
        decoded = Image.open(io.BytesIO(image.encoded_image_string))
        assert decoded.size == (image.width, image.height)


def test_a_full_disk_is_told_once_and_the_training_goes_on(tmp_path, made_dataset, monkeypatch, capsys):
    class FullDisk(Exception):
        """Like TensorFlow's errors, no OSError."""

    def flush(self):
        raise FullDisk("No space left on device")

    board = TensorBoard(tmp_path / "run", "line")
    monkeypatch.setattr(board._writers.EventFileWriter, "flush", flush)
    board.expect(2)
    for epoch in (1, 2):
        board.begin_epoch("all", epoch, 2, num_steps=1)
        board.end_epoch({"loss": 1.0, "val_accuracy": 0.5, "seconds": 1.0}, [0.5])
    result = {"test_accuracy": 0.75, "per_class_accuracy": {"cat": 0.75, "dog": 0.75}}
    board.end_run(result, made_dataset.x_test[:2], np.array([0, 1]), Path("seed0.json"))
    told = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    assert told == [f"warning: nothing more is written for TensorBoard (No space left on device): {tmp_path / 'run'}"]


def test_a_run_finished_before_makes_no_file(tmp_path):
    TensorBoard(tmp_path / "run", "none").note("finished before")
    assert not list((tmp_path / "run").iterdir())


def test_a_folder_that_cannot_be_made_is_an_error_of_the_file_system(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        TensorBoard(tmp_path / "file" / "run", "none")
