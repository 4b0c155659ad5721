"""Converts models to SavedModels, which TensorFlow runs without Keras."""

import tempfile
from pathlib import Path

import keras
import numpy as np

from lwcnn.export.deployable import build_deployable, export
from lwcnn.export.extras import require_tensorflow
from lwcnn.export.runtime import ExportedModel
from lwcnn.system.environment import quiet_native_output


def to_saved_model(model: keras.Model) -> dict[str, bytes]:
    """Converts a model to the files of a float32 SavedModel, from images (0 to 255) to logits, for any batch size."""
    require_tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        export(build_deployable(model), folder, "tf_saved_model")
        paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


class SavedModel(ExportedModel):
    """Runs the files of a SavedModel."""

    def __init__(self, files: dict[str, bytes]):
        tf = require_tensorflow()
        with tempfile.TemporaryDirectory() as folder, quiet_native_output():
            for name, content in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self._model = tf.saved_model.load(folder)

    def run(self, prepared: np.ndarray) -> np.ndarray:
        return self._model.serve(prepared).numpy()
