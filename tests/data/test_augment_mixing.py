"""MixUp and CutMix: pixels and labels by hand, shares, draws, and the batches that use them."""

import numpy as np
import pytest
from scipy.stats import beta, kstest

from lwcnn.data.augment import PAPER_AUGMENTATION, MixUpCutMix
from lwcnn.data.augment.mixing import Mix, draw_mix, mix_images, mix_labels
from lwcnn.data.batches import Batches
from lwcnn.data.images import Images
from lwcnn.system.errors import LwcnnError

MIXUP, CUTMIX = MixUpCutMix(cutmix_alpha=0), MixUpCutMix(mixup_alpha=0)


def apply(images, labels, num_classes, mix):
    return mix_images(images, mix), mix_labels(labels, num_classes, mix)


def mix_batch(images, labels, num_classes, mixing, seed, epoch, batch):
    return apply(images, labels, num_classes, draw_mix(mixing, *images.shape[1:3], seed, epoch, batch))


def constant_images(levels, height=8, width=6, channels=3):
    levels = np.array(levels, np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (len(levels), height, width, channels)).copy()


def test_mixup_by_hand():
    images, labels = constant_images([0, 100, 201]), np.array([2, 0, 1])
    mixed, soft = apply(images, labels, 3, Mix(0.75))
    # With the one before, the first with the last: 0.25 * 201 = 50.25, 75, 0.75 * 201 + 0.25 * 100 = 175.75.
    assert mixed.dtype == np.uint8 and mixed[:, 0, 0, 0].tolist() == [50, 75, 176]
    assert (mixed == mixed[:, :1, :1, :1]).all()
    assert soft.dtype == np.float32
    assert soft.tolist() == [[0, 0.25, 0.75], [0.75, 0, 0.25], [0.25, 0.75, 0]]


def test_cutmix_by_hand():
    images, labels = constant_images([10, 20], 4, 5), np.array([0, 1])
    mixed, soft = apply(images, labels, 2, Mix(1 - 6 / 20, (1, 3, 2, 5)))
    expected = np.full((4, 5, 3), 10)
    expected[1:3, 2:5] = 20
    np.testing.assert_array_equal(mixed[0], expected)
    np.testing.assert_array_equal(mixed[1], 30 - expected)
    np.testing.assert_allclose(soft, [[0.7, 0.3], [0.3, 0.7]], rtol=1e-6)


def test_labels_alike_stay_hard_and_a_batch_of_one_stays():
    images, labels = constant_images([10, 20]), np.array([1, 1])
    for mixing in (MIXUP, CUTMIX):
        _, soft = mix_batch(images, labels, 3, mixing, 0, 0, 0)
        np.testing.assert_allclose(soft, [[0, 1, 0]] * 2, atol=1e-6)
        alone, soft = mix_batch(images[:1], labels[:1], 3, mixing, 0, 0, 0)
        np.testing.assert_array_equal(alone, images[:1])
        np.testing.assert_allclose(soft, [[0, 1, 0]], atol=1e-6)


@pytest.mark.parametrize("shape", [(8, 6, 3), (7, 9, 1), (32, 32, 3)])
def test_cutmix_labels_are_the_exact_share_of_pixels(shape):
    images, labels = constant_images([0, 1, 2], *shape), np.arange(3)
    for batch in range(200):
        mixed, soft = mix_batch(images, labels, 3, CUTMIX, 1, 2, batch)
        counts = np.stack([(mixed[..., 0] == level).mean(axis=(1, 2)) for level in range(3)], axis=1)
        np.testing.assert_allclose(soft, counts, atol=1e-6)
        assert len(np.unique(mixed)) == 3


