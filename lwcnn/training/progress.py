"""What a user sees while a model trains."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lwcnn.system import interrupts

if TYPE_CHECKING:
    import keras


class Progress:
    """Shows training as a bar an epoch, as a line an epoch, or not at all.

    Args:
        style: "bar" (for terminals), "line" (for logs) or "none".
        title: put before every line, such as "cifar10 paper quick seed 0".
    """

    def __init__(self, style: str = "bar", title: str = ""):
        self.style = style
        self.title = title
        self._head = ""
        self._bar: keras.utils.Progbar | None = None

    def note(self, text: str) -> None:
        """Prints a line of its own."""
        if self.style != "none":
            print(f"{self.title}: {text}" if self.title else text, flush=True)

    def begin_epoch(self, phase: str, epoch: int, num_epochs: int, num_steps: int) -> None:
        """Announces an epoch, counted from 1, of so many steps.

        Raises:
            KeyboardInterrupt: if Ctrl-C was pressed and Python dropped it; the epochs before are saved by now.
        """
        interrupts.check()
        self._head = f"{phase} {epoch}/{num_epochs}"
        if self.style == "bar":
            import keras

            print(f"{self.title} {self._head}", flush=True)
            self._bar = keras.utils.Progbar(num_steps, verbose=1 if sys.stdout.isatty() else 2)

    def step(self, step: int, loss: float) -> None:
        """Moves the bar on; `loss` is the epoch's mean so far."""
        if self._bar:
            self._bar.update(step, [("loss", float(loss))])

    def end_epoch(self, record: dict, accuracies: list[float]) -> None:
        """Says how the epoch went."""
        shown = ", ".join(f"{100 * a:.2f}" for a in accuracies)
        if self.style == "bar":
            print(f"  validation accuracy {shown} %", flush=True)
        elif self.style == "line":
            print(
                f"{self.title} {self._head}: loss {record['loss']:.4f}, validation accuracy {shown} %, "
                f"{record['seconds']:.0f} s",
                flush=True,
            )
