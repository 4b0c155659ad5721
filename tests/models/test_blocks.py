"""The residual networks' blocks: stochastic depth, the rate of dropout, what is refused, counts."""

import keras
import numpy as np
import pytest
from keras import ops

from lwcnn.models.blocks import StochasticDepth, depthwise_block, squeeze_excite_layers
from lwcnn.models.cost import count_macs
from lwcnn.system.errors import LwcnnError


def test_stochastic_depth_skips_whole_images_and_keeps_the_mean():
    layer = StochasticDepth(0.25, seed=1)
    x = np.ones((4000, 2), np.float32)
    values = ops.convert_to_numpy(layer(x, training=True))
    assert set(np.unique(values)) == {0.0, np.float32(1 / 0.75)} and abs(values.mean() - 1) < 0.05
    np.testing.assert_array_equal(values[:, 0], values[:, 1])
    assert not np.array_equal(ops.convert_to_numpy(layer(x, training=True)), values)  # other draws
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x)), x)
    again = StochasticDepth.from_config(layer.get_config())
    np.testing.assert_array_equal(ops.convert_to_numpy(again(x, training=True)), values)


def test_the_rate_of_a_keras_dropout_does_not_act_after_compilation():
    """The extension's callback sets the attribute; the training function has the rate of its first call."""
    images = keras.Input((500,))
    dropout = keras.layers.Dropout(0.4, seed=0)
    model = keras.Model(images, dropout(images))
    model.compile(keras.optimizers.SGD(0.0), "mean_squared_error")
    x, y = np.ones((64, 500), np.float32), np.zeros((64, 500), np.float32)
    for rate in (0.4, 0.2):
        dropout.rate = rate
        assert abs(float(model.train_on_batch(x, y)) - 1 / (1 - 0.4)) < 0.03


def test_rates_out_of_range_are_refused():
    with pytest.raises(LwcnnError, match="Received: rate=-0.1"):
        StochasticDepth(-0.1)


def test_a_reduction_above_the_channels_is_refused():
    with pytest.raises(LwcnnError, match="reduce 8 channels by 1 to 8. Received: se_reduction=9"):
        squeeze_excite_layers(8, 9, "block")


def test_macs_of_a_block_by_hand():
    images = keras.Input((8, 8, 16))
    model = keras.Model(images, depthwise_block(images, 16, 2, 5, se_reduction=4, name="block"))
    # depthwise 8*8*16*25, expand and project 8*8*16*32 each, squeeze and excite 16*4 each
    assert count_macs(model) == 8 * 8 * 16 * 25 + 2 * 8 * 8 * 16 * 32 + 2 * 16 * 4
