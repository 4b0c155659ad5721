"""Multiply-accumulates against counts by hand."""

import keras
import pytest
from keras import layers

from lwcnn.models.cost import count_macs
from lwcnn.models.dual import build_dual_model, build_merged_model, build_submodel
from lwcnn.system.errors import LwcnnError

SUBMODEL_CONVS = 30 * 30 * 10 * 27 + 13 * 13 * 20 * 90  # on 32x32x3
MERGED = 2 * (SUBMODEL_CONVS + 7_200) + 640 + 320


def test_the_papers_models():
    assert count_macs(build_merged_model((32, 32, 3), 10)) == MERGED
    submodels = [build_submodel((32, 32, 3), 10, name) for name in ("original", "augmented")]
    assert count_macs(submodels[0]) == SUBMODEL_CONVS + 7_200
    # The dual model shares its layers with the submodels: what they are called on there does not count.
    assert count_macs(build_dual_model(submodels)) == 2 * (SUBMODEL_CONVS + 7_200)
    assert count_macs(submodels[0]) == SUBMODEL_CONVS + 7_200


def test_odd_maps_of_28_pixels():
    # conv 26x26, pooled 13x13, conv 11x11, pooled 5x5
    assert count_macs(build_submodel((28, 28, 1), 10)) == 26**2 * 90 + 11**2 * 1_800 + 5_000


def of_one(layer, shape=(8, 10, 6)):
    image = keras.Input(shape)
    return count_macs(keras.Model(image, layer(image)))


@pytest.mark.parametrize(
    "layer, expected",
    [
        (layers.Conv2D(4, 3), 6 * 8 * 4 * 9 * 6),
        (layers.Conv2D(4, 3, padding="same", use_bias=False), 8 * 10 * 4 * 9 * 6),
        (layers.Conv2D(4, (3, 5), strides=2, padding="same"), 4 * 5 * 4 * 15 * 6),
        (layers.Conv2D(4, 3, dilation_rate=2), 4 * 6 * 4 * 9 * 6),
        (layers.Conv2D(4, 3, groups=2), 6 * 8 * 4 * 9 * 3),
        (layers.Conv2D(5, 3, data_format="channels_first"), 8 * 4 * 5 * 9 * 8),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), 6 * 8 * 9 * 12),
        (layers.SeparableConv2D(5, 3, strides=2), 3 * 4 * (9 * 6 + 6 * 5)),
        (layers.Dense(7), 8 * 10 * 6 * 7),
        (layers.BatchNormalization(), 0),
        (layers.PReLU(shared_axes=[1, 2]), 0),
        (layers.GlobalAveragePooling2D(), 0),
    ],
)
def test_layers(layer, expected):
    assert of_one(layer) == expected


def test_sequences_count_and_a_lookup_is_no_multiplication():
    assert of_one(layers.Conv1D(4, 3), (10, 6)) == 8 * 4 * 3 * 6
    assert of_one(layers.Embedding(10, 4), (5,)) == 0


def test_tensors_given_by_keyword_count():
    image = keras.Input((8,))
    assert count_macs(keras.Model(image, layers.Dense(10)(inputs=image))) == 80


def test_dense_on_a_map_of_one_pixel_counts_as_on_a_vector():
    assert of_one(layers.Dense(10), (1, 1, 720)) == of_one(layers.Conv2D(10, 1), (1, 1, 720)) == 7_200
    assert of_one(layers.Dense(10), (720,)) == 7_200


def test_nested_models_and_shared_layers_count_at_each_call():
    image = keras.Input((8, 8, 3))
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(3, 3, padding="same"), layers.ReLU()])
    conv = layers.Conv2D(3, 1)
    x = conv(inner(image))
    x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(conv(x) + 1.0)  # on 8x8, then on 4x4; an operation that is no layer between
    model = keras.Model(image, layers.Dense(2)(x))
    inside = 64 * 3 * 27
    assert count_macs(inner) == inside
    assert count_macs(model) == inside + 64 * 9 + 16 * 9 + 48 * 2
    outer = keras.Input((8, 8, 3))
    twice = keras.Model(outer, layers.Concatenate()([model(outer), model(outer)]))
    assert count_macs(twice) == 2 * count_macs(model)


def test_unsupported_models_are_refused():
    with pytest.raises(LwcnnError, match="Received: Conv2DTranspose"):
        of_one(layers.Conv2DTranspose(4, 3))
    with pytest.raises(LwcnnError, match="fixed image shape.*None"):
        of_one(layers.Conv2D(4, 3), (None, None, 3))
    with pytest.raises(LwcnnError, match="a built sequential model"):
        count_macs(keras.Sequential([layers.Dense(3)]))
    with pytest.raises(LwcnnError, match="Received: .*int"):
        count_macs(3)

    class Subclassed(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(LwcnnError, match="Subclassed"):
        count_macs(Subclassed())
