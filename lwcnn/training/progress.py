"""Progress display during training: one line per epoch."""

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lwcnn.system import interrupts

REFRESH_SECONDS = 0.2


class Progress:
    """Displays training as one line per epoch: epoch, loss, accuracies, and the time left for the whole run.

    Args:
        style: "bar" also updates the line during the epoch, on a terminal; "line" does not; "none" shows nothing.
        title: Prefix of every line, such as "cifar10 paper quick seed 0".

    Examples:
        >>> Progress("line", title="cifar10").note("3 of 5 folds")
        cifar10: 3 of 5 folds
    """

    def __init__(self, style: str = "none", title: str = ""):
        self.style = style
        self.title = title
        self._num_epochs = self._epochs_left = 0  # of the whole run; left from the start of the current phase
        self._head, self._epoch, self._num_steps, self._shown = "", 0, 0, 0.0

    def note(self, text: str) -> None:
        """Prints a message on a separate line."""
        if self.style != "none":
            self._write(text)

    def expect(self, num_epochs: int) -> None:
        """Sets the maximum number of epochs of the run, unless a run that contains it has set its own."""
        if not self._epochs_left:
            self._num_epochs = self._epochs_left = num_epochs

    @property
    def epoch_of_run(self) -> int:
        """Index of the current epoch in the run, from 1; a phase that stopped early counts in full."""
        return self._num_epochs - self._epochs_left + self._epoch

    def begin_epoch(self, phase: str, epoch: int, num_epochs: int, num_steps: int) -> None:
        """Shows that an epoch begins, counted from 1, of at most `num_epochs`."""
        interrupts.check()  # raises a Ctrl-C that Python lost; earlier epochs are saved
        self._head, self._num_steps = f"{phase} {epoch}/{num_epochs}", num_steps
        self.expect(num_epochs)
        self._epoch = epoch
        self._update("compiling the training step" if epoch == 1 else "")

    def step(self, step: int, loss: float) -> None:
        """Shows a step, counted from 1; `loss` is the mean of the epoch so far."""
        if time.monotonic() - self._shown > REFRESH_SECONDS:
            self._update(f"step {step}/{self._num_steps}, loss {loss:.4f}")

    def end_epoch(self, record: Mapping[str, float], accuracies: Sequence[float]) -> None:
        """Shows an epoch's record and validation accuracies; `seconds` in the record counts from the phase's start."""
        names = [name for name in record if name.endswith("accuracy") and not f"_{name}".endswith("_val_accuracy")]
        training = _percent([record[name] for name in names])
        epochs_left = self._epochs_left - self._epoch
        left = f", up to {_duration(epochs_left * record['seconds'] / self._epoch)} left" if epochs_left > 0 else ""
        self.note(
            f"{self._head}, loss {record['loss']:.4f}, accuracy: training {training}, "
            f"validation {_percent(accuracies)}{left}"
        )

    def end_phase(self, num_epochs: int) -> None:
        """Counts all epochs of a phase as done, even if it stopped early or was loaded from a checkpoint."""
        self._epochs_left, self._epoch = max(0, self._epochs_left - num_epochs), 0

    def end_run(self, result: Mapping, images: np.ndarray, classes: np.ndarray, path: Path) -> None:
        """Shows the result of a run, stored in `path`. Subclasses may also show the predictions for the test images."""
        macro = result.get("test_macro_accuracy")
        beside = "" if macro is None else f", mean of the classes {100 * macro:.2f}%"
        self.note(f"test accuracy {100 * result['test_accuracy']:.2f}%{beside}, {path}")

    def _update(self, text: str) -> None:
        """Replaces the unfinished line on a terminal."""
        if self.style == "bar" and sys.stdout.isatty():
            self._write(f"{self._head}, {text}" if text else self._head, end="")
            self._shown = time.monotonic()

    def _write(self, text: str, end: str = "\n") -> None:
        line = f"{self.title}: {text}" if self.title else text
        if sys.stdout.isatty():  # overwrites an unfinished line
            width = shutil.get_terminal_size().columns - 1
            line = f"\r{line if end else line[:width]:<{width}}"
        print(line, end=end, flush=True)


def _percent(shares: Sequence[float]) -> str:
    return f"{' and '.join(f'{100 * share:.2f}' for share in shares)}%"


def _duration(seconds: float) -> str:
    if seconds < 99:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 99 * 60 else f"{seconds / 3600:.1f} h"
