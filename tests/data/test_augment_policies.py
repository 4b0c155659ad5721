"""TrivialAugment and AutoAugment: how often each operation is drawn, and how strong it is."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from lwcnn.data.augment import policies
from lwcnn.data.augment.augmentation import Augmentation, augment_batch
from lwcnn.data.augment.draws import Draws
from lwcnn.system.errors import LwcnnError

COUNT = 25_000


@dataclass
class Applied:
    """What `_operate` was asked to do: strengths by name, for each of its calls, and their numbers in `names`."""

    steps: list = field(default_factory=list)
    drawn: list = field(default_factory=list)

    def __call__(self, images, names, drawn, strengths, fill):
        self.drawn.append(drawn)
        self.steps.append([(names[number], strength) for number, strength in zip(drawn, strengths) if number >= 0])


@pytest.fixture
def applied(monkeypatch):
    applied = Applied()
    monkeypatch.setattr(policies, "_operate", applied)
    return applied


def draw(policy):
    policies.POLICIES[policy](np.zeros((COUNT, 1, 1, 1), np.uint8), Draws(0, 0, 0, np.arange(COUNT)), "constant")


def test_trivial_augment_draws_every_operation_and_level_evenly(applied):
    draw("trivial_augment")
    (step,) = applied.steps
    assert len(step) == COUNT
    for name in policies.OPERATIONS:
        strengths = np.array([strength for one, strength in step if one == name])
        assert len(strengths) / COUNT == pytest.approx(1 / 14, abs=0.007)
        levels = 30 * strengths / policies.WIDE.get(name, 1)
        np.testing.assert_allclose(levels, np.rint(levels), atol=1e-9)
        assert (levels.min(), levels.max()) == pytest.approx((-30, 30)) and abs(levels.mean()) < 2
    degrees, pixels = 30 * policies.WIDE["rotate"], 32 * 150 / 331 * policies.WIDE["translate_x"]
    assert (degrees, pixels) == pytest.approx((135, 32))


def test_auto_augment_follows_its_policy(applied):
    draw("auto_augment")
    first, second = applied.drawn
    both = (first >= 0) & (second >= 0)
    assert both.any() and (first[both] == second[both]).all(), "both operations are of one pair"
    for i, step in enumerate(applied.steps):
        for name in ("invert", "rotate", "sharpness", "solarize", "posterize", "translate_y", "color"):
            entries = [pair[i] for pair in policies.CIFAR_POLICY if pair[i][0] == name]
            strengths = [strength for one, strength in step if one == name]
            expected = sum(probability for _, probability, _ in entries) / 25
            assert len(strengths) / COUNT == pytest.approx(expected, abs=0.006)
            assert set(np.rint(9 * np.abs(strengths))) == {level for _, probability, level in entries if probability}
    assert len(policies.CIFAR_POLICY) == 25


def test_a_policy_by_hand():
    """The first image that AutoAugment inverts alone is the negative of itself."""
    images = np.random.default_rng(0).integers(0, 256, (2000, 4, 4, 1), dtype=np.uint8)
    changed = augment_batch(images, Augmentation(policy="auto_augment"), 0, 0, np.arange(2000))
    assert (changed == 255 - images).all((1, 2, 3)).any()


def test_an_unknown_policy_is_refused():
    with pytest.raises(LwcnnError, match="as one of trivial_augment, auto_augment, or None. Received: policy='svhn'"):
        Augmentation(policy="svhn")
