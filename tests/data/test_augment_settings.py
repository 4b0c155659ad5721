"""What holds for every augmentation: its draws, its type and range, the sizes it takes, what it refuses."""

import hashlib
from dataclasses import fields, replace

import numpy as np
import pytest
from made_data import random_images

from lwcnn.data.augment import (
    Augmentation,
    ColorJitter,
    Cutout,
    Erasing,
    GaussianBlur,
    RandAugment,
    Sharpness,
    augment_batch,
    policies,
)
from lwcnn.data.augment import augmentation as steps
from lwcnn.data.augment.draws import Draws, Purpose, _uniform_table
from lwcnn.data.augment.policies import OPERATIONS
from lwcnn.system.errors import LwcnnError

EACH = {
    "geometry": Augmentation(0.1, 0.2, 0.2, 0.2, horizontal_flip=True, crop_padding=4),
    "vertical_flip": Augmentation(vertical_flip=0.5),
    "rand_augment": Augmentation(rand_augment=RandAugment(2, 20)),
    "trivial_augment": Augmentation(policy="trivial_augment"),
    "auto_augment": Augmentation(policy="auto_augment"),
    "color_jitter": Augmentation(color_jitter=ColorJitter(0.5, 0.5, 0.5, 0.3)),
    "sharpness": Augmentation(sharpness=Sharpness(0.5, 3.0)),
    "blur": Augmentation(blur=GaussianBlur(0.5)),
    "cutout": Augmentation(cutout=Cutout(3)),
    "cutout_mean": Augmentation(cutout=Cutout(3, fill="mean")),
    "erasing": Augmentation(erasing=Erasing(0.5)),
    "erasing_mean": Augmentation(erasing=Erasing(0.5, fill="mean")),
    "all": Augmentation(
        0.1, 0.2, 0.2, 0.2, True, 2, "constant", 0.5, RandAugment(), ColorJitter(0.3, 0.3, 0.3, 0.1),
        Sharpness(0.5), GaussianBlur(0.5), Cutout(2), Erasing(0.5),
    ),
}  # fmt: skip
for_each = pytest.mark.parametrize("augmentation", EACH.values(), ids=EACH)


@for_each
@pytest.mark.parametrize("shape", [(11, 7), (1, 1), (2, 5), (32, 32)])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_shape_type_and_input_are_kept(augmentation, shape, channels):
    images = random_images(40, *shape, channels)
    before = images.copy()
    images.setflags(write=False)
    out = augment_batch(images, augmentation, 0, 0, np.arange(40))
    assert out.shape == images.shape and out.dtype == np.uint8 and out.flags.writeable
    assert not np.shares_memory(out, images)
    np.testing.assert_array_equal(images, before)
    too_small = shape == (1, 1) or (shape == (2, 5) and augmentation.sharpness and not augmentation.blur)
    assert too_small or (out != images).any()
    # Views of any layout: channels first, every second image, mirrored.
    laid_out = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(augment_batch(laid_out, augmentation, 0, 0, np.arange(40)), out)
    view = np.repeat(images, 2, axis=0)[::2, :, ::-1][:, :, ::-1]
    np.testing.assert_array_equal(augment_batch(view, augmentation, 0, 0, np.arange(40)), out)


@for_each
@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_becomes_the_same_in_any_batch_and_order(augmentation, channels):
    images = random_images(40, channels=channels)
    indices = np.random.default_rng(1).permutation(40) * 1000
    together = augment_batch(images, augmentation, 7, 2, indices)
    np.testing.assert_array_equal(augment_batch(images, augmentation, 7, 2, indices), together)
    chosen = np.random.default_rng(2).permutation(40)[:17]
    np.testing.assert_array_equal(augment_batch(images[chosen], augmentation, 7, 2, indices[chosen]), together[chosen])
    for i in range(40):
        alone = augment_batch(images[i : i + 1], augmentation, 7, 2, indices[i : i + 1])
        np.testing.assert_array_equal(alone[0], together[i])


@for_each
def test_seed_epoch_stream_and_index_draw_apart(augmentation):
    images = np.repeat(random_images(1), 40, axis=0)
    base = augment_batch(images, augmentation, 1, 1, np.arange(40))
    for other in (
        augment_batch(images, augmentation, 2, 1, np.arange(40)),
        augment_batch(images, augmentation, 1, 2, np.arange(40)),
        augment_batch(images, augmentation, 1, 1, np.arange(40), stream=1),
        augment_batch(images, augmentation, 1, 1, np.arange(40, 80)),
    ):
        assert (other != base).any(axis=(1, 2, 3)).mean() > 0.3  # where p is 1/2, half have the same as before


def test_neutral_amounts_change_nothing():
    images = random_images(channels=3)
    neutral = Augmentation(
        color_jitter=ColorJitter(), sharpness=Sharpness(0.0), blur=GaussianBlur(0.0), erasing=Erasing(0.0)
    )
    for augmentation in (neutral, Augmentation(sharpness=Sharpness(1.0, 1.0))):
        np.testing.assert_array_equal(augment_batch(images, augmentation, 0, 0, np.arange(6)), images)


