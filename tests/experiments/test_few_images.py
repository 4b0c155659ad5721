"""Wren learns from few images of a user's own, at the default preset and with any seed."""

import numpy as np
import pytest

from lwcnn.data.datasets import load_dataset
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.run import run_experiment
from lwcnn.experiments.sequence import fit_to_images
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.progress import Progress


def draw_shapes(num_images, seed):
    """Disks, squares and triangles of random colors, sizes and places on noisy backgrounds, and their classes."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:32, :32]
    images, labels = np.empty((num_images, 32, 32, 3)), np.arange(num_images) % 3
    for image, label in zip(images, labels, strict=True):
        size = rng.uniform(6, 11)
        down, across = rows - rng.uniform(size, 32 - size), columns - rng.uniform(size, 32 - size)
        inside = [
            down**2 + across**2 < size**2,
            (abs(down) < 0.85 * size) & (abs(across) < 0.85 * size),
            (down < 0.8 * size) & (down + size > 1.8 * abs(across)),
        ][label]
        background = rng.integers(0, 256, 3)
        image[:] = np.where(inside[..., None], (background + rng.integers(70, 187, 3)) % 256, background)
    return (images + rng.normal(0, 12, images.shape)).clip(0, 255).astype(np.uint8), labels


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_wren_learns_shapes_from_430_images(seed, tmp_path, capsys):
    data = load_dataset((draw_shapes(480, 0), draw_shapes(300, 1)))
    result = run_experiment("wren", data, "quick", seed, Folders(tmp_path, tmp_path / "cache"), Progress("line"))
    assert result["test_accuracy"] > 0.9 and result["warnings"] == []
    assert "all: batches of 8 images, not 128, because there are few images\n" in capsys.readouterr().out


def test_a_rate_after_warm_up_falls_with_the_fourth_root_of_the_batch_size():
    recipe = OptimizerConfig("adamw", 0.02, warmup=0.2)
    assert fit_to_images(128, recipe, 45_000) == (128, recipe)
    fitting = {count: fit_to_images(128, recipe, count) for count in (1600, 100)}
    assert {count: (size, one.learning_rate) for count, (size, one) in fitting.items()} == {
        1600: (32, pytest.approx(0.02 / 2**0.5)),
        100: (8, pytest.approx(0.01)),
    }
    constant = OptimizerConfig("nadam", 0.001)
    assert fit_to_images(64, constant, 100) == (8, constant)
