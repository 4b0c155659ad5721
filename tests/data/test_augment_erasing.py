"""Cutout and random erasing: which pixels go, and how often, where and in what shape."""

import numpy as np
import pytest

from lwcnn.data.augment import Augmentation, Cutout, Erasing, augment_batch


def white(num_images, height, width, channels=1):
    return np.full((num_images, height, width, channels), 255, np.uint8)


def box_of(mask):
    """(top, bottom, left, right) of the True pixels, which must fill it."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    assert mask[top:bottom, left:right].all() and mask.sum() == (bottom - top) * (right - left)
    return top, bottom, left, right


@pytest.mark.parametrize("side", [1, 3, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_cutout_takes_a_square_around_every_pixel_alike(side, channels):
    num_images, height, width = 7000, 7, 5
    out = augment_batch(
        white(num_images, height, width, channels), Augmentation(cutout=Cutout(side)), 0, 0, np.arange(num_images)
    )
    assert set(np.unique(out)) == {0, 255}
    assert (out == out[..., :1]).all()  # all channels alike
    boxes = np.array([box_of(image[..., 0] == 0) for image in out])
    expected = {
        (max(y - side // 2, 0), min(y - side // 2 + side, 7), max(x - side // 2, 0), min(x - side // 2 + side, 5))
        for y in range(height)
        for x in range(width)
    }
    found, counts = np.unique(boxes, axis=0, return_counts=True)
    assert {tuple(box) for box in found.tolist()} == expected
    if len(expected) == height * width:  # else corners come from several centers
        assert abs(counts / num_images - 1 / 35).max() < 0.01


def test_cutout_larger_than_the_image_takes_all_or_its_part():
    out = augment_batch(white(50, 4, 6), Augmentation(cutout=Cutout(13)), 0, 0, np.arange(50))
    assert (out == 0).all()
    kept = augment_batch(white(50, 4, 6), Augmentation(cutout=Cutout(7)), 0, 0, np.arange(50))[..., 0] == 255
    assert (kept == kept[:, :1]).all()  # in all rows the same columns
    assert set(kept[:, 0].sum(axis=1)) == {0, 1, 2}


@pytest.mark.parametrize("settings", [{"cutout": Cutout(5, "mean")}, {"erasing": Erasing(1.0, fill="mean")}])
def test_mean_fills_with_the_images_own_mean_of_each_channel(settings):
    images = np.random.default_rng(0).integers(0, 256, (20, 9, 8, 3), dtype=np.uint8)
    out = augment_batch(images, Augmentation(**settings), 0, 0, np.arange(20))
    for image, result in zip(images, out, strict=True):
        changed = result[(result != image).any(-1)]
        assert len(changed) and (changed == np.rint(image.mean((0, 1)))).all()


def test_erasing_takes_rectangles_of_the_areas_and_shapes_asked_for():
    num_images, height, width = 20_000, 32, 32
    out = augment_batch(
        white(num_images, height, width), Augmentation(erasing=Erasing(0.2, fill="zero")), 1, 0, np.arange(num_images)
    )
    erased = (out == 0).any(axis=(1, 2, 3))
    assert abs(erased.mean() - 0.2) < 0.015  # 5 standard deviations
    boxes = np.array([box_of(image[..., 0] == 0) for image in out[erased]])
    sides_y, sides_x = boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]
    areas = sides_y * sides_x / (height * width)
    # Sides are rounded to pixels: by half of one, of 3 at the least.
    assert 0.015 < areas.min() and areas.max() < 0.35
    shares = np.histogram(areas, bins=np.linspace(0.02, 0.33, 6))[0] / len(areas)
    assert abs(shares - 0.2).max() < 0.035
    aspects = sides_y / sides_x
    assert 0.2 < aspects.min() < 0.4 and 2.7 < aspects.max() < 5
    assert abs((sides_y > sides_x).mean() - (sides_x > sides_y).mean()) < 0.06  # wide and tall alike
    room = height - sides_y + 1
    assert abs(((boxes[:, 0] + 0.5) / room).mean() - 0.5) < 0.03  # anywhere that it fits
    assert (boxes[:, 0] == 0).any() and (boxes[:, 1] == height).any()


def test_noise_is_even_over_levels_and_of_the_image_alone():
    images = np.zeros((2000, 16, 16, 3), np.uint8)
    augmentation = Augmentation(erasing=Erasing(1.0, area=(0.5, 0.5), aspect=(1.0, 1.0)))
    out = augment_batch(images, augmentation, 0, 0, np.arange(2000))
    assert len(np.unique(out.reshape(2000, -1), axis=0)) == 2000
    counts = np.bincount(out.ravel(), minlength=256)[1:]  # 0 stands outside the rectangles
    assert abs(counts / counts.mean() - 1).max() < 0.1


def test_sides_are_the_root_of_the_area_and_fit_into_any_image():
    draws = np.linspace(0, 0.999, 50)
    sides_y, sides_x = Erasing(1.0, (0.25, 0.25), (1.0, 1.0)).rectangle_sides(draws, draws, 20, 20).T
    assert (sides_y == 10).all() and (sides_x == 10).all()
    sides_y, sides_x = Erasing(1.0, (0.16, 0.16), (4.0, 4.0)).rectangle_sides(draws, draws, 20, 20).T
    assert (sides_y == 16).all() and (sides_x == 4).all()
    for shape in ((100, 400), (400, 100)):
        sides_y, sides_x = Erasing(1.0, (0.3, 0.3)).rectangle_sides(draws, draws, *shape).T
        np.testing.assert_allclose(sides_y * sides_x, 0.3 * 100 * 400, rtol=0.02)
    for height, width in [(1, 1), (2, 30), (30, 2), (1, 9)]:
        area, aspect = (draws.ravel() for draws in np.meshgrid(draws, draws))
        sides_y, sides_x = Erasing(1.0).rectangle_sides(area, aspect, height, width).T
        assert sides_y.min() >= 1 and sides_x.min() >= 1
        assert sides_y.max() <= height and sides_x.max() <= width
