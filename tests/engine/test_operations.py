"""Each operation of the engine against its Keras layer: output, gradients of inputs and weights."""

import keras
import numpy as np
import pytest
from keras import layers
from scipy.stats import norm

from lwcnn.engine.keras_internals import Unsupported
from lwcnn.engine.losses import find_loss
from lwcnn.engine.match import OPERATIONS, unsupported_layer
from lwcnn.engine.operations.activations import _gelu
from lwcnn.models.layers import SoftVoting

MAP = (3, 7, 6, 8)  # odd and even, so that strides do not divide
FUNCTIONS = (*("relu", "relu6", "leaky_relu", "hard_silu", "sigmoid", "tanh", "silu", "gelu", "softmax", "linear"),)
CASES = {
    **{f"activation_{name}": (lambda name=name: layers.Activation(name), MAP) for name in FUNCTIONS},
    "relu": (layers.ReLU, MAP),
    "relu_limited": (lambda: layers.ReLU(max_value=1.1), MAP),
    "relu_sloped": (lambda: layers.ReLU(negative_slope=0.1), MAP),
    "leaky_relu": (lambda: layers.LeakyReLU(0.3), MAP),
    "prelu": (layers.PReLU, MAP),
    "prelu_shared": (lambda: layers.PReLU(shared_axes=[1, 2]), MAP),
    "softmax": (layers.Softmax, (4, 5)),
    "dense": (lambda: layers.Dense(5, "relu"), (4, 3)),
    "dense_on_maps": (lambda: layers.Dense(5, "silu", use_bias=False), MAP),
    "dense_softmax": (lambda: layers.Dense(5, "softmax"), (4, 3)),
    "conv_1x1": (lambda: layers.Conv2D(5, 1, activation="gelu"), MAP),
    "conv_1x1_strided": (lambda: layers.Conv2D(5, 1, strides=2), MAP),
    "conv_3x3": (lambda: layers.Conv2D(5, 3, activation="relu"), MAP),
    "conv_3x3_same": (lambda: layers.Conv2D(5, 3, padding="same", use_bias=False), MAP),
    "conv_3x3_strided": (lambda: layers.Conv2D(5, 3, strides=2, padding="same", activation="hard_silu"), MAP),
    "conv_5x2": (lambda: layers.Conv2D(4, (5, 2), strides=(1, 3), activation="tanh"), MAP),
    "conv_4x4_same": (lambda: layers.Conv2D(4, 4, strides=(3, 1), padding="same"), MAP),
    "conv_larger_than_map": (lambda: layers.Conv2D(4, 9, padding="same"), MAP),
    "conv_1d": (lambda: layers.Conv1D(4, 3, strides=2, padding="same", activation="relu"), (3, 8, 5)),
    "conv_1d_of_one_channel": (lambda: layers.Conv1D(1, 5, padding="same", use_bias=False), (3, 8, 1)),
    "conv_layer_as_activation": (lambda: layers.Conv2D(4, 3, activation=layers.LeakyReLU(0.1)), MAP),
    "depthwise_3x3": (lambda: layers.DepthwiseConv2D(3, padding="same", activation="relu"), MAP),
    "depthwise_strided": (lambda: layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False), MAP),
    "depthwise_valid": (lambda: layers.DepthwiseConv2D(3, strides=2), (2, 7, 8, 5)),
    "depthwise_5x3": (lambda: layers.DepthwiseConv2D((5, 3), padding="same"), (2, 4, 6, 3)),
    "separable": (lambda: layers.SeparableConv2D(5, 3, padding="same", activation="relu"), MAP),
    "separable_strided": (lambda: layers.SeparableConv2D(4, 5, strides=2, padding="same"), (2, 6, 7, 3)),
    "max_pool_2": (layers.MaxPooling2D, MAP),
    "max_pool_2_same": (lambda: layers.MaxPooling2D(padding="same"), MAP),
    "max_pool_3": (lambda: layers.MaxPooling2D(3, strides=2, padding="same"), MAP),
    "max_pool_3x2": (lambda: layers.MaxPooling2D((3, 2), strides=(1, 3)), MAP),
    "average_pool_2": (lambda: layers.AveragePooling2D(2), MAP),
    "average_pool_3": (lambda: layers.AveragePooling2D(3, strides=2, padding="same"), MAP),
    "average_pool_4x1": (lambda: layers.AveragePooling2D((4, 1), strides=1), MAP),
    "global_average": (layers.GlobalAveragePooling2D, MAP),
    "global_average_keepdims": (lambda: layers.GlobalAveragePooling2D(keepdims=True), MAP),
    "global_max": (layers.GlobalMaxPooling2D, MAP),
    "global_max_keepdims": (lambda: layers.GlobalMaxPooling2D(keepdims=True), MAP),
    "batch_norm": (lambda: layers.BatchNormalization(momentum=0.8), MAP),
    "batch_norm_of_vectors": (lambda: layers.BatchNormalization(epsilon=1e-2), (9, 5)),
    "batch_norm_plain": (lambda: layers.BatchNormalization(center=False, scale=False), MAP),
    "batch_norm_frozen": (lambda: layers.BatchNormalization(trainable=False), MAP),
    "add": (layers.Add, MAP, MAP, MAP),
    "add_broadcast": (layers.Add, MAP, (3, 1, 1, 8)),
    "multiply": (layers.Multiply, MAP, (3, 1, 1, 8)),
    "average": (layers.Average, MAP, MAP),
    "soft_voting": (SoftVoting, (6, 4), (6, 4), (6, 4)),
    "concatenate": (layers.Concatenate, MAP, (3, 7, 6, 3)),
    "concatenate_rows": (lambda: layers.Concatenate(axis=1), MAP, (3, 2, 6, 8)),
    "zero_padding": (lambda: layers.ZeroPadding2D(((1, 2), (0, 3))), MAP),
    "flatten": (layers.Flatten, MAP),
    "reshape": (lambda: layers.Reshape((6, -1)), MAP),
    "identity": (layers.Identity, MAP),
    "dropout_of_nothing": (lambda: layers.Dropout(0.0), MAP),
    "rescaling": (lambda: layers.Rescaling(2.0, offset=-1.0), MAP),
    "rescaling_by_channel": (lambda: layers.Rescaling([0.5, 2.0, 3.0], offset=[0.0, 1.0, 2.0]), (2, 4, 5, 3)),
    "normalization": (lambda: layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[0.5, 2.0, 3.0]), (2, 4, 5, 3)),
}


