"""Tests the int8 rewriting of models with batch normalization: same results, smaller rounding errors."""

import runpy

import keras
import numpy as np
import pytest
from keras import layers
from made_data import ROOT, randomize

from lwcnn.evaluation.predict import predict_logits
from lwcnn.export import convert
from lwcnn.export.arena import plan_arena, read_graph
from lwcnn.export.convert import build_deployable, convert_deployable, to_litert_int8
from lwcnn.export.formats import LitertModel
from lwcnn.export.int8 import equalize
from lwcnn.export.int8.equalize import _quietest, equalize_channels
from lwcnn.export.int8.files import correct_biases, restore_relu6_ranges, share_vectors
from lwcnn.export.int8.simplify import simplify, split_hard_swish
from lwcnn.export.run import MAX_INT8_DROP
from lwcnn.models.baselines.reproduction import build_repo_residual_se
from lwcnn.models.configs import ResidualSEConfig, Stage
from lwcnn.models.residual_se import build_residual_se
from lwcnn.system.files import read_json

for package in ("tensorflow", "ai_edge_litert"):
    pytest.importorskip(package)


@pytest.fixture(scope="module")
def images():
    noise = np.random.default_rng(0).integers(0, 256, (100, 4, 4, 3), dtype=np.uint8)
    return noise.repeat(4, axis=1).repeat(4, axis=2)  # (100, 16, 16, 3)


@pytest.fixture(scope="module")
def model():
    """Builds a residual network whose batch normalization has channels of different ranges, as after training."""
    keras.utils.set_random_seed(0)
    description = ResidualSEConfig(8, (Stage(8, 2, 3), Stage(16, 1, 3)), se_reduction=4, head=24, drop_rate=0.1)
    model = build_residual_se((16, 16, 3), 10, description)
    draws = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights(
                [
                    draws.lognormal(0, 1, gamma.shape),
                    draws.normal(0, 0.3, beta.shape),
                    draws.normal(0, 0.3, mean.shape),
                    draws.lognormal(0, 1, variance.shape),
                ]
            )
        elif layer.name.endswith("_squeeze"):  # above zero on all images
            layer.set_weights([0.01 * layer.get_weights()[0], np.full(layer.units, 5.0)])
    return model


def test_a_model_without_convolutions_to_equalize_is_exported(images):
    keras.utils.set_random_seed(0)
    parts = [layers.SeparableConv2D(8, 3), layers.BatchNormalization(), layers.LeakyReLU(), layers.MaxPooling2D()]
    top = [layers.GlobalAveragePooling2D(), layers.Dense(4)]
    model = keras.Sequential([keras.Input(images.shape[1:]), layers.Rescaling(1 / 255), *parts, *top])
    found, expected = LitertModel(to_litert_int8(model, images))(images), predict_logits(model, images)
    assert np.abs(found - expected).max() < 0.05 * np.ptp(expected)


def test_a_model_within_a_model_is_exported_as_it_is(images):
    shape = images.shape[1:]
    inner = keras.Sequential([keras.Input(shape), layers.Conv2D(8, 3), layers.GlobalAveragePooling2D()])
    inputs = keras.Input(shape)
    x = layers.BatchNormalization()(inner(layers.Rescaling(1 / 255)(inputs)))
    model = keras.Model(inputs, layers.Dense(4)(x))
    found, expected = LitertModel(to_litert_int8(model, images))(images), predict_logits(model, images)
    assert np.abs(found - expected).max() < 0.05 * np.ptp(expected)


@pytest.fixture(scope="module")
def contents(model, images):
    """The model in int8, with hard swish split (True) and as one operation (False)."""
    return {split: to_litert_int8(model, images, split) for split in (True, False)}


def logit_error(content, model, images):
    """Returns the mean squared error of a file's logits relative to the variance of the model's."""
    expected = predict_logits(model, images)
    return float(np.square(LitertModel(content)(images) - expected).mean() / expected.var())


def channel_ranges(model, name, images):
    maps = keras.Model(model.inputs[0], model.get_layer(name).output)(images.astype(np.float32))
    return np.abs(maps.numpy()).max((0, 1, 2))


