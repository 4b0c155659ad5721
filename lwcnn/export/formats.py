"""Names of the formats, for the command line. Imports no backend."""

FORMAT_NAMES = ("litert", "litert-int8", "onnx", "saved_model", "c-array")
BENCH_FORMATS = ("keras", "litert", "litert-int8", "onnx")
NUM_CALIBRATION_IMAGES = 1000
"""Default number of training images for int8 calibration."""
