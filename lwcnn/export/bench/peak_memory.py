"""Measures the peak memory of one model in one runtime; a script to be run in a new process.

    python -P peak_memory.py RUNTIME FILE

It does not import lwcnn, which would import Keras, unless a Keras model has custom layers. It runs the model 100 times
on one image and prints the peak resident memory of the process and that of only Python and NumPy, in bytes, as JSON.
"""

import json
import sys

import numpy as np

NUM_CALLS = 100


def peak_bytes() -> int:
    """Returns the peak resident memory of this process in bytes."""
    try:
        with open("/proc/self/status") as lines:
            # Not ru_maxrss, whose initial value is inherited from the parent process.
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except OSError:  # not Linux
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def run_litert(file: str) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=file, num_threads=1)
    interpreter.allocate_tensors()
    model_input, output = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    image = np.zeros(model_input["shape"], model_input["dtype"])
    for _ in range(NUM_CALLS):
        interpreter.set_tensor(model_input["index"], image)
        interpreter.invoke()
        interpreter.get_tensor(output["index"])


def run_onnx(file: str) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    model_input = session.get_inputs()[0]
    image = np.zeros((1, *model_input.shape[1:]), np.float32)
    for _ in range(NUM_CALLS):
        session.run(None, {model_input.name: image})


def run_keras(file: str) -> None:
    import keras
    import tensorflow as tf

    try:
        model = keras.saving.load_model(file, compile=False)
    except TypeError:  # a custom layer
        import lwcnn.models.layers  # noqa: F401 - registers custom layers

        model = keras.saving.load_model(file, compile=False)
    image = np.zeros((1, *model.input_shape[1:]), np.float32)
    compiled = tf.function(lambda images: model(images, training=False))
    for _ in range(NUM_CALLS):
        compiled(tf.constant(image)).numpy()


if __name__ == "__main__":
    before = peak_bytes()
    runs = {"keras function": run_keras, "litert": run_litert, "litert-int8": run_litert, "onnx": run_onnx}
    runs[sys.argv[1]](sys.argv[2])
    print(json.dumps({"peak_bytes": peak_bytes(), "before_bytes": before}))