def test_a_new_setting_leaves_the_draws_of_the_others():
    images = random_images(30)
    base = Augmentation(0.1, 0.2, 0.2, 0.2, True, 2)
    plain = augment_batch(images, base, 0, 0, np.arange(30))
    some = Augmentation(0.1, 0.2, 0.2, 0.2, True, 2, erasing=Erasing(0.5), blur=GaussianBlur(0.4))
    out = augment_batch(images, some, 0, 0, np.arange(30))
    same = (out == plain).all(axis=(1, 2, 3))
    assert 0.1 < same.mean() < 0.5  # 0.5 * 0.6 have neither
    only_blur = augment_batch(images, replace(some, erasing=None), 0, 0, np.arange(30))
    blurred = (only_blur != plain).any(axis=(1, 2, 3))
    assert not (same & blurred).any()


def test_what_earlier_versions_gave_is_what_comes_now():
    """Committed results depend on it. Whole pixels and levels only: those of no version of OpenCV."""
    images = random_images(50, 32, 32, 3)
    augmentation = Augmentation(brightness=0.2, horizontal_flip=True, crop_padding=4)
    out = augment_batch(images, augmentation, 7, 3, 997 * np.arange(50), stream=1)
    assert (
        hashlib.sha256(out.tobytes()).hexdigest() == "70323789e3e0ade4d932f8b92f9254409fb231ffcd1d87b3031ae6f0283a8913"
    )


def test_the_new_draws_are_pinned():
    draws = Draws(42, 3, 0, np.array([0, 49_999]))
    numbers = [draws.uniform(purpose, 1)[1, 0] for purpose in Purpose]
    assert len(set(numbers)) == len(Purpose)
    assert [int(purpose) for purpose in Purpose] == list(range(1, 14))
    pinned = [
        0.3977068282876812, 0.05035508529174271, 0.6554899088097511, 0.5272662141818043, 0.5121873114973228,
        0.840893160497799, 0.9805826979460751, 0.5036040446488249, 0.841329294883179, 0.5749367476736706,
        0.09980601908878783, 0.30342293465014925, 0.6017971999689973,
    ]  # fmt: skip
    np.testing.assert_allclose(numbers, pinned, rtol=1e-12)
    steps = [draws.uniform(Purpose.RAND_AUGMENT, 2, step)[0, 0] for step in (None, 0, 1)]
    assert len(set(steps)) == 3


def test_the_tables_of_an_epoch_are_kept_and_those_of_past_epochs_let_go():
    _uniform_table.cache_clear()
    for epoch in range(20):
        for _ in range(2):
            augment_batch(random_images(1), replace(EACH["all"], policy="auto_augment"), 0, epoch, np.arange(1))
    found = _uniform_table.cache_info()
    assert (found.misses, found.hits) == (200, 200)
    assert found.currsize <= 16


def test_each_change_has_its_own_draws(monkeypatch):
    """Committed results depend on the purpose and the number of columns of every table."""
    seen, uniform = [], Draws.uniform
    monkeypatch.setattr(Draws, "uniform", lambda self, *key: seen.append(key) or uniform(self, *key))
    for augmentation in (replace(EACH["all"], policy="auto_augment"), EACH["trivial_augment"]):
        augment_batch(random_images(1), augmentation, 0, 0, np.arange(1))
    of_all = [(1, 8), (3, 1), (4, 2, 0), (4, 2, 1), (13, 5), (5, 8), (6, 1), (7, 2), (8, 2), (9, 5)]
    assert seen == [*of_all, (1, 8), (12, 3)]


def test_vertical_flip_turns_its_share_upside_down():
    images = np.broadcast_to(np.arange(5, dtype=np.uint8)[:, None, None], (20_000, 5, 2, 1))
    out = augment_batch(images, Augmentation(vertical_flip=0.05), 0, 0, np.arange(20_000))
    turned = out[:, 0, 0, 0] == 4
    np.testing.assert_array_equal(out[turned], images[turned, ::-1])
    np.testing.assert_array_equal(out[~turned], images[~turned])
    assert abs(turned.mean() - 0.05) < 0.008  # 5 standard deviations


def test_changes_come_in_the_order_that_is_documented(monkeypatch):
    seen = []
    for name in ("flip_and_crop", "warp", "add_brightness"):
        monkeypatch.setattr(steps, name, lambda images, *_, name=name: seen.append(name) or images)
    for kind in (RandAugment, ColorJitter, Sharpness, GaussianBlur, Cutout, Erasing):
        monkeypatch.setattr(kind, "apply", lambda self, *_: seen.append(type(self).__name__))
    monkeypatch.setitem(policies.POLICIES, "auto_augment", lambda *_: seen.append("policy"))
    augment_batch(random_images(1, 9, 9), replace(EACH["all"], policy="auto_augment"), 0, 0, np.arange(1))
    geometry, color = ["flip_and_crop", "warp", "RandAugment", "policy", "add_brightness"], ["ColorJitter", "Sharpness"]
    assert seen == [*geometry, *color, "GaussianBlur", "Cutout", "Erasing"]


