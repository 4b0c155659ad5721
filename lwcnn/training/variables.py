"""Values of Keras variables as NumPy arrays."""

from collections.abc import Iterable, Sequence

import keras
import numpy as np

from lwcnn.system.errors import LwcnnError


def get_values(variables: Iterable[keras.Variable]) -> list[np.ndarray]:
    """Returns copies of the variables' values."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def set_values(variables: Iterable[keras.Variable], arrays: Sequence[np.ndarray]) -> None:
    """Sets the variables to the arrays, or none of them if one does not fit."""
    variables = list(variables)
    require_fit(variables, arrays)
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def require_fit(variables: Iterable[keras.Variable], arrays: Sequence[np.ndarray]) -> None:
    """Checks that arrays have the number and the shapes of the variables."""
    expected, found = [tuple(variable.shape) for variable in variables], [array.shape for array in arrays]
    if found != expected:
        raise LwcnnError(f"The checkpoint has arrays of other shapes than the model's {expected}. Received: {found}")


def random_states(model: keras.Model) -> list[keras.Variable]:
    """Returns the states of the layers' random generators (dropout)."""
    generators = [getattr(layer, "seed_generator", None) for layer in model.layers]
    return [generator.state for generator in generators if generator is not None]
