"""Peak memory of one model in one runtime: a script of its own, run in a fresh process.

    python -P peak_memory.py FORMAT FILE

It imports nothing of lwcnn, which would bring Keras along, but where a Keras model has layers of lwcnn's. It runs
the model a hundred times on one image and prints, as JSON, the process's largest resident memory (VmHWM of
/proc/self/status) and what it was before the runtime was imported, with Python and NumPy alone, both in bytes.
"""

import json
import sys

import numpy as np

NUM_CALLS = 100


def peak_bytes() -> int:
    """The largest resident memory of this process so far."""
    try:
        with open("/proc/self/status") as lines:
            # Not ru_maxrss: it begins with that of the process which started this one.
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except OSError:  # not Linux
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def run_litert(file: str) -> None:
    """A LiteRT file, float32 or int8."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=file, num_threads=1)
    interpreter.allocate_tensors()
    given, output = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    image = np.zeros(given["shape"], given["dtype"])
    for _ in range(NUM_CALLS):
        interpreter.set_tensor(given["index"], image)
        interpreter.invoke()
        interpreter.get_tensor(output["index"])


def run_onnx(file: str) -> None:
    """An ONNX file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    image = np.zeros((1, *given.shape[1:]), np.float32)
    for _ in range(NUM_CALLS):
        session.run(None, {given.name: image})


def run_keras(file: str) -> None:
    """A .keras file, on TensorFlow, as a compiled function."""
    import keras
    import tensorflow as tf

    try:
        model = keras.saving.load_model(file, compile=False)
    except TypeError:  # a layer that Keras does not know
        import lwcnn.models.layers  # noqa: F401 - registers them

        model = keras.saving.load_model(file, compile=False)
    image = np.zeros((1, *model.input_shape[1:]), np.float32)
    compiled = tf.function(lambda images: model(images, training=False))
    for _ in range(NUM_CALLS):
        compiled(tf.constant(image)).numpy()


if __name__ == "__main__":
    before = peak_bytes()
    runs = {"keras": run_keras, "litert": run_litert, "litert-int8": run_litert, "onnx": run_onnx}
    runs[sys.argv[1]](sys.argv[2])
    print(json.dumps({"peak_bytes": peak_bytes(), "before_bytes": before}))
