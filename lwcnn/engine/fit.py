"""`keras.Model.fit` with the engine, for your own models. Experiments are trained by `training/loop.py` instead."""

import sys
from collections.abc import Iterator

import keras
import numpy as np

from lwcnn.engine.epoch import Epoch, check
from lwcnn.engine.keras_internals import Unsupported, first_epoch
from lwcnn.engine.losses import Means, Objective
from lwcnn.engine.network import Predictor, has_shape
from lwcnn.system.errors import wrong


def fast_fit(
    model: keras.Model,
    x,
    y,
    batch_size: int = 32,
    epochs: int = 1,
    verbose="auto",
    callbacks: list[keras.callbacks.Callback] | None = None,
    validation_data: tuple | None = None,
    shuffle: bool = True,
    initial_epoch: int = 0,
    **arguments,
) -> keras.callbacks.History:
    """Trains a compiled model as `model.fit` does, but with the engine, which is faster for small networks on a CPU.

    Weights, optimizer state and logs equal those of `model.fit` within rounding, except that the order of images and
    the masks of dropout are drawn differently, and that the losses of single outputs are means over images, not over
    batches. Models and arguments that the engine does not support are passed to `model.fit`; one line on standard error
    says why.

    Args:
        model: Compiled functional or Sequential model of plain Keras layers.
        x: Array (n, ...), or a list of arrays, one for each input.
        y: Array (n,), (n, 1) or (n, classes), or a list of arrays, one for each output.
        batch_size: Integer of 1 or more. Number of images per batch.
        epochs: Index of the epoch before which training stops, as in `model.fit`: the number of epochs if
            `initial_epoch` is 0.
        verbose: 0 for silence, 1 for a progress bar, 2 for a line per epoch, "auto" for 1.
        callbacks: Keras callbacks. The model's weights are updated at the end of each epoch, not of each batch.
        validation_data: (x, y), evaluated after each epoch. None evaluates nothing.
        shuffle: Whether to shuffle before each epoch.
        initial_epoch: Integer of 0 or more. Epoch at which to begin, as in `model.fit`.
        **arguments: Further arguments of `model.fit`; with any of them, Keras trains the model.

    Returns:
        A Keras `History`: its attribute `history` has a list of values for each log, `epoch` the epochs.

    Raises:
        LwcnnError: The model is not compiled, a number is out of range, there are more arrays than inputs or outputs,
            the arrays have different lengths, or a label is not one of the classes.

    Examples:
        >>> import keras
        >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        >>> model.compile("adam", loss, metrics=["accuracy"])
        >>> fast_fit(model, data.x_train, data.y_train, epochs=2, verbose=0).epoch
        [0, 1]
    """
    if not model.compiled:
        raise wrong("Compile the model before training: model.compile(optimizer, loss)", f"{model.name!r}")
    size = 1 if batch_size is None else batch_size
    for name, value, least in (("batch_size", size, 1), ("epochs", epochs, 0), ("initial_epoch", initial_epoch, 0)):
        if not isinstance(value, (int, np.integer)) or value < least:
            raise wrong(f"Give {name} as an integer of {least} or more", f"{name}={value!r}")
    try:
        if arguments:
            raise Unsupported(f"of the argument {next(iter(arguments))}")
        check(model)
        pairs = [_as_arrays(pair) for pair in ((x, y), validation_data) if pair is not None]
        _check_data(model, pairs, batch_size)
    except Unsupported as reason:
        print(f"fast_fit trains {model.name} with model.fit, because {reason}", file=sys.stderr)
        pairs = []
    if not pairs:  # outside of `except`, so that an error of `fit` stands alone
        return model.fit(
            x, y, batch_size, epochs, verbose, callbacks, validation_data=validation_data, shuffle=shuffle,
            initial_epoch=initial_epoch, **arguments,
        )  # fmt: skip
    (inputs, labels), *held_out = pairs
    num_steps = -(-len(labels[0]) // batch_size)
    calls = keras.callbacks.CallbackList(
        callbacks, add_history=True, add_progbar=verbose != 0, model=model, verbose=1 if verbose == "auto" else verbose,
        epochs=epochs, steps=num_steps,
    )  # fmt: skip
    model.stop_training = False
    calls.on_train_begin()
    logs: dict[str, float] = {}
    for epoch in range(first_epoch(model, initial_epoch), epochs):
        calls.on_epoch_begin(epoch)
        with Epoch(model) as training:
            for step, (images, truth) in enumerate(_batches(inputs, labels, batch_size, shuffle)):
                calls.on_train_batch_begin(step)
                logs = training.step(images, truth)
                if callbacks:  # which may read it
                    model.optimizer.iterations.assign_add(1)
                calls.on_train_batch_end(step, logs)
                if model.stop_training:
                    break
        if held_out:
            logs |= _evaluate(model, held_out[0], batch_size, calls)
        calls.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    calls.on_train_end(logs)
    return model.history


def _check_data(model: keras.Model, pairs: list[list[list]], batch_size) -> None:
    """Raises `Unsupported` if the engine cannot train a model on data, an `LwcnnError` if the data cannot be right."""
    if batch_size is None:
        raise Unsupported("of batch_size=None")
    if any(len(pair) != 2 for pair in pairs):
        raise Unsupported("validation_data is not (x, y)")
    images = [[tuple(tensor.shape[1:])] for tensor in model.inputs]
    truths = [loss.label_shapes(output.shape[-1]) for loss, output in zip(Objective(model).losses, model.outputs)]
    for inputs, labels in pairs:
        parts = (("x", "input", inputs, images), ("y", "output", labels, truths))
        for name, kind, arrays, allowed in parts:
            if len(arrays) > len(allowed):
                advice = f"Give {name} as one array for each {kind} of the model, such as numpy.stack({name})"
                raise wrong(advice, f"a list of {len(arrays)} for {len(allowed)}")
        if not all(isinstance(array, np.ndarray) for array in inputs + labels):
            raise Unsupported("the data are not arrays")
        for array, tensor in zip(inputs, model.inputs):
            if array.dtype.kind == "f" and "int" in keras.backend.standardize_dtype(tensor.dtype):
                raise Unsupported(f"x has type {array.dtype}, but the model's input {tensor.dtype}")
        for name, _, arrays, allowed in parts:
            has_shapes = (any(has_shape(array, one) for one in shapes) for array, shapes in zip(arrays, allowed))
            if len(arrays) < len(allowed) or not all(has_shapes):
                raise Unsupported(f"{name} has shape {', '.join(str(array.shape) for array in arrays)}")
        soft = [array for array in labels if array.ndim == 2 and array.shape[1] > 1]
        if not all(np.allclose(array.sum(axis=1), 1, atol=1e-4) for array in soft):
            raise Unsupported("rows of y do not sum to 1")  # Keras's gradient on TensorFlow is not that of its loss
        if len({len(array) for array in inputs + labels}) != 1 or not len(labels[0]):
            shapes = ", ".join(str(array.shape) for array in inputs + labels)
            raise wrong("Give x and y as arrays of equal length, at least 1", f"shapes {shapes}")


def _as_arrays(pair) -> list[list]:
    """Returns (x, y) as lists of arrays, where the values allow it; a single array as a list of one."""
    parts = [_as_list(part) for part in _as_list(pair)]
    return [[np.asarray(value) if hasattr(value, "__array__") else value for value in part] for part in parts]


def _as_list(value) -> list:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _evaluate(model: keras.Model, held_out: list, batch_size: int, calls) -> dict[str, float]:
    """Returns loss and metrics on held-out arrays, named "val_loss" and so on."""
    inputs, labels = held_out
    predict, objective, means, logs = Predictor(model, logits=True), Objective(model), Means(), {}
    calls.on_test_begin()
    for step, (images, truth) in enumerate(_batches(inputs, labels, batch_size, shuffle=False)):
        calls.on_test_batch_begin(step)
        sums, _ = objective(predict(images), truth)
        logs = means.add([sums], len(truth[0]))
        calls.on_test_batch_end(step, logs)
    calls.on_test_end(logs)
    return {f"val_{name}": value for name, value in logs.items()}


def _batches(inputs, labels, batch_size: int, shuffle: bool) -> Iterator[tuple[tuple, tuple]]:
    count = len(labels[0])
    order = np.random.permutation(count) if shuffle else np.arange(count)
    for first in range(0, count, batch_size):
        part = order[first : first + batch_size]
        yield tuple(array[part] for array in inputs), tuple(array[part] for array in labels)