def test_simplified_and_equalized_models_have_the_same_results(model, images):
    before = [weight.copy() for weight in model.get_weights()]
    expected = predict_logits(model, images)
    simple = simplify(build_deployable(model))
    assert not any(
        isinstance(layer, (layers.BatchNormalization, layers.Rescaling, layers.Dense)) for layer in simple.layers
    )
    assert simple.get_layer("rescaling").kernel_size == (1, 1)
    assert "stage1_block1_norm" not in [layer.name for layer in simple.layers]  # in the depthwise convolution
    equal = equalize_channels(simple, images)
    for rewritten in (simple, equal):
        assert np.abs(predict_logits(rewritten, images) - expected).max() < 1e-5 * np.ptp(expected)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    blocks = [f"stage1_block{i}_{part}" for i in (1, 2) for part in ("project", "scale", "drop", "add")]
    shared = ["stem_norm", *blocks, "stage2_pool"]  # the maps that additions join
    spreads = [sum(np.log(channel_ranges(m, name, images)).var() for name in shared) for m in (simple, equal)]
    assert spreads[1] < spreads[0]
    alone = channel_ranges(equal, "stage1_block1_depthwise", images)  # it shares its factors with no other map
    assert np.allclose(alone, alone[0])


def test_channels_are_equalized_by_their_ranges_over_all_images(monkeypatch):
    monkeypatch.setattr(equalize, "_BATCH_SIZE", 1)
    inputs = keras.Input((1, 1, 2))
    x = layers.Conv2D(1, 1, name="second")(layers.DepthwiseConv2D(1, name="first")(inputs))
    model = keras.Model(inputs, layers.Flatten()(x))
    model.set_weights([np.array([[[[4.0], [1.0]]]]), np.zeros(2), np.ones((1, 1, 2, 1)), np.zeros(1)])
    images = np.array([[2, 1], [1, 2]], np.uint8).reshape(2, 1, 1, 2)  # outputs 8, 1 and 4, 2: ranges of 8 and 2
    for order in (1, -1):
        equal = equalize_channels(build_deployable(model), images[::order])
        np.testing.assert_allclose(equal.get_layer("first").get_weights()[0].ravel(), [4, 4], rtol=1e-5)
        np.testing.assert_allclose(equal.get_layer("second").get_weights()[0].ravel(), [1, 0.25], rtol=1e-5)


@pytest.mark.parametrize("use_bias", [False, True])
def test_attention_over_channels_is_a_pointwise_convolution(use_bias):
    """The banded matrix gives the same factors, and equalization reaches the map that the attention scales."""
    images = np.random.default_rng(0).integers(0, 256, (8, 6, 6, 3), dtype=np.uint8)
    inputs = keras.Input((6, 6, 3))
    x = layers.DepthwiseConv2D(1, name="first")(layers.Conv2D(7, 3, name="stem")(inputs))
    factor = layers.Reshape((7, 1))(layers.GlobalAveragePooling2D()(x))
    factor = layers.Conv1D(1, 5, padding="same", activation="sigmoid", use_bias=use_bias, name="attention")(factor)
    x = layers.Multiply(name="scaled")([x, layers.Reshape((1, 1, 7))(factor)])
    model = keras.Model(inputs, layers.Flatten()(layers.Conv2D(2, 4)(x)))
    kernel, *bias = model.get_layer("attention").get_weights()
    model.get_layer("attention").set_weights([kernel / 100, *(part - 0.5 for part in bias)])  # no saturated factor
    simple = simplify(build_deployable(model))
    matrix = simple.get_layer("attention").get_weights()[0][0, 0]
    assert np.allclose(matrix[1:6, 3], kernel[:, 0, 0] / 100) and not matrix[[0, 6], 3].any()
    equal = equalize_channels(simple, images)
    expected = predict_logits(model, images)
    for rewritten in (simple, equal):
        assert np.abs(predict_logits(rewritten, images) - expected).max() < 1e-5 * np.ptp(expected)
    spreads = [np.ptp(np.log(channel_ranges(one, "first", images))) for one in (simple, equal)]
    assert spreads[1] < spreads[0] / 2


def test_divisors_follow_the_map_that_matters():
    """A map whose rounding reaches the outputs decides alone; of two that matter equally, neither does."""
    ranges = np.array([[1.0, 0.1], [0.1, 1.0]])
    assert np.allclose(_quietest(ranges, np.array([[1.0, 1.0], [0.0, 0.0]])), [1, 0.1], rtol=0.25)  # a smooth maximum
    assert np.allclose(_quietest(ranges, np.ones((2, 2))), [1, 1], rtol=0.01)
    fainter = np.array([[1.0, 1.0], [1 / 16, 1 / 16]])  # least of x**2 + (1 / 16) / x**2, for a divisor x
    assert np.allclose(_quietest(ranges, fainter), [1, 0.5], rtol=0.05)
    assert np.allclose(_quietest(np.array([[1.0, 1e-6, 0.0]]), np.ones((1, 3))), [1, 1e-3, 1]), "noise is not amplified"
    wide = ranges * [[100], [1]]  # steps a hundred times as large: noise 10,000 times as large
    assert np.allclose(_quietest(wide, np.array([[1.0, 1.0], [1e4, 1e4]])), [1, 1], rtol=0.01)


