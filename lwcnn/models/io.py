"""Models in .keras files: written with a description of their data and recipe, and read back safely."""

import functools
import io
import json
import logging
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import keras
import numpy as np

import lwcnn.models.layers  # noqa: F401 - registers the custom layers
from lwcnn.models.description import CONFIG, WEIGHTS, Description, pack, read_archive, read_description, unreadable
from lwcnn.models.graph import ends_in_softmax, flat_layers
from lwcnn.system.errors import wrong
from lwcnn.system.files import StrPath, temporary_folder, write_atomically

MAX_ACTIVATIONS = 2**28
"""Maximum number of elements that a model's layers compute for one image: 1 GiB in float32."""

# Layers that run code from the file or open files that it names.
_UNSAFE_CLASSES = {
    "__lambda__", "__typespec__", "FeatureSpace", "FlaxLayer", "IntegerLookup", "JaxLayer", "Lambda", "StringLookup",
    "TFSMLayer", "TextVectorization", "TorchModuleWrapper",
}  # fmt: skip
_FUNCTION_MODULES = ("builtins", "keras.activations", "keras.ops")

_log = logging.getLogger(__name__)


def save_model(path: Path, model: keras.Model, description: Description | None = None) -> None:
    """Writes a model with its description, compressed and atomically."""
    with temporary_folder(path) as folder:
        model.save(folder / "model.keras")
        members = read_archive(folder / "model.keras")
    write_atomically(path, pack(members, description))


def load_model(path: StrPath) -> keras.Model:
    """Returns the model in a .keras file, not compiled, with logits as output.

    The file is treated as untrusted: nothing in it is executed, and its sizes are checked before memory is allocated.
    A softmax at the end is removed, with a notice.

    Args:
        path: Path of the file.

    Returns:
        A model that maps images (n, height, width, channels), 0 to 255, to logits (n, num_classes). If lwcnn wrote the
        file, it has the attributes `class_names` and `temperature`, the divisor that calibrates its logits; 1 if none
        was fitted.

    Raises:
        LwcnnError: The file is missing, not a .keras file, damaged, unsafe or too large, its weights are not finite,
            or its outputs are not logits.

    Examples:
        >>> import tempfile
        >>> import lwcnn
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     lwcnn.build_submodel((28, 28, 1), num_classes=10).save(f"{folder}/model.keras")
        ...     model = load_model(f"{folder}/model.keras")
        >>> model.output_shape
        (None, 10)
    """
    description = read_description(path)
    members = read_archive(path)
    try:
        config = json.loads(members[CONFIG]) | {"compile_config": None}  # Keras ignores it with compile=False
        json.loads(json.dumps(config), object_hook=_require_safe)  # which calls it for every object
        _require_size(config, members[WEIGHTS])
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged file can raise anything in Keras and its backend
        raise unreadable(path, error) from error
    if not isinstance(model, keras.Model):
        raise unreadable(path, f"it holds a {type(model).__name__}, not a model")
    if not all(np.isfinite(keras.ops.convert_to_numpy(weight)).all() for weight in model.weights):
        raise wrong("The weights hold NaN or infinity: the training diverged. Train again", path)
    model = _with_logits(model, path)
    if description:
        model.class_names = description.class_names
        model.temperature = description.temperature or 1.0
    return model


def _require_safe(part: dict) -> dict:
    """Checks that an object names only a class of Keras or of this library that runs nothing from the file."""
    name, module, registered = (part.get(key) for key in ("class_name", "module", "registered_name"))
    is_own = isinstance(registered, str) and registered.startswith("lwcnn>")
    is_keras = module is None or module == "keras" or str(module).startswith("keras.")
    if name == "function":
        is_keras = any(str(module).startswith(known) for known in _FUNCTION_MODULES)
    if name is not None and (name in _UNSAFE_CLASSES or not (is_own or is_keras)):
        raise ValueError(f"{name} of {module} is not allowed, since it could run code or read files")
    return part


def _require_size(config: dict, weights: bytes) -> None:
    """Checks that a model's variables are in its weights file and that its activations fit in memory."""
    declared = []
    with h5py.File(io.BytesIO(weights)) as file:
        file.visititems(lambda _, item: declared.append(item.nbytes) if isinstance(item, h5py.Dataset) else None)
    if sum(declared) > len(weights):
        raise ValueError(f"its weights file of {len(weights):,} bytes declares {sum(declared):,}")
    # In its own thread, because Keras keeps a thread-local list of the variables that are never initialized.
    with ThreadPoolExecutor(1) as thread:
        num_weights, num_activations = thread.submit(_count_elements, config).result()
    if num_weights > len(weights):
        raise ValueError(f"it declares {num_weights:,} weights, but only {len(weights):,} bytes hold them")
    if num_activations > MAX_ACTIVATIONS:
        raise ValueError(f"its layers compute {num_activations:,} values for each image")


def _count_elements(config: dict) -> tuple[int, int]:
    """Returns the number of elements of all variables, and of all outputs for one image, without allocating them."""
    with keras.StatelessScope(initialize_variables=False):
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    num_weights = sum(math.prod(variable.shape) for variable in model.variables)
    outputs = [tensor for layer in flat_layers(model) for tensor in keras.tree.flatten(getattr(layer, "output", []))]
    return num_weights, sum(math.prod(size or 1 for size in tensor.shape[1:]) for tensor in outputs)


@functools.cache  # a command may load a file several times
def _warn_of_softmax(path: str) -> None:
    _log.warning("%s ends in a softmax, which is removed: the logits before it are used.", path)


def _with_logits(model: keras.Model, path: StrPath) -> keras.Model:
    """Removes a softmax at a model's end; refuses other activations there."""
    last = model.layers[-1] if model.layers else None
    activation = getattr(last, "activation", None)
    name = getattr(activation, "__name__", "linear")
    if isinstance(last, keras.layers.Softmax):
        model, name = keras.Model(model.inputs, last.input, name=model.name), "softmax"
    elif last is not None and name == "softmax":
        last.activation = keras.activations.linear
    if name == "softmax":
        _warn_of_softmax(str(path))
    elif name not in ("linear", "log_softmax"):
        raise wrong("Give a model whose outputs are logits", f"{path}, which ends in {name}")
    if last is not None and ends_in_softmax(model):  # that of a model within it
        raise wrong("Give a model whose outputs are logits", f"{path}, which ends in a softmax")
    return model
