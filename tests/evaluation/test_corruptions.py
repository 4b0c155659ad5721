"""The corruptions of benchmarks/robustness.py on images whose corrupted values are known."""

import runpy

import numpy as np
import pytest
from made_data import ROOT

GRAY = np.full((20, 32, 32, 3), 100, np.uint8)


@pytest.fixture(scope="module")
def corrupt():
    return runpy.run_path(str(ROOT / "benchmarks/robustness.py"))["corrupt"]


@pytest.mark.parametrize("name", ["defocus blur", "zoom blur", "contrast", "pixelation", "JPEG"])
def test_an_even_image_stays(corrupt, name):
    for severity in range(1, 6):
        assert np.abs(corrupt(GRAY, name, severity).astype(int) - 100).max() <= 1


def test_colors_by_hand(corrupt):
    assert (corrupt(GRAY, "brightness", 5) == 176).all()  # 100 + 0.3 * 255
    two = GRAY.copy()
    two[:, :16], two[:, 16:] = 50, 150
    assert set(np.unique(corrupt(two, "contrast", 5))) == {92, 107}  # 100 - and + 0.15 * 50
    red = np.zeros_like(GRAY)
    red[..., 0] = 200
    assert np.abs(corrupt(red, "saturation", 1)[0, 0, 0].astype(int) - [200, 140, 140]).max() <= 1


def test_noise_has_its_strength(corrupt):
    noisy = corrupt(GRAY, "Gaussian noise", 5).astype(float)
    assert noisy.std() == pytest.approx(0.10 * 255, rel=0.02) and noisy.mean() == pytest.approx(100, abs=1)
    assert corrupt(GRAY, "shot noise", 5).std() == pytest.approx((100 / 255 / 50) ** 0.5 * 255, rel=0.02)
    speckled = corrupt(GRAY, "impulse noise", 5)
    assert [(speckled == level).mean() for level in (0, 255)] == pytest.approx([0.035, 0.035], abs=0.003)
    np.testing.assert_array_equal(speckled, corrupt(GRAY, "impulse noise", 5))


def test_blur_and_jpeg_by_hand(corrupt):
    point = np.zeros_like(GRAY)
    point[:, 16, 16] = 225
    disk = corrupt(point, "defocus blur", 5)[0, ..., 0]  # of radius 1.5: nine pixels
    assert (disk[15:18, 15:18] == 25).all() and disk.sum() == 225
    noise = np.random.default_rng(0).integers(0, 256, GRAY.shape, dtype=np.uint8)
    assert (corrupt(noise, "JPEG", 5) != noise).mean() > 0.5


def test_zoom_keeps_the_center_and_pixelation_leaves_few_columns(corrupt):
    spot = np.zeros_like(GRAY)
    spot[:, 15:17, 15:17] = 200
    zoomed = corrupt(spot, "zoom blur", 5)[0, ..., 0]
    np.testing.assert_allclose(zoomed.astype(int), zoomed[::-1, ::-1], atol=1)
    assert zoomed[15:17, 15:17].min() > 150 and 15 < zoomed[14, 15] < 60, "it spreads"
    noise = np.random.default_rng(0).integers(0, 256, GRAY.shape, dtype=np.uint8)
    assert np.unique(corrupt(noise, "pixelation", 5)[0], axis=1).shape[1] == 20  # 0.65 * 32
