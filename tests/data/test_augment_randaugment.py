"""RandAugment: each operation against PIL's, or by hand, and how they are drawn."""

from functools import partial

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from lwcnn.data.augment import Augmentation, RandAugment, augment_batch, policies
from lwcnn.data.augment.color import autocontrast, equalize, posterize, solarize
from lwcnn.data.augment.geometry import shear
from lwcnn.data.augment.policies import OPERATIONS

NAMES = tuple(OPERATIONS)


def pictures(channels, seed=0, size=(24, 19)):
    """Images of every kind of histogram: noise, smooth, dark, of two levels and of one."""
    generator = np.random.default_rng(seed)
    noise = generator.integers(0, 256, (*size, channels))
    smooth = cv2.resize(generator.integers(0, 256, (3, 3, channels)).astype(np.float32), size[::-1])
    smooth = smooth.reshape(*size, channels)
    dark = generator.integers(20, 60, (*size, channels))
    two = np.where(noise > 200, 180, 90)
    one = np.full((*size, channels), 130)
    return np.stack([noise, smooth, dark, two, one]).astype(np.uint8)


def with_pil(function, image):
    source = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    return np.asarray(function(source)).reshape(image.shape)


def enhanced(kind, factor):
    return lambda image: kind(image).enhance(factor)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("magnitude", [0, 9, 17, 30])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(
    "name",
    ["identity", "autocontrast", "equalize", "posterize", "solarize", "color", "contrast", "brightness", "sharpness"],
)
def test_operations_agree_with_pil(name, sign, magnitude, channels):
    """To one level, since PIL cuts fractions off; of color to two, since OpenCV's weights of the channels are
    rounded otherwise than PIL's, so that a gray level beside a half can be the next one."""
    images = pictures(channels)
    strength = sign * magnitude / 30
    factor = 1 + 0.9 * strength
    as_pil = {
        "identity": lambda image: image,
        "autocontrast": ImageOps.autocontrast,
        "equalize": ImageOps.equalize,
        "posterize": partial(ImageOps.posterize, bits=8 - round(4 * magnitude / 30)),
        "solarize": partial(ImageOps.solarize, threshold=255 * (1 - magnitude / 30)),
        "color": enhanced(ImageEnhance.Color, factor),
        "contrast": enhanced(ImageEnhance.Contrast, factor),
        "brightness": enhanced(ImageEnhance.Brightness, factor),
        "sharpness": enhanced(ImageEnhance.Sharpness, factor),
    }[name]
    out = OPERATIONS[name](images, np.full(len(images), strength), "constant")
    assert out.dtype == np.uint8 and out.shape == images.shape
    allowed = {"identity": 0, "equalize": 0, "posterize": 0, "solarize": 0, "color": 2}.get(name, 1)
    for image, result in zip(images, out, strict=True):
        expected = image if name == "color" and channels == 1 else with_pil(as_pil, image)
        assert abs(result.astype(int) - expected).max() <= allowed


def test_tables_by_hand():
    ramp = np.array([50, 100, 150, 200], np.uint8).reshape(1, 2, 2, 1)
    assert autocontrast(ramp).ravel().tolist() == [0, 85, 170, 255]
    assert posterize(np.full((2, 1, 1, 1), 255, np.uint8), np.array([1, 4])).ravel().tolist() == [128, 240]
    assert solarize(ramp, np.array([150])).ravel().tolist() == [50, 100, 105, 55]
    constant = np.full((2, 4, 4, 3), 9, np.uint8)
    np.testing.assert_array_equal(autocontrast(constant), constant)
    np.testing.assert_array_equal(equalize(constant), constant)
    # 512 pixels each of 10, 11 and 12: at a third, two thirds and the end of the range.
    levels = np.repeat(np.array([10, 11, 12], np.uint8), 512).reshape(1, 32, 48, 1)
    assert np.unique(equalize(levels)).tolist() == [0, 128, 255]


