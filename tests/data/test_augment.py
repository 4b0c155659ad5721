"""Augmentation on images whose answer is known, and what its draws depend on."""

from dataclasses import replace

import numpy as np
import pytest
from made_data import random_images

from lwcnn.data.augment import PAPER_AUGMENTATION, PUBLISHED_AUGMENTATION, Augmentation, augment_batch, augmentation
from lwcnn.data.augment.color import add_brightness
from lwcnn.data.augment.geometry import flip_and_crop, warp
from lwcnn.system.errors import LwcnnError

EVERYTHING = replace(PAPER_AUGMENTATION, horizontal_flip=True, crop_padding=4)


def mirror_index(index, length):
    """Where a pixel outside lies in the mirror image, edges repeated: d c b a | a b c d | d c b a."""
    index = index % (2 * length)
    return min(index, 2 * length - 1 - index)


def shifted(image, down, right, fill):
    """The image moved by whole pixels, pixel by pixel."""
    height, width, _ = image.shape
    moved = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            inside = 0 <= y - down < height and 0 <= x - right < width
            if fill == "reflect" or inside:
                moved[y, x] = image[mirror_index(y - down, height), mirror_index(x - right, width)]
    return moved


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_nothing_on_changes_nothing_and_copies(channels):
    images = random_images(channels=channels)
    same = augment_batch(images, Augmentation(), 0, 0, np.arange(6))
    np.testing.assert_array_equal(same, images)
    assert not np.shares_memory(same, images)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("fill", ["reflect", "constant"])
def test_neutral_warp_is_exact(channels, fill):
    images = random_images(channels=channels)
    np.testing.assert_array_equal(warp(images, fill, np.zeros(6)), images)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fill", ["reflect", "constant"])
@pytest.mark.parametrize("down, right", [(3, 0), (0, -2), (-4, 5), (12, 13)])
def test_shift_by_whole_pixels_moves_every_pixel(channels, fill, down, right):
    images = random_images(channels=channels)
    expected = np.stack([shifted(image, down, right, fill) for image in images])
    np.testing.assert_array_equal(warp(images, fill, np.zeros(6), shift_y=down, shift_x=right), expected)
    if max(abs(down), abs(right)) <= 5:
        flip_and_crop(images, np.zeros(6, bool), np.full((6, 2), (down, right)), 5, fill)
        np.testing.assert_array_equal(images, expected)


def test_each_image_gets_its_own_transform():
    images = random_images(3)
    moved = warp(images, "reflect", shift_y=np.array([0, 2, -1]), shift_x=np.array([1, 0, 3]))
    for image, result, down, right in zip(images, moved, [0, 2, -1], [1, 0, 3], strict=True):
        np.testing.assert_array_equal(result, shifted(image, down, right, "reflect"))


@pytest.mark.parametrize("side", [9, 10])
@pytest.mark.parametrize("channels", [1, 3])
def test_quarter_turns_are_those_of_numpy(side, channels):
    images = random_images(4, side, side, channels)
    turned = warp(images, "constant", 2 * np.pi * np.array([0.25, 0.5, 0.75, 1.0]))
    for image, result, quarters in zip(images, turned, range(1, 5), strict=True):
        # The sine of a half turn is not quite 0: a pixel may be off by a rounding.
        np.testing.assert_allclose(result.astype(int), np.rot90(image, quarters).astype(int), atol=1)


def test_zoom_above_one_shrinks_the_content():
    image = np.zeros((1, 9, 9, 1), np.uint8)
    image[0, 0, 0] = image[0, 4, 8] = 200
    out = warp(image, "constant", zoom=np.array([2.0]))[0, :, :, 0]
    assert out[2, 2] == 200 and out[4, 6] == 200  # half as far from the center (4, 4)
    assert out.astype(int).sum() == 400  # and nothing else
    near = warp(image, "constant", zoom=np.array([0.5]))[0, :, :, 0]
    assert near.sum() == 0  # both marks are twice as far from the center: outside


def test_rotation_zoom_and_shift_act_in_this_order():
    image = np.zeros((1, 9, 9, 1), np.uint8)
    image[0, 4, 8] = 200  # right of the center by 4
    # Counterclockwise by a quarter: above by 4; shrunk to half: above by 2; moved down by 1 and right by 3.
    out = warp(image, "constant", np.array([np.pi / 2]), 2.0, shift_y=1.0, shift_x=3.0)[0, :, :, 0]
    assert np.unravel_index(out.argmax(), out.shape) == (4 - 2 + 1, 4 + 3)


def test_half_a_pixel_interpolates():
    image = np.array([10, 20, 40, 80], np.uint8).reshape(1, 1, 4, 1)
    out = warp(image, "reflect", shift_x=np.array([0.5]))
    assert out.ravel().tolist() == [10, 15, 30, 60]


def test_warp_matches_bilinear_sampling_by_hand():
    images = random_images(5, 11, 8, 3)
    generator = np.random.default_rng(1)
    angle, zoom = generator.uniform(-0.1, 0.1, 5), generator.uniform(0.8, 1.2, 5)
    shift_y, shift_x = generator.uniform(-2, 2, (2, 5))
    out = warp(images, "reflect", 2 * np.pi * angle, zoom, shift_y, shift_x)
    expected = np.empty(out.shape)
    for i in range(5):
        turn = 2 * np.pi * angle[i]
        for row in range(11):
            for column in range(8):
                down, right = row - shift_y[i] - 5, column - shift_x[i] - 3.5
                x = 3.5 + zoom[i] * (np.cos(turn) * right - np.sin(turn) * down)
                y = 5 + zoom[i] * (np.sin(turn) * right + np.cos(turn) * down)
                x0, y0 = int(np.floor(x)), int(np.floor(y))
                value = 0.0
                for yy, wy in ((y0, y0 + 1 - y), (y0 + 1, y - y0)):
                    for xx, wx in ((x0, x0 + 1 - x), (x0 + 1, x - x0)):
                        value = value + wy * wx * images[i, mirror_index(yy, 11), mirror_index(xx, 8)]
                expected[i, row, column] = value
    difference = np.abs(out - expected)
    # Some versions of OpenCV place a sample to 1/32 of a pixel: up to 255 / 32 gray levels at a hard edge.
    assert difference.max() < 9 and difference.mean() < 2


