"""Exports a model: converts it, compares it on the test images, writes the file and a report."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from lwcnn.data.checks import images_at_once
from lwcnn.data.datasets import Dataset
from lwcnn.evaluation.metrics import accuracy
from lwcnn.evaluation.predict import class_names_of, predict_logits, require_fit
from lwcnn.experiments.shipped import model_file
from lwcnn.export.arena import plan_arena, read_graph, to_c_array
from lwcnn.export.convert import INPUT_QUANTIZATION, conversion_errors_told, convert, draw_calibration_images
from lwcnn.export.formats import FORMATS, PACKAGES, gzip_bytes, require_format
from lwcnn.models.description import model_checksum, read_description
from lwcnn.models.io import load_model
from lwcnn.system import environment
from lwcnn.system.errors import LwcnnError, wrong
from lwcnn.system.files import StrPath, read_json, write_atomically, write_folder_atomically, write_json

MAX_DIFFERENCE = 1e-3  # of float logits, relative to their range; rounding errors are 100 times smaller
MAX_FLOAT_CHANGE = 0.05  # percentage points of accuracy, up or down
MAX_INT8_DROP = 0.3  # percentage points of accuracy; gains are accepted
FEW_IMAGES = 5000  # with fewer, a change that chance explains is accepted too
MAX_CHANCE = 0.02  # of the images, but at least one: a larger change is never accepted as chance
_BATCH_SIZE = 100  # memory and speed of the check only


def export_model(
    model: StrPath, format_name: str, dataset: Dataset, output: StrPath, max_drop: float | None = None
) -> dict:
    """Exports a .keras file, compares the export with it on the test images, and writes it beside a JSON report.

    Args:
        model: Name of a trained network, or path of a .keras file.
        format_name: "litert", "litert-int8", "onnx", "saved_model" or "c-array".
        dataset: Loaded `Dataset` of the model. Training images calibrate int8; in a folder without a test part, they
            may be test images too.
        output: Path of the file or folder to write.
        max_drop: Maximum loss of accuracy in percentage points. None is 0.3 for int8 and 0.05 otherwise; on few test
            images, a larger loss that chance explains, such as of one image in 100, is accepted too. In float files, a
            gain counts like a loss, and logits may differ by at most 0.1% of their range.

    Returns:
        The report: sizes, accuracies and differences.

    Raises:
        LwcnnError: The export differs too much, in which case nothing is written, the dataset does not fit the model,
            or the format or the output path is wrong.

    Examples:
        >>> model.save(folder / "model.keras")
        >>> report = export_model(folder / "model.keras", "litert", data, folder / "model.tflite")
        >>> report["size_bytes"] < (folder / "model.keras").stat().st_size
        True
    """
    require_format(format_name)
    path, output, kind = model_file(model), Path(output), FORMATS[format_name]
    if kind.extension and output.suffix != kind.extension:  # the report must not overwrite it
        raise wrong(f"Give an output path ending in {kind.extension}", output)
    if kind.extension and output.is_dir():
        raise wrong("Give the path of a file", f"{output}, a folder")
    if not kind.extension and output.is_file():
        raise wrong("Give the path of a folder", f"{output}, a file")
    # Not `with_suffix`, because the name of a folder may contain a dot.
    report_path = output.with_name(output.name.removesuffix(kind.extension) + ".json")
    if report_path.exists() and not _is_report(report_path, output):
        raise wrong("Choose another output path: the report of the export would replace another file", report_path)
    network, told = load_model(path), read_description(path)
    require_fit(network, path, dataset)
    images = draw_calibration_images(dataset.x_train) if kind.quantized else None
    content = convert(network, format_name, images)
    logits = predict_logits(network, dataset.x_test)
    with conversion_errors_told(network, format_name):
        exported = run_batches(kind.open(content), dataset.x_test)
    compared = compare_logits(logits, exported, dataset.y_test)
    require_agreement(compared, kind.quantized, max_drop)
    whole = content if isinstance(content, bytes) else b"".join(content[name] for name in sorted(content))
    report = {
        "model": Path(path).name,
        "model_sha256": model_checksum(path),
        "parameters": network.count_params(),
        "format": format_name,
        "file": output.name,
        "size_bytes": len(whole),
        "gzip_bytes": gzip_bytes(whole),
        "dataset": dataset.name,
        "experiment": told.experiment if told else Path(path).stem,
        "dataset_sha256": dataset.checksum,
        "class_names": list(class_names_of(path, dataset)),
        **compared,
        "num_calibration_images": None if images is None else len(images),
        "calibration_seed": 0 if kind.quantized else None,
    }
    if kind.quantized:
        graph = read_graph(content)
        report["input_scale"], report["input_zero_point"] = INPUT_QUANTIZATION
        report["arena_bytes_estimated"] = plan_arena(graph.activations)
        report["operations"] = sorted(set(graph.operations))
        if format_name == "c-array":
            content = to_c_array(content, Path(path).stem, graph)
    report |= {"versions": environment.versions(PACKAGES), "device": environment.device_name()}
    if isinstance(content, dict):
        write_folder_atomically(output, content)
    else:
        write_atomically(output, content)
    write_json(report_path, report)
    return report


def run_batches(predict: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> np.ndarray:
    """Returns float32 logits of shape (n, classes) for uint8 images, computed in batches."""
    batch_size = images_at_once(images.shape[1:], _BATCH_SIZE)
    parts = [predict(images[i : i + batch_size]) for i in range(0, len(images), batch_size)]
    return np.concatenate(parts).astype(np.float32)


def compare_logits(expected: np.ndarray, exported: np.ndarray, labels: np.ndarray) -> dict:
    """Compares the logits of an exported file with those of the Keras model; `drop_points` is negative for a gain."""
    before, after = accuracy(expected, labels), accuracy(exported, labels)
    was_right, is_right = (logits.argmax(axis=1) == labels for logits in (expected, exported))
    difference = float(np.abs(expected.astype(np.float64) - exported).max())
    spread = float(expected.max() - expected.min())
    return {
        "accuracy_keras": before,
        "accuracy_exported": after,
        "drop_points": round(100 * (before - after), 6),  # avoids 0.30000000000000004
        "agreement": float((expected.argmax(axis=1) == exported.argmax(axis=1)).mean()),
        "num_lost": int((was_right & ~is_right).sum()),
        "num_gained": int((is_right & ~was_right).sum()),
        "max_abs_difference": float(f"{difference:.6g}"),
        "max_relative_difference": float(f"{difference / (spread or 1):.6g}"),
        "num_test_images": len(labels),
    }


def require_agreement(compared: dict, quantized: bool, max_drop: float | None = None) -> None:
    """Checks the result of `compare_logits`; of a `quantized` file, only a loss of accuracy counts.

    Without `max_drop`, a change on few images is accepted if it is within two standard deviations of chance and at most
    one image or 2% of them.
    """
    limit = max_drop if max_drop is not None else MAX_INT8_DROP if quantized else MAX_FLOAT_CHANGE
    if not limit >= 0:  # NaN fails this too
        raise wrong("Give max_drop as a number of at least 0", max_drop)
    drop, lost, gained = (compared[name] for name in ("drop_points", "num_lost", "num_gained"))
    is_few = max_drop is None and compared["num_test_images"] < FEW_IMAGES
    change, largest = abs(lost - gained), max(1, MAX_CHANCE * compared["num_test_images"])
    is_chance = is_few and change <= largest and change**2 <= 4 * (lost + gained)
    accuracies = f"{compared['accuracy_keras']:.2%} -> {compared['accuracy_exported']:.2%}"
    if not is_chance and (drop > limit or (not quantized and -drop > limit)):
        more = ", or what chance explains on so few images," if is_few else ""
        raise wrong(
            f"Raise max_drop to accept this export; nothing was written, because at most {limit} points of accuracy"
            f"{more} may {'be lost' if quantized else 'change'}",
            f"{accuracies} on {compared['num_test_images']} test images",
        )
    if not quantized and compared["max_relative_difference"] > MAX_DIFFERENCE:
        raise wrong(
            f"Choose another format; nothing was written, because the exported logits may differ by at most "
            f"{MAX_DIFFERENCE} of their range",
            f"{compared['max_relative_difference']:.3g}, accuracy {accuracies}",
        )


def _is_report(path: Path, output: Path) -> bool:
    try:
        return read_json(path).get("file") == output.name
    except LwcnnError:  # a list, or no JSON
        return False
