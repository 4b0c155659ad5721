"""Measures the peak memory of one model in one runtime, in a process that imports only NumPy and that runtime."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from lwcnn.export.formats import FORMATS, Runtime
from lwcnn.system.environment import thread_environment
from lwcnn.system.errors import LwcnnError

HOW = "VmHWM of a fresh process that imports the runtime, loads the file and runs one image 100 times"
KERAS = "keras function"
_NUM_CALLS = 100


def measure_memory(runtime: str, file: Path, image_shape: tuple[int, ...]) -> dict[str, int]:
    """Measures `peak_memory_bytes` of a new process, and `python_memory_bytes` before it imports the runtime."""
    paths = [str(Path(__file__).resolve().parents[3]), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", __name__, runtime, str(file.resolve()), *map(str, image_shape)],
        env=os.environ | thread_environment(1) | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise LwcnnError(f"The measurement of memory failed. Received: {runtime}, {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def peak_bytes() -> int:
    """Returns the peak resident memory of this process in bytes."""
    try:
        with open("/proc/self/status") as lines:
            # Not ru_maxrss, whose initial value is inherited from the parent process.
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except OSError:  # not Linux
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def open_keras(file: Path) -> Runtime:
    """Opens a model as a compiled function."""
    import tensorflow as tf

    from lwcnn.models.io import load_model

    model = load_model(file)
    signature = [tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32)]
    function = tf.function(lambda images: model(images, training=False), input_signature=signature)
    return Runtime(lambda prepared: function(prepared).numpy())


def _run(runtime: str, file: Path, image_shape: tuple[int, ...]) -> None:
    before = peak_bytes()
    model = open_keras(file) if runtime == KERAS else FORMATS[runtime].open(file.read_bytes())
    image = model.prepare(np.zeros((1, *image_shape), np.uint8))
    for _ in range(_NUM_CALLS):
        model.run(image)
    print(json.dumps({"peak_memory_bytes": peak_bytes(), "python_memory_bytes": before}))


if __name__ == "__main__":
    _run(sys.argv[1], Path(sys.argv[2]), tuple(map(int, sys.argv[3:])))
