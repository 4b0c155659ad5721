"""Tests accuracy estimates and paired differences: means computed by hand, intervals, errors."""

import numpy as np
import pytest

from lwcnn.evaluation.statistics import estimate_accuracy, mcnemar_exact, paired_difference


def test_the_mean_is_that_of_seeds_and_images():
    runs = [np.array([True, True, True, False]), np.array([True, True, True, False])]
    reference = [np.array([True, False, False, False]), np.array([True, False, False, True])]
    found = paired_difference(runs, reference)
    assert found.mean == pytest.approx((2 / 4 + (3 - 2) / 4) / 2)
    assert found.low <= found.mean <= found.high
    assert found.by_seed == (1 / 2, 1 / 4)
    assert found.p_values == tuple(mcnemar_exact(a, b) for a, b in zip(runs, reference, strict=True))


def test_equal_runs_have_no_difference():
    runs = [np.arange(100) % 3 == 0, np.arange(100) % 2 == 0]
    found = paired_difference(runs, runs)
    assert (found.mean, found.low, found.high, found.by_seed, found.p_values) == (0, 0, 0, (0, 0), (1.0, 1.0))


def test_the_interval_has_the_width_of_a_binomial_for_one_seed():
    rng = np.random.default_rng(0)
    reference = np.zeros(2000, bool)
    found = paired_difference([rng.random(2000) < 0.1], [reference])
    deviation = np.sqrt(found.mean * (1 - found.mean) / 2000)
    assert found.high - found.low == pytest.approx(2 * 1.96 * deviation, rel=0.05)


def test_the_same_images_are_drawn_for_all_seeds():
    """Drawn for each seed, images of equal seeds would make the interval narrower by the root of three."""
    rng = np.random.default_rng(0)
    runs, reference = rng.random(2000) < 0.6, rng.random(2000) < 0.5
    one, three = (paired_difference([runs] * n, [reference] * n) for n in (1, 3))
    assert (three.low, three.high) == pytest.approx((one.low, one.high), abs=0.002)


def test_seeds_that_disagree_widen_the_interval():
    always, never = np.ones(500, bool), np.zeros(500, bool)
    found = paired_difference([always, never], [never, never])
    assert (found.mean, found.low, found.high) == (0.5, 0.0, 1.0)


def test_the_interval_is_that_of_seeds_and_images_drawn_one_by_one():
    rng = np.random.default_rng(0)
    correct = rng.random((3, 400)) < np.array([[0.6], [0.7], [0.8]])
    means = [correct[rng.integers(0, 3, 3)][:, rng.integers(0, 400, 400)].mean() for _ in range(5000)]
    found = estimate_accuracy(correct)
    assert (found.low, found.high) == pytest.approx(np.quantile(means, (0.025, 0.975)), abs=0.005)


def test_the_opposite_difference_has_the_opposite_interval():
    rng = np.random.default_rng(1)
    runs, reference = ([rng.random(300) < share for _ in range(3)] for share in (0.8, 0.7))
    found, opposite = paired_difference(runs, reference), paired_difference(reference, runs)
    assert (opposite.mean, opposite.low, opposite.high) == (-found.mean, -found.high, -found.low)
    assert opposite.by_seed == tuple(-one for one in found.by_seed) and opposite.p_values == found.p_values


@pytest.mark.parametrize("seed_spread, low, high", [(10, 0.72, 0.80), (1, 0.90, 0.98)])
def test_intervals_of_three_seeds_are_too_narrow_where_seeds_differ_most(seed_spread, low, high):
    rng, num_images, trials, covered = np.random.default_rng(0), 10_000, 600, 0
    of_images = np.sqrt(0.7 * 0.3 / num_images)  # the spread of an accuracy of 70% over draws of the images
    for _ in range(trials):
        difficulty = rng.random(num_images)
        found = estimate_accuracy([difficulty < rng.normal(0.7, seed_spread * of_images) for _ in range(3)])
        covered += found.low <= 0.7 <= found.high
    assert low < covered / trials < high  # docs/measurements.md and the report name the shares


def test_an_accuracy_is_that_of_seeds_and_images():
    found = estimate_accuracy([np.array([True, True, False, False]), np.array([True, True, True, False])])
    assert (found.mean, found.by_seed) == (0.625, (0.5, 0.75))
    assert 0 <= found.low < found.mean < found.high <= 1


ONE = np.ones(3, bool)


@pytest.mark.parametrize("correct, reference", [([ONE], []), ([ONE, ONE], [ONE]), ([ONE], [ONE, ONE])])
def test_unequal_numbers_of_seeds_are_refused(correct, reference):
    with pytest.raises(ValueError, match=r"zip\(\) argument 2 is"):
        paired_difference(correct, reference)


def test_other_images_are_refused():
    with pytest.raises(ValueError):
        paired_difference([np.ones(3, bool)], [np.ones(4, bool)])
