"""Names of the formats, for the command line: nothing here imports a backend."""

FORMAT_NAMES = ("litert", "litert-int8", "onnx", "saved_model", "c-array")
BENCH_FORMATS = ("keras", "litert", "litert-int8", "onnx")
NUM_CALIBRATION_IMAGES = 1000
"""Training images that calibrate int8 by default."""
