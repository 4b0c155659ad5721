"""Converts models to SavedModels, which TensorFlow runs without Keras."""

import tempfile
from pathlib import Path

import keras
import numpy as np

from lwcnn.export.deployable import build_deployable, input_signature
from lwcnn.export.extras import require_tensorflow
from lwcnn.system.environment import quiet_native_output


def to_saved_model(model: keras.Model) -> dict[str, bytes]:
    """Converts a model to a float32 SavedModel, from images between 0 and 255 to logits, for any batch size.

    Args:
        model: Keras model, as in `build_deployable`.

    Returns:
        Dict of file contents by relative path.

    Raises:
        LwcnnError: If the model cannot be converted or the backend is not TensorFlow.
    """
    require_tensorflow()
    deployable = build_deployable(model)
    with tempfile.TemporaryDirectory() as folder, quiet_native_output():
        deployable.export(folder, format="tf_saved_model", verbose=False, input_signature=input_signature(deployable))
        paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


class SavedModel:
    """Runs a SavedModel.

    Args:
        files: Dict of file contents by relative path, as returned by `to_saved_model`.
    """

    def __init__(self, files: dict[str, bytes]):
        tf = require_tensorflow()
        with tempfile.TemporaryDirectory() as folder, quiet_native_output():
            for name, content in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self._model = tf.saved_model.load(folder)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Returns float32 logits of shape (n, classes) for uint8 images of shape (n, height, width, channels)."""
        return self._model.serve(images.astype(np.float32)).numpy()
