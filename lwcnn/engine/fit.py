"""`keras.Model.fit` with the engine, for your own models. Experiments are trained by `training/loop.py` instead."""

import contextlib
import sys
from collections.abc import Iterator

import keras
import numpy as np

from lwcnn.engine.epoch import Epoch, unsupported
from lwcnn.engine.keras_internals import first_epoch
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
    numbers = {"batch_size": (batch_size, 1), "epochs": (epochs, 0), "initial_epoch": (initial_epoch, 0)}
    for name, (value, least) in numbers.items():
        is_default = name == "batch_size" and value is None
        if not is_default and (not isinstance(value, (int, np.integer)) or value < least):
            raise wrong(f"Give {name} as an integer of {least} or more", f"{name}={value!r}")
    reason = next((f"of the argument {name}" for name in arguments), None) or unsupported(model)
    given = [] if reason else [pair for pair in ((x, y), validation_data) if pair is not None]
    pairs: list = [[_as_arrays(part) for part in _as_list(pair)] for pair in given]
    reason = reason or _unsupported_data(model, pairs, batch_size)
    if reason:
        print(f"fast_fit trains {model.name} with model.fit, because {reason}", file=sys.stderr)
        return model.fit(
            x, y, batch_size, epochs, verbose, callbacks, validation_data=validation_data, shuffle=shuffle,
            initial_epoch=initial_epoch, **arguments,
        )  # fmt: skip
    (inputs, labels), *held_out = pairs
    for pair in pairs:
        _require_one_length(*pair)
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
        with _unadvanced_by_errors(model.optimizer), Epoch(model) as training:
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


@contextlib.contextmanager
def _unadvanced_by_errors(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Restores the number of steps, which callbacks see, if the block raises: its steps are not written back."""
    before = int(optimizer.iterations)
    try:
        yield
    except BaseException:
        optimizer.iterations.assign(before)
        raise


def _unsupported_data(model: keras.Model, pairs: list[list[list]], batch_size) -> str | None:
    """Returns why the engine cannot train a model on data; None if it can."""
    if batch_size is None:
        return "of batch_size=None"
    if any(len(pair) != 2 for pair in pairs):
        return "validation_data is not (x, y)"
    images = [[tuple(tensor.shape[1:])] for tensor in model.inputs]
    shapes = [loss.label_shapes(output.shape[-1]) for loss, output in zip(Objective(model).losses, model.outputs)]
    for inputs, labels in pairs:
        for name, kind, arrays, tensors in (("x", "input", inputs, images), ("y", "output", labels, shapes)):
            if len(arrays) > len(tensors):
                advice = f"Give {name} as one array for each {kind} of the model, such as numpy.stack({name})"
                raise wrong(advice, f"a list of {len(arrays)} for {len(tensors)}")
        if not all(isinstance(array, np.ndarray) for array in inputs + labels):
            return "the data are not arrays"
        if not _have_shapes(inputs, images):
            return f"x has shape {', '.join(str(array.shape) for array in inputs)}"
        if not _have_shapes(labels, shapes):
            return f"y has shape {', '.join(str(array.shape) for array in labels)}"
        if any(_is_soft(array) and not np.allclose(array.sum(axis=1), 1, atol=1e-4) for array in labels):
            return "rows of y do not sum to 1"  # Keras's gradient on TensorFlow is then not that of its loss
    return None


def _is_soft(labels: np.ndarray) -> bool:
    return labels.ndim == 2 and labels.shape[1] > 1


def _have_shapes(arrays: list[np.ndarray], allowed: list[list[tuple]]) -> bool:
    """Returns whether there are as many arrays as expected, each of one of its allowed shapes."""
    pairs = zip(arrays, allowed)
    return len(arrays) == len(allowed) and all(any(has_shape(a, shape) for shape in some) for a, some in pairs)


def _as_list(part) -> list:
    return list(part) if isinstance(part, (list, tuple)) else [part]


def _as_arrays(part) -> list:
    return [np.asarray(array) if hasattr(array, "__array__") else array for array in _as_list(part)]


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


def _require_one_length(inputs: list[np.ndarray], labels: list[np.ndarray]) -> None:
    if len({len(array) for array in inputs + labels}) != 1 or not len(labels[0]):
        shapes = ", ".join(str(array.shape) for array in inputs + labels)
        raise wrong("Give x and y as arrays of equal length, at least 1", f"shapes {shapes}")


def _batches(inputs, labels, batch_size: int, shuffle: bool) -> Iterator[tuple[tuple, tuple]]:
    count = len(labels[0])
    order = np.random.permutation(count) if shuffle else np.arange(count)
    for first in range(0, count, batch_size):
        part = order[first : first + batch_size]
        yield tuple(array[part] for array in inputs), tuple(array[part] for array in labels)
