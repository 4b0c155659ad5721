"""Names and sizes of the formats. Imports no backend."""

import gzip

FORMAT_NAMES = ("litert", "litert-int8", "onnx", "saved_model", "c-array")
BENCH_FORMATS = ("keras", "litert", "litert-int8", "onnx")
NUM_CALIBRATION_IMAGES = 1000
"""Default number of training images for int8 calibration."""


def gzip_bytes(content: bytes) -> int:
    """Returns the size in bytes after gzip compression at level 9."""
    return len(gzip.compress(content, compresslevel=9, mtime=0))
