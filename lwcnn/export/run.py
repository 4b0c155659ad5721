"""One export from beginning to end: convert, check on the test images, write the file and its report."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from lwcnn.data import Dataset
from lwcnn.data.checks import images_at_once
from lwcnn.evaluation import predict_logits, require_fit
from lwcnn.export.arena import plan_arena, read_graph
from lwcnn.export.c_array import to_c_array
from lwcnn.export.check import compare_logits, require_agreement
from lwcnn.export.extras import versions
from lwcnn.export.formats import NUM_CALIBRATION_IMAGES
from lwcnn.export.litert import INPUT_QUANTIZATION, LitertModel, draw_calibration_images, to_litert, to_litert_int8
from lwcnn.export.onnx import OnnxModel, to_onnx
from lwcnn.export.saved_model import SavedModel, to_saved_model
from lwcnn.export.sizes import gzip_bytes, size_bytes
from lwcnn.models.io import file_checksum, load_model
from lwcnn.system import environment
from lwcnn.system.errors import LwcnnError, unknown_name
from lwcnn.system.files import write_atomically, write_folder_atomically, write_json

FOLDER = Path("exports")
_BATCH_SIZE = 100  # memory and speed of the check only


@dataclass(frozen=True)
class Format:
    """A file format.

    Args:
        ending: of the file; "" for a folder.
        open: gives, from the file's bytes (a folder's: by name), a function from uint8 images to logits.
        quantized: whether it computes in int8, so that it needs calibration images.
    """

    ending: str
    open: Callable
    quantized: bool = False


FORMATS = {
    "litert": Format(".tflite", LitertModel),
    "litert-int8": Format(".tflite", LitertModel, quantized=True),
    "onnx": Format(".onnx", OnnxModel),
    "saved_model": Format("", SavedModel),
    "c-array": Format("", LitertModel, quantized=True),
}


def convert(model: keras.Model, format_name: str, calibration_images: np.ndarray | None = None):
    """The model in a format: a file's bytes, or those of a folder's files by name.

    A C array's are those of its int8 file: the same bytes run, be they in a file or in an array. It is for
    microcontrollers, so it keeps hard swish as one operation.

    Args:
        model: as `lwcnn.export.deployable.build_deployable` takes it.
        format_name: one of `FORMATS`.
        calibration_images: for the int8 formats, as `to_litert_int8` takes them.

    Raises:
        LwcnnError: an unknown format, or a model that can't be converted.
    """
    if format_name not in FORMATS:
        raise unknown_name("format", format_name, FORMATS)
    if FORMATS[format_name].quantized:
        return to_litert_int8(model, calibration_images, split=format_name != "c-array")
    return {"litert": to_litert, "onnx": to_onnx, "saved_model": to_saved_model}[format_name](model)


def export_model(
    path: str | Path,
    format_name: str,
    data: Dataset,
    output: str | Path | None = None,
    num_calibration_images: int = NUM_CALIBRATION_IMAGES,
    max_drop: float | None = None,
    seed: int = 0,
) -> dict:
    """Exports a released model, checks the export on the test images, and writes it with its report.

    The report is a JSON file beside the file or folder, of the same name. A format that disagrees with the
    model is not written.

    Args:
        path: the model, a .keras file.
        format_name: one of `FORMATS`.
        data: the data set: its test images check the export, its training images calibrate int8.
        output: the file (litert, onnx) or folder (saved_model, c-array) to write; None for
            exports/<model>-<format>.
        num_calibration_images: training images for int8, 1 or more.
        max_drop: points of accuracy that may be lost; None for 0.3 in int8 and 0.05 else.
        seed: of the draw of calibration images.

    Returns:
        What the report holds.

    Raises:
        LwcnnError: an unknown format, a model that can't be read, does not fit the data or can't be converted,
            an export that disagrees, or a file that can't be written.
    """
    if format_name not in FORMATS:
        raise unknown_name("format", format_name, FORMATS)
    kind = FORMATS[format_name]
    output = Path(output) if output else FOLDER / f"{Path(path).stem}-{format_name}{kind.ending}"
    if kind.ending and output.suffix != kind.ending:  # the report beside it must not take its place
        raise LwcnnError(f"Give an output that ends in {kind.ending}. Received: {output}")
    model = load_model(path)
    require_fit(model, path, data)
    images = draw_calibration_images(data.x_train, num_calibration_images, seed) if kind.quantized else None
    content = convert(model, format_name, images)
    compared = compare_logits(
        predict_logits(model, data.x_test), run_batches(kind.open(content), data.x_test), data.y_test
    )
    require_agreement(compared, kind.quantized, max_drop)
    report = {
        "model": Path(path).name,
        "model_sha256": file_checksum(path),
        "parameters": model.count_params(),
        "format": format_name,
        "file": output.name,
        "size_bytes": size_bytes(content),
        "gzip_bytes": gzip_bytes(content),
        "dataset": data.name,
        "dataset_sha256": data.checksum,
        **compared,
        "num_calibration_images": len(images) if kind.quantized else None,
        "calibration_seed": seed if kind.quantized else None,
    }
    if kind.quantized:
        graph = read_graph(content)
        report["input_scale"], report["input_zero_point"] = INPUT_QUANTIZATION
        report["arena_bytes_estimated"] = plan_arena(graph.activations)
        report["operations"] = sorted(set(graph.operations))
    report |= {"versions": versions(), "device": environment.device_name()}
    if format_name == "c-array":
        content = to_c_array(content, Path(path).stem, graph)
    if isinstance(content, dict):
        write_folder_atomically(output, content)
    else:
        write_atomically(output, content)
    # Not `with_suffix`: a folder's name may hold a dot.
    write_json(output.with_name(output.name.removesuffix(kind.ending or "\0") + ".json"), report)
    return report


def run_batches(opened: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> np.ndarray:
    """Logits, float32 (n, classes), of uint8 images (n, height, width, channels), some images at a time."""
    batch_size = images_at_once(images.shape[1:], _BATCH_SIZE)
    parts = [opened(images[i : i + batch_size]) for i in range(0, len(images), batch_size)]
    return np.concatenate(parts).astype(np.float32)