@pytest.mark.parametrize("channels", [1, 3])
def test_flip_mirrors_the_chosen_images_exactly(channels):
    images = random_images(3, channels=channels)
    expected = np.stack([images[0, :, ::-1], images[1], images[2, :, ::-1]])
    flip_and_crop(images, np.array([True, False, True]), np.zeros((3, 2), int), 0, "reflect")
    np.testing.assert_array_equal(images, expected)


def test_flip_comes_before_crop():
    images = random_images(2)
    expected = np.stack([shifted(image[:, ::-1], 1, 2, "constant") for image in images])
    flip_and_crop(images, np.ones(2, bool), np.full((2, 2), (1, 2)), 2, "constant")
    np.testing.assert_array_equal(images, expected)


@pytest.mark.parametrize("levels", [0, 1, 100, 255, -1, -100, -255])
def test_brightness_adds_and_clips(levels):
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    out = add_brightness(images, np.array([levels]))
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(out, np.clip(images.astype(int) + levels, 0, 255))


@pytest.fixture
def draw(monkeypatch):
    """Returns a function that gives the values that an augmentation draws for images of a height and width."""
    found = {}

    def note(*names):
        return lambda images, *values: found.update(zip(names, values)) or images

    monkeypatch.setattr(augmentation, "flip_and_crop", note("flip", "shifts"))
    monkeypatch.setattr(augmentation, "warp", note("fill", "radians", "zoom", "shift_y", "shift_x"))
    monkeypatch.setattr(augmentation, "add_brightness", note("levels"))

    def draw(settings, indices, height, width, seed, epoch):
        found.clear()
        augment_batch(np.zeros((len(indices), height, width, 1), np.uint8), settings, seed, epoch, np.array(indices))
        return dict(found)

    return draw


def test_draws_fill_their_ranges_evenly(draw):
    num_images, height, width = 20_000, 30, 20
    drawn = draw(Augmentation(0.1, 0.2, 0.3, 0.4, True, 4), np.arange(num_images), height, width, 3, 1)
    names = ("radians", "zoom", "shift_y", "shift_x", "levels")
    reaches = (0.2 * np.pi, 0.2, 0.3 * height, 0.3 * width, 0.4 * 255)
    for name, reach in zip(names, reaches):
        middle = int(name == "zoom")
        shares = np.histogram(drawn[name], bins=10, range=(middle - reach, middle + reach))[0] / num_images
        assert shares.sum() == pytest.approx(1)  # none lies outside
        assert abs(shares - 0.1).max() < 0.012  # 5 standard deviations, and the steps of whole gray levels
    assert abs(drawn["flip"].mean() - 0.5) < 0.02
    for offsets in drawn["shifts"].T:
        shares = np.bincount(offsets + 4, minlength=9) / num_images
        assert len(shares) == 9 and abs(shares - 1 / 9).max() < 0.012
    columns = [*(drawn[name] for name in names), drawn["flip"].astype(float), *drawn["shifts"].T]
    assert abs(np.corrcoef(columns) - np.eye(8)).max() < 0.04  # independent of each other


def test_a_setting_leaves_the_draws_of_the_others(draw):
    rotated = draw(Augmentation(rotation=0.1), np.arange(9), 8, 8, 0, 0)
    both = draw(Augmentation(rotation=0.1, zoom=0.2, crop_padding=3), np.arange(9), 8, 8, 0, 0)
    np.testing.assert_array_equal(rotated["radians"], both["radians"])
    assert (rotated["zoom"] == 1).all() and "shifts" not in rotated and not both["flip"].any()


def test_the_draws_are_pinned(draw):
    """Stored results depend on these numbers: no version of NumPy or of this module may change them."""
    drawn = draw(EVERYTHING, [0, 1, 49_999], 32, 32, 42, 3)
    angles = [-0.021579878010657617, 0.09568261239323315, -0.07962515740857759]
    np.testing.assert_allclose(drawn["radians"] / (2 * np.pi), angles, rtol=1e-12)
    np.testing.assert_allclose(drawn["zoom"], [1.12132728, 1.14959562, 1.16682722], rtol=1e-8)
    assert drawn["shifts"][:, 1].tolist() == [-4, 4, -4]
    assert drawn["flip"].tolist() == [True, False, True]


def test_an_empty_batch_stays_empty():
    assert augment_batch(random_images()[:0], EVERYTHING, 0, 0, np.arange(0)).shape == (0, 12, 10, 3)


def test_the_papers_and_the_authors_amounts():
    assert PAPER_AUGMENTATION == Augmentation(0.1, 0.2, 0.2, 0.2)
    assert PUBLISHED_AUGMENTATION == replace(PAPER_AUGMENTATION, brightness=0.0)


@pytest.mark.parametrize("changes, said", [({"seed": -1}, "-1"), ({"epoch": 0.5}, "0.5")])
def test_refuses_seeds_and_epochs_that_are_no_whole_numbers(changes, said):
    arguments = {"images": np.zeros((2, 4, 4, 3), np.uint8), "seed": 0, "epoch": 0, "indices": np.arange(2)}
    with pytest.raises(LwcnnError, match=f"Received: .*{said}"):
        augment_batch(augmentation=EVERYTHING, **{**arguments, **changes})
