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


def test_auto_augment_follows_its_policy(applied):
    draw("auto_augment")
    first, second = applied.drawn
    both = (first >= 0) & (second >= 0)
    assert (first[both] == second[both]).all(), "both operations are of one pair"
    expected = np.mean([one[1] * two[1] for one, two in policies.CIFAR_POLICY])
    assert both.mean() == pytest.approx(expected, abs=0.01), "each is drawn by itself"
    for i, step in enumerate(applied.steps):
        for name in ("invert", "rotate", "sharpness", "solarize", "posterize", "translate_y", "color"):
            entries = [pair[i] for pair in policies.CIFAR_POLICY if pair[i][0] == name]
            strengths = [strength for one, strength in step if one == name]
            expected = sum(probability for _, probability, _ in entries) / 25
            assert len(strengths) / COUNT == pytest.approx(expected, abs=0.006)
            assert set(np.rint(9 * np.abs(strengths))) == {level for _, probability, level in entries if probability}


# torchvision 0.21's `TrivialAugmentWide` on images of 32x32 pixels, and what RandAugment's full strength is here.
WIDEST = {
    "rotate": (135, 30),
    "posterize": (6, 4),
    "shear_x": (0.99, 0.3),
    "shear_y": (0.99, 0.3),
    "translate_x": (32, 32 * 150 / 331),
    "translate_y": (32, 32 * 150 / 331),
    "solarize": (255, 255),
    **dict.fromkeys(("color", "contrast", "brightness", "sharpness"), (0.99, 0.9)),
}

# Table 7 of AutoAugment's paper (arXiv 1805.09501): operation, probability in tenths and level; equal to torchvision's.
CIFAR_POLICY = """
    invert 1 - contrast 2 6; rotate 7 2 translate_x 3 9; sharpness 8 1 sharpness 9 3; shear_y 5 8 translate_y 7 9;
    autocontrast 5 - equalize 9 -; shear_y 2 7 posterize 3 7; color 4 3 brightness 6 7; sharpness 3 9 brightness 7 9;
    equalize 6 - equalize 5 -; contrast 6 7 sharpness 6 5; color 7 7 translate_x 5 8; equalize 3 - autocontrast 4 -;
    translate_y 4 3 sharpness 2 6; brightness 9 6 color 2 8; solarize 5 2 invert 0 -; equalize 2 - autocontrast 6 -;
    equalize 2 - equalize 6 -; color 9 9 equalize 6 -; autocontrast 8 - solarize 2 8; brightness 1 3 color 7 0;
    solarize 4 5 autocontrast 9 -; translate_y 9 9 translate_y 7 9; autocontrast 9 - solarize 8 3;
    equalize 8 - invert 1 -; translate_y 7 9 autocontrast 9 -
"""


@pytest.mark.parametrize("name", WIDEST)
def test_trivial_augment_is_as_wide_as_torchvisions(name):
    widest, full = WIDEST[name]
    assert full * policies.WIDE.get(name, 1) == pytest.approx(widest)


def test_the_policy_of_cifar_is_that_of_its_paper():
    expected = []
    for pair in CIFAR_POLICY.split(";"):
        words = pair.split()
        expected += [tuple(words[:3]), tuple(words[3:])]
    found = [
        (name, f"{10 * probability:.0f}", "-" if name in ("invert", "autocontrast", "equalize") else str(level))
        for pair in policies.CIFAR_POLICY
        for name, probability, level in pair
    ]
    assert found == expected and len(found) == 50


def test_rotation_turns_counterclockwise_by_thirty_degrees_at_full_strength():
    image = np.zeros((1, 61, 61, 1), np.uint8)
    image[0, 29:32, 49:52] = 200  # 20 pixels to the right of the center
    rows, columns = np.mgrid[:61, :61]
    for strength in (1.0, -0.5):
        turned = policies.OPERATIONS["rotate"](image, np.array([strength]), "constant")[0, :, :, 0].astype(float)
        place = (rows * turned).sum() / turned.sum(), (columns * turned).sum() / turned.sum()
        angle = strength * np.pi / 6
        assert place == pytest.approx((30 - 20 * np.sin(angle), 30 + 20 * np.cos(angle)), abs=0.2)


def test_a_policy_by_hand():
    """The first image that AutoAugment inverts alone is the negative of itself."""
    images = np.random.default_rng(0).integers(0, 256, (2000, 4, 4, 1), dtype=np.uint8)
    changed = augment_batch(images, Augmentation(policy="auto_augment"), 0, 0, np.arange(2000))
    assert (changed == 255 - images).all((1, 2, 3)).any()


def test_an_unknown_policy_is_refused():
    with pytest.raises(LwcnnError, match="as one of trivial_augment, auto_augment, or None. Received: policy='svhn'"):
        Augmentation(policy="svhn")
