"""Small data and models that the tests make themselves, and interruptions of their training."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from lwcnn.data.images import Images, Split
from lwcnn.models.configs import BRANCHES, ResidualSEConfig, Stage
from lwcnn.models.description import Description
from lwcnn.training.progress import Progress

ROOT = Path(__file__).resolve().parent.parent
TINY_NETWORK = ResidualSEConfig(stem=8, stages=(Stage(8, 1, 3),), se_reduction=4)
FAST_COMPILATION = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


def make_images(num_images, shape=(12, 12, 3), num_classes=10, seed=0):
    """uint8 images (n, h, w, c), each its class's pattern of 3x3-pixel tiles with noise, and int64 labels.

    Every class comes equally often. The patterns do not depend on the seed, so that parts drawn with
    different seeds belong together.
    """
    height, width, channels = shape
    tiles = np.random.default_rng(12345).integers(30, 226, (num_classes, -(-height // 3), -(-width // 3), channels))
    patterns = tiles.repeat(3, axis=1).repeat(3, axis=2)[:, :height, :width]
    generator = np.random.default_rng(seed)
    labels = np.arange(num_images) % num_classes
    noise = generator.normal(0, 10, (num_images, *shape))
    return np.clip(patterns[labels] + noise, 0, 255).astype(np.uint8), labels


def make_split(num_training, num_validation, shape, num_classes):
    """Training and validation part of the same images."""
    images, labels = make_images(num_training + num_validation, shape, num_classes)
    parts = np.split(np.arange(len(labels)), [num_training])
    return Split(*(Images(images, labels, part) for part in parts))


def random_images(num_images=6, height=12, width=10, channels=3):
    """uint8 images (n, h, w, c) of random gray levels."""
    return np.random.default_rng(0).integers(0, 256, (num_images, height, width, channels), dtype=np.uint8)


def write_npz(path, shape=(12, 12, 3), num_classes=10, num_train=300, num_test=100, seed=0):
    """Writes an .npz with Keras's keys and gives its path."""
    x_train, y_train = make_images(num_train, shape, num_classes, seed)
    x_test, y_test = make_images(num_test, shape, num_classes, seed + 1)
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return path


def describe(data, **changes):
    """A model file's description of a run of `paper` on the data, with changes."""
    run = {"dataset": data.name, "data_checksum": data.checksum, "experiment": "paper", "preset": "quick", "seed": 0}
    run |= {"config": {}, "backend": "tensorflow", "step": "engine", "val_accuracy": 0.9, "test_accuracy": 0.8}
    return Description.of_run(run | changes, data.class_names)


def randomize(model, seed=0):
    """Sets every weight, biases as well, to random values at which hardly any ReLU is dead."""
    generator = np.random.default_rng(seed)
    weights = []
    for weight in model.get_weights():
        if weight.ndim == 1:
            weights.append(generator.uniform(0.05, 0.3, weight.shape))
        else:
            fan_in = np.prod(weight.shape[:-1])
            weights.append(generator.normal(0.3 / fan_in, 1.4 / fan_in**0.5, weight.shape))
    model.set_weights(weights)
    return model


def make_dual(shape, num_classes):
    """The paper's dual model, with its two submodels."""
    from lwcnn.models.dual import build_dual_model, build_submodel

    return build_dual_model([build_submodel(shape, num_classes, name) for name in BRANCHES])


def make_block(x, filters, name="block", drop_rate=0.0, kernel_size=5, expansion=2, **settings):
    """A block of the residual networks; the settings are those of `ResidualSEConfig`."""
    from lwcnn.models import blocks

    stage = Stage(filters, 1, kernel_size, expansion)
    return blocks.residual_block(x, ResidualSEConfig(**settings), stage, name, drop_rate)


class Interruption(Exception):
    pass


class InterruptedAt(Progress):
    """Interrupts training at a step of an epoch, both from 1; step 0 is the epoch's beginning; "end" after its last."""

    def __init__(self, epoch, step=0):
        super().__init__("none")
        self.at, self.epoch = (epoch, step), 0

    def begin_epoch(self, phase, epoch, num_epochs, num_steps):
        self.epoch = epoch
        self._maybe(0)

    def step(self, step, loss):
        self._maybe(step)

    def end_epoch(self, record, accuracies):
        self._maybe("end")

    def _maybe(self, step):
        if (self.epoch, step) == self.at:
            raise Interruption


def run_python(script, *arguments, check=True, **environment):
    """Runs a script in a fresh interpreter that finds the library; `environment` is added to this one's."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    if env.get("KERAS_BACKEND") == "jax":  # compiling tiny networks takes most of the time: without optimizations
        env["XLA_FLAGS"] = f"{env.get('XLA_FLAGS', '')} {FAST_COMPILATION}"
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], env=env, capture_output=True, text=True, timeout=300
    )
    if check:
        assert done.returncode == 0, done.stderr[-3000:]
    return done
