"""Time that Numba has spent compiling in this process. The first compilation is announced."""

import sys
import time

from numba.core import event


class _Clock(event.Listener):
    """Adds up the time of compilations, nested ones once. Numba compiles under one lock."""

    def __init__(self):
        self.seconds, self._depth, self._announced = 0.0, 0, False

    def on_start(self, event):
        if self._depth == 0:
            self._start = time.perf_counter()
            if not self._announced:
                self._announced = True
                words = "Compiling the engine for this processor: about a minute, once for each kind of network."
                print(words, file=sys.stderr, flush=True)
        self._depth += 1

    def on_end(self, event):
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._start


_CLOCK = _Clock()
event.register("numba:compile", _CLOCK)


def compile_seconds() -> float:
    """Returns the seconds spent compiling in this process so far."""
    return _CLOCK.seconds
