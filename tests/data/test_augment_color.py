"""Brightness, contrast, saturation, hue, sharpness and blur by hand, against colorsys and hand-made kernels.

`test_augment_randaugment.py` compares brightness, contrast, saturation and sharpness with PIL.
"""

import colorsys

import numpy as np
import pytest
from made_data import random_images
from scipy.ndimage import correlate1d

from lwcnn.data.augment import Augmentation, ColorJitter, GaussianBlur, Sharpness, augment_batch
from lwcnn.data.augment.color import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    adjust_sharpness,
    gaussian_blur,
    to_gray,
)


def largest_difference(left, right):
    return np.abs(np.asarray(left, float) - np.asarray(right, float)).max()


def test_brightness_and_contrast_by_hand():
    images = np.array([0, 100, 200, 100], np.uint8).reshape(1, 2, 2, 1).repeat(2, axis=0)
    assert adjust_brightness(images, np.array([0.5, 1.5])).reshape(2, 4).tolist() == [
        [0, 50, 100, 50],
        [0, 150, 255, 150],
    ]
    assert adjust_contrast(images, np.array([0.5, 2.0])).reshape(2, 4).tolist() == [
        [50, 100, 150, 100],
        [0, 100, 255, 100],
    ]
    # The mean is that of the whole image in gray: 0.299 of 250, over all its pixels 75.
    red = np.zeros((1, 3, 3, 3), np.uint8)
    red[..., 0] = 250
    assert adjust_contrast(red, np.zeros(1)).ravel().tolist() == [75] * 27


def test_saturation_of_zero_is_gray_and_gray_stays():
    images = random_images()
    out = adjust_saturation(images, np.zeros(6))
    expected = images @ np.array([0.299, 0.587, 0.114])
    assert largest_difference(out, expected[..., None]) <= 0.51
    grays = np.repeat(random_images(channels=1), 3, axis=3)
    np.testing.assert_array_equal(adjust_saturation(grays, np.linspace(0, 3, 6)), grays)
    assert largest_difference(adjust_hue(grays, np.linspace(-0.5, 0.5, 6)), grays) == 0


def test_hue_agrees_with_colorsys():
    images, shifts = random_images(7), np.array([-0.5, -0.2, -0.01, 0.0, 0.1, 1 / 3, 0.5])
    out = adjust_hue(images, shifts)
    expected = np.empty(images.shape)
    for i, row, column in np.ndindex(images.shape[:3]):
        hue, saturation, value = colorsys.rgb_to_hsv(*(images[i, row, column] / 255))
        expected[i, row, column] = colorsys.hsv_to_rgb((hue + shifts[i]) % 1, saturation, value)
    assert largest_difference(out, 255 * expected) < 0.51  # rounded to the nearest level
    np.testing.assert_array_equal(out[3], images[3])


def test_a_third_of_the_circle_turns_red_into_green():
    red = np.zeros((2, 4, 4, 3), np.uint8)
    red[..., 0] = 200
    out = adjust_hue(red, np.array([1 / 3, -1 / 3]))
    assert (out[0] == [0, 200, 0]).all() and (out[1] == [0, 0, 200]).all()


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_saturation_and_hue_leave_other_channel_counts_alone(channels):
    images = random_images(channels=channels)
    np.testing.assert_array_equal(adjust_saturation(images, np.zeros(6)), images)
    np.testing.assert_array_equal(adjust_hue(images, np.full(6, 0.3)), images)
    assert to_gray(images).shape == images.shape[:3]
    changed = augment_batch(images, Augmentation(color_jitter=ColorJitter(0, 0, 0.5, 0.5)), 0, 0, np.arange(6))
    np.testing.assert_array_equal(changed, images)


def test_jitter_of_one_kind_fills_its_range_evenly():
    images = np.full((20_000, 2, 2, 1), 100, np.uint8)
    out = augment_batch(images, Augmentation(color_jitter=ColorJitter(brightness=0.4)), 3, 1, np.arange(20_000))
    levels = out[:, 0, 0, 0]
    assert levels.min() == 60 and levels.max() == 140
    shares = np.histogram(levels, bins=np.arange(60.5, 140, 8))[0] / 20_000
    assert abs(shares - 0.1).max() < 0.012
    wide = augment_batch(images, Augmentation(color_jitter=ColorJitter(brightness=1.5)), 3, 1, np.arange(20_000))
    assert wide.min() == 0 and wide.max() == 250 and (wide == 0).mean() < 0.03  # from a factor of 0, not below


def test_jitter_draws_the_order_of_its_changes():
    """Up to twice as bright is clipped, less contrast is not: the order shows."""

    def jittered(levels, **settings):
        images = np.repeat(np.array(levels, np.uint8).reshape(1, 1, -1, 1), 4000, axis=0)
        return augment_batch(images, Augmentation(color_jitter=ColorJitter(**settings)), 0, 0, np.arange(4000))

    # The factors as they were drawn, from a jitter of one kind each; those of contrast where they are below 1.
    brightness = jittered([100], brightness=1.0)[:, 0, 0, 0] / 100
    contrast = 1 - jittered([0, 200], contrast=1.0)[:, 0, 0, 0] / 100
    known = contrast > 0.05
    known &= contrast < 1
    images = np.repeat(np.array([0, 200], np.uint8).reshape(1, 1, 2, 1), known.sum(), axis=0)
    bright_first = adjust_contrast(adjust_brightness(images, brightness[known]), contrast[known])
    contrast_first = adjust_brightness(adjust_contrast(images, contrast[known]), brightness[known])
    out = jittered([0, 200], brightness=1.0, contrast=1.0)[known].astype(int)
    as_first, as_second = (abs(out - e).max(axis=(1, 2, 3)) <= 3 for e in (bright_first, contrast_first))
    assert known.sum() > 1500 and (as_first | as_second).all()
    differ = as_first != as_second
    assert differ.sum() > 300 and abs(as_first[differ].mean() - 0.5) < 0.1


