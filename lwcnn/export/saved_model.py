"""TensorFlow SavedModels: folders that TensorFlow alone can run, without Keras."""

import tempfile
from pathlib import Path

import keras
import numpy as np

from lwcnn.export.deployable import build_deployable, input_signature
from lwcnn.export.extras import require_tensorflow
from lwcnn.system.environment import quiet_native_output


def to_saved_model(model: keras.Model) -> dict[str, bytes]:
    """The model as the files of a SavedModel, float32 images 0..255 in, logits out, any batch size.

    Args:
        model: as `build_deployable` takes it.

    Returns:
        The files' contents by their paths inside the folder.

    Raises:
        LwcnnError: a model that can't be converted, or another backend than TensorFlow.
    """
    require_tensorflow()
    deployable = build_deployable(model)
    with tempfile.TemporaryDirectory() as folder, quiet_native_output():
        deployable.export(folder, format="tf_saved_model", verbose=False, input_signature=input_signature(deployable))
        paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


class SavedModel:
    """A SavedModel, ready to run.

    Args:
        files: as `to_saved_model` gives them.
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
        """Logits, float32 (n, classes), of uint8 images (n, height, width, channels)."""
        return self._model.serve(images.astype(np.float32)).numpy()
