"""Reads images for prediction batch by batch, so that memory does not grow with their number."""

import glob
import io
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lwcnn.data.checks import check_class_names, check_image_array, invalid
from lwcnn.data.image_files import IMAGE_EXTENSIONS, check_size, find_images, read_images, readable, reason
from lwcnn.system.errors import LwcnnError
from lwcnn.system.npz import open_array, open_npz
from lwcnn.system.safe_text import one_line

NPZ_IMAGE_KEYS = ("x_test", "images", "x")  # in order of preference
_MAX_CLASS_LIST = 2**20  # characters
STANDARD_INPUT = "-"

Batch = tuple[list[str], np.ndarray]
"""Names of the images, and the images of shape (n, height, width, channels), uint8."""


def find_inputs(inputs: Sequence[str]) -> dict[str, Path | Image.Image]:
    """Finds the images that a command line names: files, folders, patterns, and "-" for one image on standard input.

    Returns paths by name; of standard input, the image. Files of any extension are taken if they are named. Images of a
    single folder are named as by `find_images`, others by their path.
    """
    found: dict[str, Path | Image.Image] = {}
    for text in inputs:
        path = Path(os.path.expanduser(text))
        if text == STANDARD_INPUT:
            found["stdin"] = _read_standard_input()
        elif path.is_dir():
            inside = find_images(path)
            if not inside:
                raise LwcnnError(f"Give a folder with image files ({', '.join(IMAGE_EXTENSIONS)}). Received: {text}")
            found |= inside if len(inputs) == 1 else {readable(str(image)): image for image in inside.values()}
        elif os.path.lexists(path):
            found[readable(text)] = path
        elif matching := sorted(glob.glob(str(path), recursive=True)):
            found |= {readable(name): Path(name) for name in matching if not os.path.isdir(name)}
        else:
            raise LwcnnError(f"There is no such image, folder or .npz file: check the path. Received: {text!r}")
    return found


def _read_standard_input() -> Image.Image:
    try:
        return Image.open(io.BytesIO(sys.stdin.buffer.read()))
    except Exception as error:  # damaged bytes can raise any error
        raise LwcnnError(f"Pipe one image file into standard input ({reason(error)}). Received: '-'") from error


def stream_files(
    files: dict[str, Path | Image.Image],
    shape: tuple[int, int, int],
    batch_size: int,
    on_unreadable: Callable[[str, str], None],
) -> Iterator[Batch]:
    """Yields batches of image files, or images of Pillow, given by name and read as by `read_image`.

    An unreadable file is skipped: `on_unreadable` is called with its name and the reason.
    """
    check_size(shape)
    names = list(files)
    for start in range(0, len(names), batch_size):
        some = names[start : start + batch_size]
        images, kept, errors = read_images([files[name] for name in some], shape)
        for index, error in errors.items():
            on_unreadable(some[index], reason(error))
        if len(kept):
            yield [some[index] for index in kept], images


def stream_npz(path: Path, batch_size: int) -> Iterator[Batch]:
    """Yields batches of an .npz file's uint8 images, under the key `x_test`, `images` or `x`, named by their index."""
    with open_npz(path) as archive:
        keys = [name.removesuffix(".npy") for name in archive.namelist()]
        key = next((key for key in NPZ_IMAGE_KEYS if key in keys), None)
        if key is None:
            found = f"keys {', '.join(sorted(keys)) or '(none)'}"
            raise invalid(f"Save the images under one of the keys {', '.join(NPZ_IMAGE_KEYS)}", found, repr(str(path)))
        with open_array(archive, f"{key}.npy", path) as (stream, (shape, is_fortran, dtype)):
            # A broadcast array has the type and shape but takes no memory.
            shape = check_image_array(np.broadcast_to(np.zeros((), dtype), shape), key, repr(str(path))).shape
            if is_fortran:
                advice = "Save the images in C order (numpy.ascontiguousarray)"
                raise invalid(advice, f"{key!r} in Fortran order", repr(str(path)))
            for start in range(0, shape[0], batch_size):
                count = min(batch_size, shape[0] - start)
                images = np.frombuffer(stream.read(count * math.prod(shape[1:])), np.uint8)
                yield [str(start + i) for i in range(count)], images.reshape(count, *shape[1:])


def stream_array(images: np.ndarray, batch_size: int) -> Iterator[Batch]:
    """Yields batches of an array of images (n, height, width, channels), named by their index."""
    for start in range(0, len(images), batch_size):
        part = images[start : start + batch_size]
        yield [str(start + i) for i in range(len(part))], part


def read_class_list(path: Path) -> tuple[str, ...]:
    """Reads class names from a text file, one per line; empty lines are ignored."""
    try:
        with open(path, encoding="utf-8-sig") as stream:  # with or without a byte order mark
            text = stream.read(_MAX_CLASS_LIST)
    except (OSError, UnicodeDecodeError) as error:
        raise LwcnnError(f"Give a UTF-8 text file with one class name per line ({error}). Received: {path}") from error
    names = tuple(one_line(line) for line in text.splitlines() if line.strip())
    if len(text) == _MAX_CLASS_LIST or not names:
        raise LwcnnError(f"Give a UTF-8 text file with one class name per line. Received: {path}")
    check_class_names(names, str(path))
    return names