def test_a_dense_head_keeps_its_weights(images):
    model = build_repo_residual_se((16, 16, 3), 10)
    equal = equalize_channels(simplify(build_deployable(model)), images)
    np.testing.assert_allclose(predict_logits(equal, images), predict_logits(model, images), atol=1e-4)


def test_channels_of_unlike_range_keep_their_steps_in_int8(images):
    """The next layer cancels gains of 100, 1 and 0.01; with one scale for all, the last channel would be zero."""
    keras.utils.set_random_seed(0)
    gains = np.array([100, 1, 0.01])
    inputs = keras.Input((16, 16, 3))
    x = layers.DepthwiseConv2D(3, name="depthwise")(inputs)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(10, 3, activation="relu", name="conv")(x))
    model = keras.Model(inputs, x)
    for name, factors in (("depthwise", gains), ("conv", 1 / gains)):
        kernel, bias = model.get_layer(name).get_weights()
        model.get_layer(name).set_weights([kernel * factors[:, np.newaxis], bias])
    plain = convert_deployable(build_deployable(model, short_names=True), images)
    assert logit_error(plain, model, images) > 0.1
    assert logit_error(to_litert_int8(model, images), model, images) < 0.001


def test_int8_of_a_residual_network(model, images, contents):
    assert logit_error(contents[True], model, images) < 0.002
    content = contents[False]
    assert logit_error(content, model, images) < 0.001
    assert len(content) < 0.8 * len(convert_deployable(build_deployable(model, short_names=True), images))
    assert {"SHAPE", "GATHER", "PACK", "QUANTIZE"}.isdisjoint(read_graph(content).operations)


def test_hard_swish_as_addition_and_multiplication(model, images, contents, monkeypatch):
    simple = simplify(build_deployable(model))
    split = split_hard_swish(simple)
    expected = predict_logits(simple, images)
    assert np.abs(predict_logits(split, images) - expected).max() < 1e-5 * np.ptp(expected)
    left = [layer.name for layer in split.layers if isinstance(layer, layers.Activation)]
    assert left == ["head_activation"], "before a pooling: nothing there could take the sixth"
    operations = {on: read_graph(content).operations for on, content in contents.items()}
    assert [operations[on].count("HARD_SWISH") for on in (True, False)] == [1, 4]
    monkeypatch.setattr(convert, "to_litert_int8", lambda model, images, split: split)
    assert [convert.convert(model, name, images) for name in ("litert-int8", "c-array")] == [True, False]


def test_hard_swish_with_other_readers_stays(images):
    inputs = keras.Input((16, 16, 3))
    x = layers.Activation("hard_silu", name="swish")(layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, layers.Add()([layers.Conv2D(4, 1, name="conv")(x), x]))
    split = split_hard_swish(model)
    assert isinstance(split.get_layer("swish"), layers.Activation)
    assert np.array_equal(split.get_layer("conv").get_weights()[0], model.get_layer("conv").get_weights()[0])


def test_hard_swish_at_the_end_stays(images):
    inputs = keras.Input((16, 16, 3))
    x = layers.GlobalAveragePooling2D()(layers.BatchNormalization()(layers.Conv2D(4, 3)(inputs)))
    model = randomize(keras.Model(inputs, layers.Activation("hard_silu")(layers.Dense(4)(x))))
    np.testing.assert_allclose(split_hard_swish(model)(images[:4]), model(images[:4]), rtol=1e-5)


def read_twice(x):
    x = layers.Conv2D(4, 1)(x)
    return layers.Add()([layers.BatchNormalization()(x), x])


def attention(x, keepdims=False, read_again=False, **settings):
    x = layers.Conv2D(6, 1)(x)
    pool = layers.GlobalAveragePooling2D(keepdims=keepdims)(x)
    factor = layers.Conv1D(1, 3, activation="sigmoid", **settings)(layers.Reshape((6, 1))(pool))
    x = layers.Multiply()([x, layers.Reshape((1, 1, 6))(factor)])
    return layers.Add()([x, layers.Reshape((1, 1, 1))(layers.Dot(1)([pool, pool]))]) if read_again else x