@pytest.mark.parametrize(
    "kind, settings",
    [
        (Augmentation, {"rotation": -0.1}),
        (Augmentation, {"rotation": True}),
        (Augmentation, {"zoom": 1}),
        (Augmentation, {"translation": 1.5}),
        (Augmentation, {"brightness": float("nan")}),
        (Augmentation, {"brightness": "0.2"}),
        (Augmentation, {"horizontal_flip": 1}),
        (Augmentation, {"crop_padding": -1}),
        (Augmentation, {"crop_padding": 2.5}),
        (Augmentation, {"fill": "wrap"}),
        (Augmentation, {"vertical_flip": 1.5}),
        (Augmentation, {"vertical_flip": True}),
        (Augmentation, {"cutout": 16}),
        (Augmentation, {"erasing": 0.2}),
        (Augmentation, {"color_jitter": (0.4, 0.4)}),
        (Augmentation, {"rand_augment": Cutout(3)}),
        (Augmentation, {"sharpness": 0.1}),
        (Augmentation, {"blur": "yes"}),
        (Cutout, {"side": 0}),
        (Cutout, {"side": 2.0}),
        (Cutout, {"side": 3, "fill": "noise"}),
        (Erasing, {"probability": 2}),
        (Erasing, {"probability": 0.1, "area": (0.1, 1.1)}),
        (Erasing, {"probability": 0.1, "area": (0.3, 0.1)}),
        (Erasing, {"probability": 0.1, "area": 0.2}),
        (Erasing, {"probability": 0.1, "aspect": (0, 1)}),
        (Erasing, {"probability": 0.1, "aspect": (0.5, float("inf"))}),
        (Erasing, {"probability": 0.1, "fill": "white"}),
        (ColorJitter, {"brightness": -0.1}),
        (ColorJitter, {"contrast": float("nan")}),
        (ColorJitter, {"saturation": "0.4"}),
        (ColorJitter, {"hue": 0.6}),
        (Sharpness, {"probability": -1}),
        (Sharpness, {"probability": 0.1, "factor": -1}),
        (GaussianBlur, {"probability": 1.1}),
        (GaussianBlur, {"probability": 0.1, "sigma": (0, 1.5)}),
        (GaussianBlur, {"probability": 0.1, "sigma": [0.1, 1.5]}),
        (GaussianBlur, {"probability": 0.1, "kernel_size": 4}),
        (GaussianBlur, {"probability": 0.1, "kernel_size": 1}),
        (RandAugment, {"num_operations": 0}),
        (RandAugment, {"magnitude": 31}),
        (RandAugment, {"magnitude": 4.5}),
        (RandAugment, {"operations": ()}),
        (RandAugment, {"operations": "rotate"}),
    ],
)
def test_refuses_settings_out_of_range(kind, settings):
    *_, (name, value) = settings.items()
    with pytest.raises(LwcnnError) as error:
        kind(**settings)
    assert str(error.value).endswith(f"Received: {name}={value!r}")


def test_numbers_of_numpy_become_pythons():
    settings = Augmentation(crop_padding=np.int64(4), brightness=np.float32(0.5))
    assert type(settings.crop_padding) is int and type(settings.brightness) is float and settings.brightness == 0.5


def test_an_unknown_operation_is_refused_with_the_nearest():
    with pytest.raises(LwcnnError, match="Did you mean 'equalize'.*Received: 'equalizes'"):
        RandAugment(operations=("identity", "equalizes"))
    assert len(OPERATIONS) == 14


@pytest.mark.parametrize("fill, mode", [("reflect", "symmetric"), ("constant", "constant")])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_crops_reach_beyond_the_image(fill, mode, channels):
    """Padding of more than the image's side mirrors it again, as NumPy does it."""
    images = random_images(30, 3, 5, channels)
    out = augment_batch(images, Augmentation(crop_padding=8, fill=fill), 0, 0, np.arange(30))
    padded = np.pad(images, ((0, 0), (8, 8), (8, 8), (0, 0)), mode=mode)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 5), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)
    for image, crops in zip(out, windows, strict=True):
        assert (crops == image).all(axis=(2, 3, 4)).any()


@pytest.mark.parametrize("name", [field.name for field in fields(Augmentation) if field.name != "fill"])
def test_every_setting_changes_images_and_is_documented(name):
    default = getattr(Augmentation(), name)
    value = next(value for one in EACH.values() if (value := getattr(one, name)) != default)
    images = random_images(40, 9, 9)
    assert (augment_batch(images, Augmentation(**{name: value}), 0, 0, np.arange(40)) != images).any()
    assert f"        {name}: " in Augmentation.__doc__