def test_sharpness_by_hand():
    image = np.zeros((1, 5, 5, 1), np.uint8)
    image[0, 2, 2] = 130
    smooth = adjust_sharpness(image, np.zeros(1))[0, :, :, 0]
    assert smooth[2, 2] == 50 and smooth[1, 1] == smooth[1, 2] == smooth[3, 3] == 10  # 5/13 and 1/13
    assert smooth.sum() == 130
    sharp = adjust_sharpness(image, np.array([2.0]))[0, :, :, 0]
    assert sharp[2, 2] == 210 and sharp.sum() == 210  # twice 130 - 50; what would be below 0 is 0
    corner = np.zeros((1, 5, 5, 1), np.uint8)
    corner[0, 0, 0] = 130
    assert adjust_sharpness(corner, np.zeros(1))[0, 0, 0, 0] == 130  # the border stays
    constant = np.full((1, 6, 5, 3), 77, np.uint8)
    np.testing.assert_array_equal(adjust_sharpness(constant, np.array([3.0])), constant)


@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("channels", [1, 3])
def test_blur_agrees_with_scipy(kernel_size, channels):
    sigmas = np.array([0.1, 0.4, 0.8, 1.1, 1.5, 3.0])
    images = random_images(6, 10, 7, channels)
    out = gaussian_blur(images, sigmas, kernel_size)
    offsets = np.arange(kernel_size) - kernel_size // 2
    for image, result, sigma in zip(images, out, sigmas, strict=True):
        kernel = np.exp(-(offsets**2) / (2 * sigma**2))
        kernel /= kernel.sum()
        expected = correlate1d(correlate1d(image.astype(float), kernel, 0, mode="mirror"), kernel, 1, mode="mirror")
        assert largest_difference(result, expected) < 0.51  # rounded to the nearest level


def test_blur_by_hand():
    image = np.zeros((1, 5, 5, 1), np.uint8)
    image[0, 2, 2] = 160
    # exp(-1 / (2 sigma^2)) is 1/2 for this sigma: a kernel of 1 2 1, each way.
    out = gaussian_blur(image, np.array([1 / np.sqrt(2 * np.log(2))]))[0, 1:4, 1:4, 0]
    assert out.tolist() == [[10, 20, 10], [20, 40, 20], [10, 20, 10]]
    constant = np.full((1, 6, 5, 3), 77, np.uint8)
    np.testing.assert_array_equal(gaussian_blur(constant, np.ones(1)), constant)


@pytest.mark.parametrize(
    "settings, probability", [({"blur": GaussianBlur(0.3)}, 0.3), ({"sharpness": Sharpness(0.1)}, 0.1)]
)
def test_blur_and_sharpness_change_their_share(settings, probability):
    image = np.zeros((1, 5, 5, 1), np.uint8)
    image[0, 2, 2], image[0, 2, 1] = 200, 50
    images = np.repeat(image, 20_000, axis=0)
    out = augment_batch(images, Augmentation(**settings), 5, 0, np.arange(20_000))
    changed = (out != images).any(axis=(1, 2, 3)).mean()
    # The narrowest blurs, sigma below 0.27 (an eighth of them), move less than half a level.
    least = 0.85 if "blur" in settings else 1.0
    assert least * probability - 0.016 < changed < probability + 0.016


def test_blur_draws_its_sigma_evenly():
    image = np.zeros((1, 3, 3, 1), np.uint8)
    image[0, 1, 1] = 255
    images = np.repeat(image, 4000, axis=0)
    out = augment_batch(images, Augmentation(blur=GaussianBlur(1.0, (0.5, 1.5))), 5, 0, np.arange(4000))
    wider = gaussian_blur(image, np.array([1.0]))[0, 1, 1, 0]
    assert abs((out[:, 1, 1, 0] < wider).mean() - 0.5) < 0.05


def test_hues_move_alike_in_both_directions():
    red = np.zeros((4000, 1, 1, 3), np.uint8)
    red[..., 0] = 200
    jitter = Augmentation(color_jitter=ColorJitter(hue=0.1))
    _, green, blue = augment_batch(red, jitter, 0, 0, np.arange(4000))[:, 0, 0].astype(int).T
    to_yellow, to_magenta = (green > blue).mean(), (blue > green).mean()
    assert abs(to_yellow - to_magenta) < 0.08 and to_yellow + to_magenta > 0.95
    # A tenth of the circle is 0.6 of the way from red to yellow or magenta.
    assert (green.max(), blue.max()) == pytest.approx((120, 120), abs=2)