@pytest.mark.parametrize(
    "begin",
    [
        read_twice,
        lambda x: attention(x, padding="same", dilation_rate=2),
        lambda x: attention(x, padding="same", keepdims=True),
        lambda x: attention(x, padding="same", read_again=True),
        lambda x: attention(x, padding="causal"),
        lambda x: layers.BatchNormalization()(layers.Conv2D(4, 3, activation="relu")(x)),
        lambda x: layers.BatchNormalization()(layers.Conv2D(6, 3, groups=3)(layers.DepthwiseConv2D(1)(x))),
        lambda x: layers.BatchNormalization()(layers.DepthwiseConv2D(3, depth_multiplier=2)(x)),
        lambda x: layers.BatchNormalization(axis=1)(layers.Conv2D(4, 3)(x)),
        lambda x: layers.BatchNormalization(scale=False, center=False)(layers.Conv2D(4, 3)(x)),
        lambda x: layers.Rescaling([1 / 255, 1 / 100, 1 / 50], offset=[-1, 0, 1])(x),
        lambda x: layers.Rescaling(0.5, offset=[1, 2, 3, 4])(layers.Conv2D(4, 3)(x)),
        lambda x: layers.Conv2D(4, 3, activation="tanh")(layers.Rescaling(0.01)(x)),
        lambda x: layers.Add()([layers.Conv2D(4, 1)(x), layers.Conv2D(1, 1)(x)]),
        lambda x: layers.Multiply()([layers.Conv2D(4, 1)(x), layers.Conv2D(4, 1)(x)]),
        lambda x: layers.Multiply()([layers.Conv2D(1, 1)(x), layers.Conv2D(4, 1)(x)]),
    ],
)
def test_what_may_not_be_folded_or_scaled_is_left_as_it_is(begin):
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), dtype=np.uint8)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(5, 1)(layers.DepthwiseConv2D(1)(begin(inputs)))
    model = randomize(keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))))
    expected, simple = predict_logits(model, images), simplify(build_deployable(model))
    for rewritten in (simple, equalize_channels(simple, images)):
        assert np.abs(predict_logits(rewritten, images) - expected).max() < 1e-5 * np.ptp(expected)


def test_constant_zero_layers(model, images):
    dead = keras.models.clone_model(model)
    dead.set_weights(model.get_weights())
    squeeze = dead.get_layer("stage1_block1_squeeze")
    squeeze.set_weights([squeeze.get_weights()[0], np.full(squeeze.units, -1e3)])
    assert logit_error(to_litert_int8(dead, images), dead, images) < 0.1


def scales(content):
    """Returns the operations of a file, each with the scale and zero point of its output."""
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    outputs = [graph.Tensors(graph.Operators(i).Outputs(0)).Quantization() for i in range(graph.OperatorsLength())]
    return [(name, one.Scale(0), one.ZeroPoint(0)) for name, one in zip(read_graph(content).operations, outputs)]


def test_the_factor_of_hard_swish_has_all_its_values(model, images, contents):
    """The converter rounds relu6(x + 3) with the scale of the product with x, which is wider than 6."""
    deployable = convert.rewrite_for_int8(build_deployable(model, short_names=True), images)
    plain = convert_deployable(deployable, images)
    content, exact = restore_relu6_ranges(plain), np.float32(6 / 255)
    changed = [(before, after) for before, after in zip(scales(plain), scales(content), strict=True) if before != after]
    assert len(changed) == read_graph(plain).operations.count("MUL") - 3 > 0, "a split hard swish, but no attention"
    assert all(before[1] > 2 * exact and after == ("ADD", exact, -128) for before, after in changed)
    assert scales(content)[-1] == scales(plain)[-1]
    errors = [logit_error(one, model, images) for one in (plain, content)]
    assert errors[1] < 0.8 * errors[0]
    assert sum(one == ("ADD", exact, -128) for one in scales(contents[True])) == len(changed)


