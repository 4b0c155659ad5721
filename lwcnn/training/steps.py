"""Training steps of a compiled model, with as little around them as each backend allows."""

import keras


class Epoch:
    """One epoch's training steps and the means of loss and metrics over its images so far.

    Not `fit`: its hand-over of PyDataset batches between threads costs as much as the smallest nets' steps.
    And `train_on_batch` sets every metric to nought before each step, which costs TensorFlow a third of the
    time of such a step; there it is called once an epoch, and after that the compiled function that it calls.

    Args:
        model: a compiled model.
    """

    def __init__(self, model: keras.Model):
        self._model = model
        self._sums: dict[str, float] = {}
        self._num_images = 0

    def step(self, x, y) -> dict[str, float]:
        """Trains on a batch and gives the means so far, each under its name."""
        if keras.backend.backend() == "tensorflow":
            return self._step_tensorflow(x, y)
        logs = self._model.train_on_batch(x, y, return_dict=True)
        size = len(y[0] if isinstance(y, tuple) else y)
        self._num_images += size
        for name, value in logs.items():
            self._sums[name] = self._sums.get(name, 0.0) + size * float(value)
        return {name: total / self._num_images for name, total in self._sums.items()}

    def _step_tensorflow(self, x, y) -> dict[str, float]:
        if self._num_images == 0:
            self._num_images = 1
            logs = self._model.train_on_batch(x, y, return_dict=True)
        else:
            logs = self._model.train_function(iter(((x, y),)))  # metrics go on from the step before
        return {name: float(value) for name, value in logs.items()}
