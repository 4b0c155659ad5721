"""What the benchmarks behind the published tables measure, on cases with known answers."""

import ast
import importlib.util
import runpy

import keras
import numpy as np
import pytest
from made_data import ROOT, randomize

from lwcnn.models.dual import build_merged_model

BOX = (0, 0, 4, 4)


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_what_a_benchmark_imports_from_the_package_is_there(path):
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    for node in nodes:
        if node.module.startswith("lwcnn"):
            module = importlib.import_module(node.module)
            missing = [one.name for one in node.names if not hasattr(module, one.name)]
            assert all(importlib.util.find_spec(f"{node.module}.{name}") for name in missing), missing


@pytest.fixture(scope="module")
def canvas():
    return runpy.run_path(str(ROOT / "benchmarks/canvas.py"))


def test_a_cell_of_the_detector_s_map_is_the_classifier_on_its_window(canvas):
    merged = randomize(build_merged_model((28, 28, 1), 10))
    images = np.random.default_rng(0).integers(0, 256, (1, 96, 96, 1), dtype=np.uint8)
    found = canvas["build_detector"](merged).predict(images, verbose=0)
    assert found.shape == (1, 18, 18, 10)
    for i, j in ((0, 0), (3, 7), (17, 17)):
        window = images[:, 4 * i : 4 * i + 28, 4 * j : 4 * j + 28]
        np.testing.assert_allclose(found[:, i, j], merged.predict(window, verbose=0), rtol=1e-4, atol=1e-4)


def test_overlap_of_boxes(canvas):
    assert canvas["iou_of_boxes"]((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(2 / 6)
    assert canvas["iou_of_boxes"]((0, 0, 2, 2), (2, 0, 4, 2)) == 0


@pytest.mark.parametrize(
    "scores, expected",
    [
        ((0.9,), 1),
        ((0.9, 0.8), 1),  # the second finds nothing new, but comes last
        ((), 0),
    ],
)
def test_average_precision_counts_each_digit_once(canvas, scores, expected):
    digits = [[(label, BOX) for label in range(10)]]
    found = [[(score, label, BOX) for label in range(10) for score in scores]]
    assert canvas["mean_average_precision"](found, digits) == expected


def test_a_false_detection_that_ranks_first_halves_the_precision(canvas):
    digits = [[(label, BOX) for label in range(10)]]
    found = [[(score, label, box) for label in range(10) for score, box in ((0.9, (9, 9, 12, 12)), (0.8, BOX))]]
    assert canvas["mean_average_precision"](found, digits) == pytest.approx(0.5)


def test_mean_iou_of_pixels(canvas):
    pixels = np.arange(10).repeat(4).reshape(10, 4)
    predicted = pixels.copy()
    assert canvas["mean_iou"](predicted, pixels) == 1
    predicted[0] = 10  # the background in place of zero: one of ten digits is lost
    assert canvas["mean_iou"](predicted, pixels) == pytest.approx(0.9)


def test_pruning_removes_the_smallest_weights_of_all_kernels():
    masks_of = runpy.run_path(str(ROOT / "benchmarks/shrink.py"))["masks_of"]
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2), keras.layers.Dense(1)])
    model.set_weights([np.arange(1, 9).reshape(4, 2), np.zeros(2), np.array([[-0.5], [20]]), np.zeros(1)])
    first, second = masks_of(model, 0.3)  # three of ten
    np.testing.assert_array_equal(first, [[0, 0], [1, 1], [1, 1], [1, 1]])
    np.testing.assert_array_equal(second, [[0], [1]])