def test_shares_follow_their_beta_distributions():
    mixups = [draw_mix(MIXUP, 8, 8, 0, epoch, 0).share for epoch in range(3000)]
    assert kstest(mixups, beta(0.2, 0.2).cdf).pvalue > 0.001
    assert kstest([draw_mix(MixUpCutMix(1.0, 0), 8, 8, 0, 0, b).share for b in range(3000)], "uniform").pvalue > 0.001
    # Boxes that no border cuts take what Beta(1, 1) says, up to the rounding of their sides to pixels.
    drawn = [draw_mix(CUTMIX, 1000, 1000, 0, 0, batch) for batch in range(6000)]
    heights = np.array([mix.box[1] - mix.box[0] for mix in drawn if mix.box[0] > 0 and mix.box[1] < 1000]) / 1000
    # A side is the root of the share; long ones are seldom uncut, which makes them Beta(2, 2).
    assert len(heights) > 1000 and abs(heights.mean() - 0.5) < 0.02 and abs((heights**2).mean() - 0.3) < 0.02
    tops = [mix.box[0] for mix in drawn]
    assert 0 in tops and max(mix.box[1] for mix in drawn) == 1000


def test_box_lies_around_a_uniform_pixel():
    boxes = np.array([draw_mix(MixUpCutMix(0, 20.0), 40, 30, 3, 0, batch).box for batch in range(4000)])
    assert boxes.min() >= 0 and boxes[:, 1].max() <= 40 and boxes[:, 3].max() <= 30
    assert (boxes[:, 0] <= boxes[:, 1]).all() and (boxes[:, 2] <= boxes[:, 3]).all()
    y, x = boxes[:, :2].sum(axis=1) / 80, boxes[:, 2:].sum(axis=1) / 60
    for middle in (y, x):
        assert abs(middle.mean() - 0.5) < 0.02 and middle.std() > 0.15
    assert abs(np.corrcoef(y, x)[0, 1]) < 0.06


def test_a_coin_is_tossed_between_them():
    mixes = [draw_mix(MixUpCutMix(), 8, 8, 0, 0, batch) for batch in range(4000)]
    assert None not in mixes
    assert abs(np.mean([mix.box is None for mix in mixes]) - 0.5) < 0.04
    assert all(draw_mix(MIXUP, 8, 8, 0, 0, b).box is None for b in range(50))
    assert all(draw_mix(CUTMIX, 8, 8, 0, 0, b).box is not None for b in range(50))


@pytest.mark.parametrize(
    "mixing, progress, expected",
    [
        (MixUpCutMix(), 0.0, 1.0),
        (MixUpCutMix(probability=0.3), 0.9, 0.3),
        (MixUpCutMix(probability=0.8, ramp=1.0), 0.0, 0.0),
        (MixUpCutMix(probability=0.8, ramp=1.0), 0.5, 0.4),
        (MixUpCutMix(probability=0.8, ramp=0.5), 0.25, 0.4),
        (MixUpCutMix(probability=0.8, ramp=0.5), 0.75, 0.8),
    ],
)
def test_probability_is_constant_or_rises(mixing, progress, expected):
    assert mixing.probability_at(progress) == pytest.approx(expected)
    drawn = [draw_mix(mixing, 8, 8, 5, 0, batch, progress) is not None for batch in range(3000)]
    assert abs(np.mean(drawn) - expected) < 0.045


def test_an_unmixed_batch_has_one_hot_labels_and_is_a_copy():
    images = constant_images([1, 2])
    same, soft = mix_batch(images, np.array([1, 0]), 2, MixUpCutMix(probability=0), 0, 0, 0)
    np.testing.assert_array_equal(same, images)
    assert not np.shares_memory(same, images)
    assert soft.dtype == np.float32 and soft.tolist() == [[0, 1], [1, 0]]