def pil_affine(image, coefficients):
    return with_pil(
        lambda i: i.transform(i.size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR), image
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("strength", [-1, -0.3, 0.3, 1])
def test_shears_are_those_of_pil(strength, channels):
    """Away from the edge, where PIL does not interpolate with the fill; OpenCV samples to 1/32 of a pixel."""
    image = pictures(channels)[1:2]
    for name, place in (("shear_x", 1), ("shear_y", 3)):
        coefficients = [1, 0, 0, 0, 1, 0]
        coefficients[place] = 0.3 * strength
        expected = pil_affine(image[0], coefficients).astype(int)
        out = OPERATIONS[name](image, np.array([strength]), "constant")[0].astype(int)
        inside = (expected > 0).all(-1) & (out > 0).all(-1)
        inside &= cv2.erode(inside.astype(np.uint8), np.ones((3, 3)), borderValue=0).astype(bool)
        assert inside.mean() > 0.4
        assert abs(out - expected)[inside].max() <= 2


def test_shear_keeps_the_corner_and_fills_from_outside():
    image = np.full((1, 9, 9, 1), 100, np.uint8)
    out = shear(image, "constant", along_x=np.ones(1))[0, :, :, 0]
    # Row y shows what lies y + 1/2 to the right: the last of it from outside.
    assert (out[0, :8] == 100).all() and out[0, 8] == 50
    assert out[7].tolist() == [100, 50] + [0] * 7
    assert (shear(image, "reflect", along_x=np.ones(1)) == 100).all()


@pytest.mark.parametrize("fill", ["constant", "reflect"])
def test_shifts_by_hand(fill):
    images = np.random.default_rng(0).integers(0, 256, (3, 9, 9, 3), dtype=np.uint8)
    out = OPERATIONS["translate_x"](images, np.array([1, -1, 0.5]), fill)
    for image, result, pixels in zip(images, out, (4, -4, 2), strict=True):  # 9 * 150 / 331 = 4.08
        kept = slice(max(pixels, 0), 9 + min(pixels, 0))
        np.testing.assert_array_equal(result[:, kept], np.roll(image, pixels, axis=1)[:, kept])
    if fill == "constant":
        assert (out[0, :, :4] == 0).all() and (out[1, :, 5:] == 0).all()
    down = OPERATIONS["translate_y"](images, np.array([1, -1, 0.5]), fill)
    np.testing.assert_array_equal(
        down.transpose(0, 2, 1, 3),
        OPERATIONS["translate_x"](images.transpose(0, 2, 1, 3), np.array([1, -1, 0.5]), fill),
    )


def test_a_magnitude_of_zero_leaves_what_has_a_strength():
    images = pictures(3)[:4]
    # Solarize inverts the level 255 alone; the two that have no strength are not meant.
    steady = tuple(name for name in NAMES if name not in ("autocontrast", "equalize", "solarize"))
    out = augment_batch(images, Augmentation(rand_augment=RandAugment(5, 0, steady)), 0, 0, np.arange(4))
    np.testing.assert_array_equal(out, images)


def test_operations_and_signs_are_drawn_evenly():
    """Operations whose results identify them."""
    image = np.zeros((1, 9, 9, 1), np.uint8)
    image[0, 4, 4] = 100
    images = np.repeat(image, 20_000, axis=0)
    settings = RandAugment(1, 30, ("translate_x", "translate_y", "identity"))
    out = augment_batch(images, Augmentation(fill="constant", rand_augment=settings), 0, 0, np.arange(20_000))
    places = out.reshape(20_000, 81).argmax(1)
    shares = {place: (places == place).mean() for place in np.unique(places).tolist()}
    assert shares.keys() == {40, 36, 44, 4, 76}
    assert abs(shares.pop(40) - 1 / 3) < 0.017 and all(abs(share - 1 / 6) < 0.014 for share in shares.values())
    twice = RandAugment(2, 30, ("translate_x", "translate_y"))
    out = augment_batch(images, Augmentation(fill="constant", rand_augment=twice), 0, 0, np.arange(20_000))
    # Once each way: in a corner, half of the time; back and forth: gone (the middle, refilled with zero) or kept.
    corners = out[:, [0, 0, 8, 8], [0, 8, 0, 8], 0].any(1)
    assert abs(corners.mean() - 0.5) < 0.018
    assert abs((out[:, 4, 4, 0] > 0).mean() - 0.25) < 0.016


def test_more_operations_begin_with_the_same(monkeypatch):
    steps = []
    monkeypatch.setattr(policies, "_operate", lambda images, names, drawn, *rest: steps.append(drawn.tolist()))
    for count in (1, 3):
        augment_batch(pictures(3), Augmentation(rand_augment=RandAugment(count, 9)), 0, 0, np.arange(5))
    assert len(steps) == 4 and steps[0] == steps[1] and steps[1] != steps[2] != steps[3]