def built(make, shapes):
    """A layer that was called on symbolic inputs, with random weights, and inputs that hold ties and zeros."""
    generator = np.random.default_rng(0)
    inputs = [generator.standard_normal(shape).astype(np.float32) * 2 for shape in shapes]
    for x in inputs:
        x[..., -1] = np.round(x[..., -1])
    layer, symbols = make(), [keras.Input(shape[1:]) for shape in shapes]
    layer(symbols if len(symbols) > 1 else symbols[0])
    for variable in layer.weights:
        variable.assign(generator.uniform(0.5, 1.5, variable.shape) * generator.choice([-1, 1], variable.shape))
        if variable.name == "moving_variance":
            variable.assign(np.abs(variable))
    return layer, inputs


@pytest.mark.parametrize("name", CASES)
def test_operations_equal_their_layers(name):
    tensorflow = pytest.importorskip("tensorflow")
    make, *shapes = CASES[name]
    layer, inputs = built(make, shapes)
    assert unsupported_layer(layer) is None
    arrays = {id(v): np.array(keras.ops.convert_to_numpy(v)) for v in layer.weights}
    gradients = {id(v): np.zeros(v.shape, np.float32) for v in layer.trainable_weights}
    operation = OPERATIONS[type(layer)](layer, lambda v: (arrays[id(v)], gradients.get(id(v))))

    tensors = [tensorflow.constant(x) for x in inputs]
    with tensorflow.GradientTape() as tape:
        tape.watch(tensors)
        expected = layer(tensors if len(tensors) > 1 else tensors[0], training=True)
        weight = np.random.default_rng(1).standard_normal(expected.shape).astype(np.float32)
        loss = keras.ops.sum(expected * weight)
    by_inputs, by_weights = tape.gradient(loss, [tensors, [v.value for v in layer.trainable_weights]])

    originals = [x.copy() for x in inputs]
    found = operation.forward(*inputs, training=True)
    close(found, expected)
    given = weight.copy()
    ours = operation.backward(given, *[True] * len(inputs))
    for gradient, theirs in zip(ours if isinstance(ours, list) else [ours], by_inputs, strict=True):
        close(gradient, theirs)
    for variable, theirs in zip(layer.trainable_weights, by_weights, strict=True):
        # Where tanh is nearly 1, its slope 1 - y^2 holds little but the rounding of y, which differs between CPUs.
        close(gradients[id(variable)], theirs, share=2e-6 if name == "conv_5x2" else 1e-6)
    for variable in layer.non_trainable_weights:
        close(arrays[id(variable)], variable)
    np.testing.assert_array_equal(given, weight)  # what was given is as it was
    for x, original in zip(inputs, originals, strict=True):
        np.testing.assert_array_equal(x, original)


