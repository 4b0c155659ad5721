"""Training steps on JAX that keep every variable on the device."""

import importlib.util

import pytest
from made_data import run_python

if importlib.util.find_spec("jax") is None:
    pytest.skip("JAX is not installed", allow_module_level=True)

EQUAL = """
import contextlib, gc, keras, numpy as np, weakref
from lwcnn.models.build import build_network
from lwcnn.models.configs import ResidualSEConfig, Stage
from lwcnn.training.average import MovingAverage, batch_norm_statistics
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.jax_epoch import JaxEpoch
from lwcnn.training.steps import KerasEpoch

random = np.random.default_rng(0)
images = random.integers(0, 256, (3, 16, 8, 8, 3), "uint8")
labels = random.integers(0, 4, (3, 16))

def train(kind, *more):
    keras.utils.set_random_seed(0)
    model = build_network((8, 8, 3), 4, ResidualSEConfig(stem=8, stages=(Stage(8, 1),), se_reduction=4))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(OptimizerConfig("muon", 0.01, weight_decay=0.1, warmup=0.2).build(6), loss, metrics=["accuracy"])
    average = MovingAverage([*model.trainable_variables, *batch_norm_statistics(model)], 0.9)
    seen = []
    for _ in range(2):
        steps = kind(model, average, *more)
        with steps if kind is JaxEpoch else contextlib.nullcontext(steps) as epoch:
            logs = [epoch.step(x, y) for x, y in zip(images, labels)][-1]
        seen.append(logs)
    optimizer = [keras.ops.convert_to_numpy(v) for v in model.optimizer.variables]
    result = seen, model.get_weights(), optimizer, average.state()
    if kind is JaxEpoch:
        model.fit(images[0], labels[0], verbose=0)  # Keras's own training still works
        models.append(weakref.ref(model))
    return result

models = []
ours, theirs = train(JaxEpoch, 3), train(KerasEpoch)
gc.collect()
assert [model() for model in models] == [None], "a trained model is freed"
for a, b in zip(keras.tree.flatten(ours), keras.tree.flatten(theirs), strict=True):
    np.testing.assert_allclose(a, b, rtol=3e-4, atol=1e-4)
"""


def test_steps_on_the_device_equal_those_of_train_on_batch():
    run_python(EQUAL, KERAS_BACKEND="jax")


pytest.importorskip("jax")

ENDED = """
import keras, numpy as np
from lwcnn.training.jax_epoch import JaxEpoch

images = keras.Input((4,))
model = keras.Model(images, keras.layers.Dense(3)(keras.layers.BatchNormalization()(images)))
model.compile(keras.optimizers.SGD(0.5, momentum=0.9), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.optimizer.build(model.trainable_variables)
x, y = np.random.default_rng(0).normal(size=(8, 4)).astype("float32"), np.arange(8) % 3
variables = [*model.variables, *model.optimizer.variables]
before = [np.array(variable) for variable in variables]
for is_ended in (True, False):
    try:
        with JaxEpoch(model, None, 3) as epoch:
            for step in range(3):
                epoch.step(x, y)
                if is_ended and step == 1:
                    assert epoch._state, "two steps were made on the device"
                    raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    same = [np.array_equal(np.array(variable), old) for variable, old in zip(variables, before, strict=True)]
    assert all(same) == is_ended, same
"""


def test_after_an_exception_the_variables_are_those_from_before_the_epoch():
    run_python(ENDED, KERAS_BACKEND="jax")
