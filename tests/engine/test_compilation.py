"""The engine's compilation: announced once, measured, and no part of a training's seconds."""

import time

import numba
import numpy as np

from lwcnn.engine import compilation
from lwcnn.engine.compilation import compile_seconds
from lwcnn.training import loop


def test_compilation_is_measured_and_announced_once(capfd, monkeypatch):
    monkeypatch.setattr(compilation._CLOCK, "announced", False)
    before, start = compile_seconds(), time.perf_counter()
    numba.njit(lambda x: x + 1)(np.ones(3))
    took, elapsed = compile_seconds() - before, time.perf_counter() - start
    numba.njit(lambda x: x + 2)(np.ones(3))
    assert 0 < took < elapsed
    assert capfd.readouterr().err.count("Compiling the engine") == 1


def test_training_time_leaves_compilation_out(monkeypatch):
    compiled = [0.0]
    monkeypatch.setattr(loop, "compile_seconds", lambda: compiled[0])
    start = loop._clock()
    compiled[0] += 100
    assert loop._clock() - start < -99