def test_other_additions_with_relu6_keep_their_ranges(images):
    inputs = keras.Input((16, 16, 3))
    x = layers.DepthwiseConv2D(3)(inputs)
    x = layers.ReLU(6)(layers.Add()([layers.Conv2D(4, 1)(x), layers.Conv2D(4, 1)(x)]))
    joined = layers.Concatenate()([x, layers.Conv2D(4, 1)(x)])  # its inputs must have one scale
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(joined)))
    plain = convert_deployable(build_deployable(randomize(model)), images)
    assert "ADD" in read_graph(plain).operations and restore_relu6_ranges(plain) == plain


def test_a_narrower_range_of_relu6_stays(images):
    inputs = keras.Input((16, 16, 3))
    x = layers.DepthwiseConv2D(3)(inputs)
    narrow = layers.ReLU(6)(layers.Add()([layers.Conv2D(4, 1, activation="sigmoid")(x) for _ in range(2)]))
    product = layers.Multiply()([narrow, layers.Conv2D(4, 1, activation="sigmoid")(x)])  # narrower than the sum
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(product)))
    plain = convert_deployable(build_deployable(randomize(model)), images)
    assert [scale < 6 / 255 for name, scale, _ in scales(plain) if name == "ADD"] == [True]
    assert restore_relu6_ranges(plain) == plain


def test_bias_correction_removes_the_shift(model, images):
    deployable = equalize_channels(simplify(build_deployable(model, short_names=True)), images)
    plain, exact = convert_deployable(deployable, images), convert_deployable(deployable, None)
    content = correct_biases(plain, exact, images)
    assert len(content) == len(plain) and content != plain
    shifts = [np.abs((LitertModel(c)(images) - LitertModel(exact)(images)).mean(0)).max() for c in (plain, content)]
    assert shifts[1] < shifts[0] / 2


def test_bias_correction_takes_fewer_images_where_they_are_large(model, images, monkeypatch):
    deployable = simplify(build_deployable(model, short_names=True))
    plain, exact = convert_deployable(deployable, images[:8]), convert_deployable(deployable, None)
    expected = correct_biases(plain, exact, images[:2])
    monkeypatch.setattr("lwcnn.data.checks.PIXELS_PER_BATCH", 2 * 16 * 16)
    assert correct_biases(plain, exact, images) == expected != plain


def test_shared_vectors_change_no_result(model, images):
    from ai_edge_litert import schema_py_generated as schema

    plain = convert_deployable(simplify(build_deployable(model, short_names=True)), images)
    content = share_vectors(plain)
    assert len(content) < 0.9 * len(plain)
    assert np.array_equal(LitertModel(plain)(images), LitertModel(content)(images))
    assert read_graph(plain) == read_graph(content)
    graphs = [schema.Model.GetRootAs(one, 0).Subgraphs(0) for one in (plain, content)]
    names = [[graph.Tensors(i).Name().decode() for i in range(graph.TensorsLength())] for graph in graphs]
    assert [b for a, b in zip(*names) if not b.isdigit()] == [a for a in names[0] if a in names[1]]  # in and out
    assert any(name.isdigit() for name in names[1]) and "images" in names[1][0]
    read = schema.Model.GetRootAs(content, 0)
    buffers = [read.Buffers(i).DataAsNumpy() for i in range(read.BuffersLength()) if read.Buffers(i).DataLength()]
    start = np.frombuffer(content, np.uint8).ctypes.data
    assert buffers and all((buffer.ctypes.data - start) % 16 == 0 for buffer in buffers)


def test_micro_gives_the_bits_of_the_reference_kernels_in_the_planned_arena(images, contents):
    pytest.importorskip("tflite_micro")
    run = runpy.run_path(str(ROOT / "benchmarks/microcontroller.py"))
    for content in contents.values():
        prepared = LitertModel(content).prepare(images[:5])
        outputs, arena = run["run_micro"](content, prepared)
        np.testing.assert_array_equal(outputs, run["run_reference"](content, prepared))
        assert arena["head"] == plan_arena(read_graph(content).activations)


def test_every_released_model_but_one_is_within_the_limit_in_int8():
    names = {path.stem for path in (ROOT / "models").glob("*.keras")}
    reports = [read_json(path) for path in (ROOT / "results/export").glob("*-litert-int8.json")]
    assert {report["model"].removesuffix(".keras") for report in reports} == names
    lost = {report["model"]: report["drop_points"] for report in reports if report["drop_points"] > MAX_INT8_DROP}
    assert lost == {"cifar10-wren_100k_mixing.keras": 0.31}, "its page and card state the limit that it needs"
    assert all(report["size_bytes"] < 60_000 for report in reports if report["parameters"] < 30_000)
