"""Progress display during training."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lwcnn.system import interrupts

if TYPE_CHECKING:
    import keras


class Progress:
    """Displays training as one bar per epoch, one line per epoch, or not at all.

    Args:
        style: "bar" (for terminals), "line" (for logs) or "none".
        title: Prefix of every line, such as "cifar10 paper quick seed 0".

    Example:

    >>> Progress("line", title="cifar10").note("3 of 5 folds")
    cifar10: 3 of 5 folds
    """

    def __init__(self, style: str = "bar", title: str = ""):
        self.style = style
        self.title = title
        self._head = ""
        self._bar: keras.utils.Progbar | None = None

    def note(self, text: str) -> None:
        """Prints a message on a line of its own."""
        if self.style != "none":
            print(f"{self.title}: {text}" if self.title else text, flush=True)

    def begin_epoch(self, phase: str, epoch: int, num_epochs: int, num_steps: int) -> None:
        """Announces an epoch.

        Args:
            phase: Name of the phase.
            epoch: Number of the epoch, from 1.
            num_epochs: Maximum number of epochs.
            num_steps: Number of steps per epoch.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed and Python lost it. The epochs before this one are saved.
        """
        interrupts.check()
        self._head = f"{phase} {epoch}/{num_epochs}"
        if self.style == "bar":
            import keras

            print(f"{self.title} {self._head}", flush=True)
            self._bar = keras.utils.Progbar(num_steps, verbose=1 if sys.stdout.isatty() else 2)

    def step(self, step: int, loss: float) -> None:
        """Advances the bar to a step, counted from 1; `loss` is the mean of the epoch so far."""
        if self._bar:
            self._bar.update(step, [("loss", float(loss))])

    def end_epoch(self, record: dict, accuracies: list[float]) -> None:
        """Displays the results of an epoch: its record and the validation accuracy of each output."""
        shown = ", ".join(f"{100 * a:.2f}" for a in accuracies)
        if self.style == "bar":
            print(f"  validation accuracy {shown} %", flush=True)
        elif self.style == "line":
            print(
                f"{self.title} {self._head}: loss {record['loss']:.4f}, validation accuracy {shown} %, "
                f"{record['seconds']:.0f} s",
                flush=True,
            )