LOSSES = {
    "sparse": (keras.losses.SparseCategoricalCrossentropy, {}),
    "dense": (keras.losses.CategoricalCrossentropy, {}),
    "smoothed": (keras.losses.CategoricalCrossentropy, {"label_smoothing": 0.2}),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("outputs", ["logits", "softmax"])
def test_cross_entropies(name, outputs):
    """Keras computes the loss of a softmax from its logits."""
    tensorflow = pytest.importorskip("tensorflow")
    kind, settings = LOSSES[name]
    loss = kind(from_logits=outputs == "logits", **settings)
    generator = np.random.default_rng(0)
    x, labels = generator.standard_normal((6, 4)).astype(np.float32), generator.integers(0, 4, 6)
    x[0] = [200, 0, -100, 50]
    labels[:2] = 2, 1
    truth = labels if name == "sparse" else np.eye(4, dtype=np.float32)[labels]
    tensor = tensorflow.constant(x)
    with tensorflow.GradientTape() as tape:
        tape.watch(tensor)
        expected = loss(truth, keras.ops.softmax(tensor) if outputs == "softmax" else tensor) * len(x)
    total, gradient, right = find_loss(loss)(x, truth)
    assert total == pytest.approx(float(expected), rel=1e-5)
    close(gradient, tape.gradient(expected, tensor))
    assert right == (x.argmax(axis=1) == labels).sum()


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", keras.losses.categorical_crossentropy])
def test_losses_by_name_and_function_take_probabilities(loss):
    assert not find_loss(loss).from_logits


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        ("mse", "mean_squared_error.* is not a categorical cross-entropy"),
        (keras.losses.SparseCategoricalCrossentropy(ignore_class=1), "has ignore_class=1"),
        (keras.losses.CategoricalCrossentropy(axis=1), "has axis=1"),
        (keras.losses.CategoricalCrossentropy(reduction="sum"), "has reduction='sum'"),
    ],
)
def test_an_unknown_loss_or_setting_is_named(loss, reason):
    with pytest.raises(Unsupported, match=reason):
        find_loss(loss)


def close(actual, expected, share=1e-6):
    expected = keras.ops.convert_to_numpy(expected)
    assert actual.dtype == np.float32
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=share * (1 + np.abs(expected).max()))


UNKNOWN = {
    "norm (BatchNormalization) has axis=1": lambda: layers.BatchNormalization(axis=1, name="norm"),
    "conv (Conv2D) has groups=2": lambda: layers.Conv2D(4, 3, groups=2, name="conv"),
    "conv (Conv2D) has dilation_rate=(2, 2)": lambda: layers.Conv2D(4, 3, dilation_rate=2, name="conv"),
    "conv (Conv2D) has activation='mish'": lambda: layers.Conv2D(4, 3, activation="mish", name="conv"),
    "conv (Conv2D) has compute_dtype='bfloat16'": lambda: layers.Conv2D(4, 3, dtype="mixed_bfloat16", name="conv"),
    "row (Conv1D) has padding='causal'": lambda: layers.Conv1D(4, 3, padding="causal", name="row"),
    "act (Activation) has activation='mish'": lambda: layers.Activation("mish", name="act"),
    "act (ReLU) has threshold=0.2": lambda: layers.ReLU(threshold=0.2, name="act"),
    "soft (Softmax) has axis=1": lambda: layers.Softmax(axis=1, name="soft"),
    "wide (DepthwiseConv2D) has depth_multiplier=2": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, name="wide"),
    "pool (MaxPooling2D) has pool_size=(300, 300)": lambda: layers.MaxPooling2D(300, padding="same", name="pool"),
    "drop (Dropout) has rate=1": lambda: layers.Dropout(1, name="drop"),
    "up (UpSampling2D) is not supported": lambda: layers.UpSampling2D(name="up"),
}


@pytest.mark.parametrize("reason", UNKNOWN)
def test_an_unknown_layer_or_setting_is_named(reason):
    layer, _ = built(UNKNOWN[reason], [MAP[1:] if "Conv1D" in reason else MAP])
    assert unsupported_layer(layer) == reason


@pytest.mark.parametrize(
    "activation", [layers.ELU, layers.PReLU, lambda: layers.Dropout(0.5), lambda: layers.Dense(4, "relu")]
)
def test_a_layer_as_activation_is_not_taken_for_the_identity(activation):
    layer, _ = built(lambda: layers.Dense(4, activation=activation(), name="dense"), [MAP])
    assert "dense (Dense) has activation=<" in unsupported_layer(layer)


def test_gelu_and_its_slope_are_those_of_the_normal_distribution():
    x = np.linspace(-6, 6, 4001, dtype=np.float32)
    y, slope = _gelu(x.copy())
    exact = x.astype(float)
    np.testing.assert_allclose(y, exact * norm.cdf(exact), rtol=0, atol=6e-7)
    np.testing.assert_allclose(slope, norm.cdf(exact) + exact * norm.pdf(exact), rtol=0, atol=6e-7)