def test_seed_epoch_and_batch_decide_alone():
    draw = lambda *key: draw_mix(MixUpCutMix(), 32, 32, *key)  # noqa: E731
    assert draw(1, 2, 3) == draw(1, 2, 3)
    assert len({(mix.share, mix.box) for mix in (draw(1, 2, 3), draw(2, 2, 3), draw(1, 3, 3), draw(1, 2, 4))}) == 4
    images = np.random.default_rng(0).integers(0, 256, (5, 7, 9, 1), dtype=np.uint8)
    images.setflags(write=False)
    first, again = (mix_batch(images, np.arange(5), 5, MixUpCutMix(), 0, 0, 0) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


def test_the_draws_are_pinned():
    shares = [draw_mix(mixing, 32, 32, 42, 3, 7).share for mixing in (MIXUP, CUTMIX)]
    np.testing.assert_allclose(shares, [0.9999999044388809, 0.9755859375], rtol=1e-9)


@pytest.mark.parametrize(
    "settings", [{"mixup_alpha": -1}, {"cutmix_alpha": True}, {"probability": 1.2}, {"ramp": "linear"}, {"ramp": 2}]
)
def test_refuses_settings_out_of_range(settings):
    ((name, value),) = settings.items()
    with pytest.raises(LwcnnError, match=f"Received: {name}={value!r}"):
        MixUpCutMix(**settings)


def test_refuses_to_mix_by_nothing():
    with pytest.raises(LwcnnError, match="Received: 0 for both"):
        MixUpCutMix(0, 0)


@pytest.mark.parametrize("labels, num_classes", [([0, 3], 3), ([0, -1], 3), ([0, 1], None)])
def test_batches_refuse_to_mix_labels_beyond_the_classes(labels, num_classes):
    images = np.zeros((2, 4, 4, 3), np.uint8)
    with pytest.raises(LwcnnError, match=f"Received: num_classes={num_classes}, labels from {min(labels)}"):
        Batches(Images(images, labels), 2, 0, mixing=MixUpCutMix(), num_classes=num_classes)


# Batches


def textured(num_images=23):
    images = np.random.default_rng(5).integers(0, 256, (num_images, 8, 8, 3), dtype=np.uint8)
    return images, np.arange(num_images) % 4


def test_batches_are_mixed_after_augmentation_with_soft_labels():
    images = Images(*textured())
    settings = dict(batch_size=5, seed=3, branches=(PAPER_AUGMENTATION,))
    plain = Batches(images, **settings)
    mixed = Batches(images, **settings, mixing=MixUpCutMix(), num_classes=4)
    plain.set_epoch(2), mixed.set_epoch(2)
    assert len(mixed) == len(plain)
    for i in range(len(plain)):
        expected = mix_batch(*plain[i], 4, MixUpCutMix(), 3, 2, i)
        for got, wanted in zip(mixed[i], expected, strict=True):
            np.testing.assert_array_equal(got, wanted)
            assert got.dtype == wanted.dtype
    assert [len(mixed[i][1]) for i in range(5)] == [5, 5, 5, 5, 3]


def test_branches_are_mixed_alike_and_keep_one_label():
    batches = Batches(Images(*textured()), 6, seed=3, branches=(None, PAPER_AUGMENTATION), mixing=CUTMIX, num_classes=4)
    plain = Batches(Images(*textured()), 6, seed=3, branches=(None, PAPER_AUGMENTATION))
    (original, augmented), (labels, same_labels) = batches[0]
    np.testing.assert_array_equal(labels, same_labels)
    (before, augmented_before), (hard, _) = plain[0]
    for mixed, unmixed in ((original, before), (augmented, augmented_before)):
        np.testing.assert_array_equal(mixed, mix_batch(unmixed, hard, 4, CUTMIX, 3, 0, 0)[0])
    assert labels.shape == (6, 4)


def test_the_ramp_rises_from_batch_to_batch_and_stays_at_its_end(monkeypatch):
    given = []
    monkeypatch.setattr("lwcnn.data.batches.draw_mix", lambda *arguments: given.append(arguments[-1]))
    for epoch in range(3):
        batches = Batches(Images(*textured(8)), 2, 0, mixing=MixUpCutMix(ramp=1.0), num_classes=4, num_epochs=2)
        batches.set_epoch(epoch)
        for i in range(4):
            batches[i]
    assert given == [0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1, 1, 1, 1]
