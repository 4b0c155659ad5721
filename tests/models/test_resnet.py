"""The reference ResNets: counts, published tables, normalization, recipes, training on synthetic images."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops
from made_data import make_images

from lwcnn.data.augment import MixUpCutMix
from lwcnn.data.images import Images, Split
from lwcnn.experiments.pipeline import train_experiment
from lwcnn.experiments.recipes import get_experiment
from lwcnn.experiments.recipes.types import NetworkExperiment
from lwcnn.experiments.sequence import PhaseSequence
from lwcnn.models.baselines.resnet import build_resnet, resnet_block
from lwcnn.models.configs import NARROW_RESNET18, RESNET_4443, SE_RESNET, ResNetConfig, ResNetStage
from lwcnn.publication.claims import CLAIMS
from lwcnn.system.errors import LwcnnError
from lwcnn.system.settings import plain_settings
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Phase

# Published parameters by component. Only the total of the SE-ResNet's table is right. The terms of the formula for the
# ResNet [4,4,4,3] sum to 5,090,656; its text says 4.87 million.
SE_RESNET_PUBLISHED = {"stem": 27_648, "blocks": 4_512_320, "squeeze-and-excitation": 190_832, "head": 174_630}
RESNET_4443_PUBLISHED = {"stem": 864, "blocks": 4 * 18_432 + 4 * 73_728 + 4 * 294_912 + 3 * 1_179_648, "head": 2_560}

TINY = ResNetConfig(stem=8, stages=(ResNetStage(8, 1), ResNetStage(12, 1, 2)), dropout=0.1)


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.fixture(scope="module")
def models():
    descriptions = {"se": SE_RESNET, "4443": RESNET_4443, "narrow": NARROW_RESNET18}
    return {name: build_resnet((32, 32, 3), 10, description) for name, description in descriptions.items()}


@pytest.mark.parametrize(
    "name, in_all, trained",
    [
        ("4443", 4_761_834, 4_754_218),
        ("narrow", 2_802_410, 2_797_610),
        ("se", 4_915_168, 4_905_430),  # the count claimed
    ],
)
def test_counts(models, name, in_all, trained):
    model = models[name]
    assert (model.count_params(), trainable(model)) == (in_all, trained)
    assert model.output_shape == (None, 10)


@pytest.mark.parametrize("name, side, blocks", [("se", 8, 11), ("4443", 4, 15), ("narrow", 4, 8)])
def test_depth_and_last_resolution(models, name, side, blocks):
    model = models[name]
    assert model.get_layer("features").input.shape[1:3] == (side, side)
    assert sum(layer.name.endswith("_add") for layer in model.layers) == blocks


def component_counts(model):
    counts = dict.fromkeys(SE_RESNET_PUBLISHED, 0)
    for layer in model.layers:
        if layer.name.endswith(("_squeeze", "_excite")):
            component = "squeeze-and-excitation"
        else:
            component = {"stem": "stem", "head": "head"}.get(layer.name.split("_")[0], "blocks")
        counts[component] += trainable(layer)
    return counts


def test_published_component_counts_are_not_those_of_the_networks(models):
    built = component_counts(models["se"])
    assert built == {"stem": 2_784, "blocks": 4_847_700, "squeeze-and-excitation": 52_136, "head": 2_810}
    assert sum(built.values()) == sum(SE_RESNET_PUBLISHED.values()) == 4_905_430
    assert all(built[name] != SE_RESNET_PUBLISHED[name] for name in built)
    (claim,) = (claim for claim in CLAIMS if claim["what"] == "parameters by component")
    for name in built:
        assert f"{name} {SE_RESNET_PUBLISHED[name]:,}" in claim["claimed"] and f"{built[name]:,}" in claim["built"]
    built = component_counts(models["4443"])
    assert (built["stem"], built["head"]) == (928, 2_570)
    assert (sum(built.values()), sum(RESNET_4443_PUBLISHED.values())) == (4_754_218, 5_090_656)


def test_the_normalization_is_that_of_the_images():
    images = make_images(50, (12, 12, 3))[0]
    statistics = Images(images, np.zeros(len(images), int)).channel_statistics()
    model = build_resnet((12, 12, 3), 10, replace(TINY, normalization=statistics))
    trunk = keras.Model(model.inputs, model.get_layer("normalization").output)
    normalized = trunk.predict(images, verbose=0)
    np.testing.assert_allclose(normalized.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(normalized.std((0, 1, 2)), 1, atol=1e-4)
    assert model.count_params() == build_resnet((12, 12, 3), 10, TINY).count_params()


def test_a_model_with_its_normalization_survives_saving(tmp_path):
    images = make_images(6, (12, 12, 3))[0]
    statistics = Images(images, np.zeros(len(images), int)).channel_statistics()
    model = build_resnet((12, 12, 3), 10, replace(TINY, normalization=statistics))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), model.predict(images, verbose=0))


def test_a_small_image_a_large_reduction_and_an_unknown_block_are_refused():
    stages = (ResNetStage(8, 1),)
    with pytest.raises(LwcnnError, match="at least 8 for a ResNet. Received"):
        build_resnet((7, 9, 3), 10, ResNetConfig(8, stages))
    with pytest.raises(LwcnnError, match="reduce 8 channels by 1 to 8. Received: se_reduction=16"):
        build_resnet((16, 16, 3), 10, ResNetConfig(8, stages, se_reduction=16))
    with pytest.raises(LwcnnError, match="Unknown block. Did you mean 'bottleneck'"):
        build_resnet((16, 16, 3), 10, ResNetConfig(8, stages, block="botleneck"))


def test_the_recipes_are_those_described():
    se, basic, narrow = (get_experiment(name, "full") for name in ("se_resnet", "resnet_4443", "narrow_resnet18"))
    phases = [plan.phases[0] for plan in (se, basic, narrow)]
    assert [phase.epochs for phase in phases] == [70, 100, 250]
    assert [phase.batch_size for phase in phases] == [256, 128, 128]
    assert {(p.optimizer.name, p.optimizer.momentum, p.optimizer.learning_rate) for p in phases} == {("sgd", 0.9, 0.1)}
    # A decay that goes through the momentum counts ten times one that does not, as Keras's.
    assert [p.optimizer.weight_decay for p in phases] == [1e-3, 5e-3, 5e-3]
    assert [p.optimizer.warmup for p in phases] == [0.0, 0.0, 0.1]
    assert [p.label_smoothing for p in phases] == [0.0, 0.0, 0.05]
    first, second, third = (phase.augmentation for phase in phases)
    assert (first.rotation, first.crop_padding, first.horizontal_flip) == (10 / 360, 4, True)
    assert (first.sharpness.probability, first.erasing.probability) == (0.1, 0.2) and first.color_jitter
    assert (second.vertical_flip, second.crop_padding) == (0.05, 2)
    assert (second.blur.probability, second.blur.sigma, second.blur.kernel_size) == (0.3, (0.1, 1.5), 3)
    assert phases[1].mixing == MixUpCutMix(0.0, 1.0, probability=0.5)
    assert (third.crop_padding, third.cutout.side) == (4, 16)


def test_a_cosine_without_warm_up_begins_at_the_full_rate():
    rate = OptimizerConfig("sgd", 0.1, 0.9, warmup=0.0).build(10).learning_rate
    assert float(rate) == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["se_resnet", "resnet_4443", "narrow_resnet18"])
def test_every_recipe_trains_a_small_network_with_falling_loss(name):
    """The recipe's own phases, but for the network, the batch and the number of epochs."""
    plan = get_experiment(name, "smoke")
    settings = {"epochs": 2, "batch_size": 50}
    phases = tuple(Phase(**{**vars(phase), **settings}) for phase in plan.phases)
    bottleneck = {"block": "bottleneck", "inner": 0.5, "kernel_sizes": (3, 3, 3), "se_reduction": 4, "se_bias": False}
    network = ResNetConfig(8, TINY.stages, activation="leaky_relu", **(bottleneck if name == "se_resnet" else {}))
    small = NetworkExperiment(name=name, question="?", network=network, phases=phases)
    training, validation = (Images(*make_images(count, (12, 12, 3), seed=count)) for count in (400, 50))
    sequence = PhaseSequence(Split(training, validation), 10, seed=0)
    model = train_experiment(small, sequence)
    losses = [record["loss"] for record in sequence.records[0]["history"]]
    assert losses[-1] < losses[0]
    layer = model.get_layer("normalization")
    np.testing.assert_allclose(np.ravel(layer.mean), training.channel_statistics()[0], rtol=1e-5)
    assert json.dumps(plain_settings(small))


def test_the_dropout_of_a_block_drops_whole_channels():
    images = keras.Input((6, 6, 16))
    model = keras.Model(images, resnet_block(images, ((16, 3, 1), (16, 3, 1)), "block", dropout=0.5))
    values = ops.convert_to_numpy(model.get_layer("block_dropout")(np.ones((50, 6, 6, 16), np.float32), training=True))
    assert (values == values[:, :1, :1]).all() and set(np.unique(values)) == {0.0, 2.0}
    assert 0.4 < (values[:, 0, 0] == 0).mean() < 0.6
