"""Runs the int8 files for microcontrollers in TensorFlow Lite Micro: classes beside LiteRT's, and the arena it takes.

    pip install tflite-micro
    LWCNN_DATA_DIR=... python benchmarks/microcontroller.py --json results/microcontroller.json

LiteRT runs twice: with its kernels for CPUs, and with its reference kernels, whose arithmetic is Micro's.
"""

import argparse
import importlib.util
import os
import re
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lwcnn.data.datasets import load_dataset
from lwcnn.export.arena import plan_arena, read_graph
from lwcnn.export.convert import draw_calibration_images, to_litert_int8
from lwcnn.export.formats import LitertModel
from lwcnn.models.io import load_model
from lwcnn.system import environment
from lwcnn.system.files import write_json

FAMILY = ("wren_5k", "wren_10k", "wren_20k", "wren_30k", "wren_100k", "wren_fast")
MODELS = tuple(f"cifar10-{name}" for name in ("paper", "residual_se_muon", *FAMILY))
NUM_IMAGES, NUM_REFERENCE_IMAGES = 1000, 100  # the reference kernels are as slow as Micro
LARGEST_ARENA = 2**22  # bytes


def run_micro(content: bytes, prepared: np.ndarray) -> tuple[np.ndarray, dict[str, int]]:
    """Returns the int8 outputs of int8 images in TensorFlow Lite Micro, and the bytes of its arena by part.

    The part "head" has the activations, "tail" the interpreter's structures and what operations keep.
    """
    from tflite_micro import runtime

    interpreter, outputs = runtime.Interpreter.from_bytes(content, arena_size=LARGEST_ARENA), []
    for image in prepared:
        interpreter.set_input(image[np.newaxis], 0)
        interpreter.invoke()
        outputs.append(interpreter.get_output(0).copy())
    return np.concatenate(outputs), _arena(interpreter)


def _arena(interpreter) -> dict[str, int]:
    """The bytes that the interpreter prints to the process's standard error; it gives them in no other way."""
    with tempfile.TemporaryFile() as printed:
        before = os.dup(2)
        os.dup2(printed.fileno(), 2)
        try:
            interpreter.print_allocations()
        finally:
            os.dup2(before, 2)
            os.close(before)
        printed.seek(0)
        lines = re.findall(r"Arena allocation (\w+) (\d+) bytes", printed.read().decode())
    return {part: int(size) for part, size in lines}


def run_reference(content: bytes, prepared: np.ndarray) -> np.ndarray:
    """Returns the int8 outputs of int8 images in LiteRT's reference kernels."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    (given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.allocate_tensors()
    outputs = []
    for image in prepared:
        interpreter.set_tensor(given["index"], image[np.newaxis])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(found["index"]))
    return np.concatenate(outputs)


def measured(name: str, data) -> dict:
    """One row: the int8 file that `lwcnn export --format c-array` makes of a released model."""
    calibration = draw_calibration_images(data.x_train)
    content = to_litert_int8(load_model(ROOT / "models" / f"{name}.keras"), calibration, split=False)
    litert, labels = LitertModel(content), data.y_test[:NUM_IMAGES]
    prepared = litert.prepare(data.x_test[:NUM_IMAGES])
    micro, arena = run_micro(content, prepared)
    reference = run_reference(content, prepared[:NUM_REFERENCE_IMAGES])
    of_micro, of_litert = (outputs.argmax(axis=1) for outputs in (micro, litert.run(prepared)))
    return {
        **{"model": name, "format": "c-array", "size_bytes": len(content)},
        "same_outputs_as_reference": float((micro[:NUM_REFERENCE_IMAGES] == reference).all(axis=1).mean()),
        "same_class_as_litert": float((of_micro == of_litert).mean()),
        "accuracy_micro": float((of_micro == labels).mean()),
        "accuracy_litert": float((of_litert == labels).mean()),
        "arena_bytes_estimated": plan_arena(read_graph(content).activations),
        **{f"arena_bytes_{part}": size for part, size in arena.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=ROOT / "results" / "microcontroller.json")
    options = parser.parse_args()
    if importlib.util.find_spec("tflite_micro") is None:
        parser.error("install the interpreter: pip install tflite-micro")
    data, rows = load_dataset("cifar10"), []
    about = {"images": f"the first {NUM_IMAGES:,} test images of CIFAR-10"}
    about |= {"reference_images": f"the first {NUM_REFERENCE_IMAGES}"}
    about |= environment.machine(["ai-edge-litert", "tflite-micro"])
    for name in MODELS:
        rows.append(measured(name, data))
        print(rows[-1], flush=True)
        write_json(options.json, {"rows": rows, **about})


if __name__ == "__main__":
    main()
