"""Reads images for prediction batch by batch, so that memory does not grow with their number."""

import glob
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lwcnn.data.checks import check_class_names, check_image_array, images_at_once
from lwcnn.data.image_files import IMAGE_EXTENSIONS, check_size, find_images, read_images, readable, reason
from lwcnn.system.errors import located, wrong
from lwcnn.system.files import read_text
from lwcnn.system.npz import load_npz
from lwcnn.system.safe_text import one_line

NPZ_IMAGE_KEYS = ("x_test", "images", "x")  # in order of preference

Batch = tuple[list[str], np.ndarray]
"""Names of the images, and the images of shape (n, height, width, channels), uint8."""


def find_inputs(inputs: Sequence[str]) -> dict[str, Path | Image.Image]:
    """Finds the images that a command line names: files, folders, patterns, and "-" for one image on standard input.

    Returns paths, or the image, by name. Files of any extension are taken if they are named.
    """
    found: dict[str, Path | Image.Image] = {}
    for text in inputs:
        require_input(text)
        path = Path(os.path.expanduser(text))
        if text == "-":
            found["stdin"] = _read_standard_input()
        elif path.is_dir():
            inside = find_images(path)
            if not inside:
                raise wrong(f"Give a folder with image files ({', '.join(IMAGE_EXTENSIONS)})", text)
            found |= inside if len(inputs) == 1 else {readable(str(image)): image for image in inside.values()}
        elif path.suffix == ".npz" and path.exists():
            raise wrong("Give an .npz file alone", f"{text!r} among {len(inputs)} inputs")
        elif os.path.lexists(path):
            found[readable(text)] = path
        else:
            for name in map(Path, sorted(glob.glob(str(path), recursive=True))):
                images = find_images(name).values() if name.is_dir() else [name]
                found |= {readable(str(image)): image for image in images}
    return found


def require_input(text: str) -> None:
    """Checks that an input of `find_inputs` is standard input, or names a file or folder that exists."""
    if not text:
        raise wrong("Give the path of an image, folder or .npz file", "an empty path")
    file = os.path.expanduser(text)
    if text != "-" and not os.path.lexists(file) and not any(glob.iglob(file, recursive=True)):
        raise wrong("There is no such image, folder or .npz file: check the path", repr(text))


def _read_standard_input() -> Image.Image:
    try:
        return Image.open(io.BytesIO(sys.stdin.buffer.read()))
    except Exception as error:  # damaged bytes can raise any error
        raise wrong(f"Pipe one image file into standard input ({reason(error)})", "'-'") from error


def stream_files(
    files: dict[str, Path | Image.Image], shape: tuple[int, int, int], on_unreadable: Callable[[str, str], None]
) -> Iterator[Batch]:
    """Yields batches of image files, read as by `read_image`; `on_unreadable` is called with a name and the reason."""
    check_size(shape)
    names, batch_size = list(files), images_at_once(shape)
    for start in range(0, len(names), batch_size):
        some = names[start : start + batch_size]
        images, kept, unreadable = read_images([files[name] for name in some], shape)
        for index, why in unreadable.items():
            on_unreadable(some[index], why)
        if len(kept):
            yield [some[index] for index in kept], images


def read_npz_images(path: Path) -> np.ndarray:
    """Reads an .npz file's uint8 images, under the key `x_test`, `images` or `x`."""
    arrays = load_npz(path)
    key = next((key for key in NPZ_IMAGE_KEYS if key in arrays), None)
    with located(repr(str(path))):
        if key is None:
            advice = f"Save the images under one of the keys {', '.join(NPZ_IMAGE_KEYS)}"
            raise wrong(advice, f"keys {', '.join(sorted(arrays)) or '(none)'}")
        if arrays[key].ndim == 3 and arrays[key].shape[2] in (1, 3, 4):
            advice = f"Give {key!r} the shape (n, height, width, channels); for a single image, image[np.newaxis]"
            raise wrong(advice, f"shape {arrays[key].shape}")
        return check_image_array(arrays[key], key)


def read_class_list(path: Path) -> tuple[str, ...]:
    """Reads class names from a text file, one per line; empty lines are ignored."""
    names = tuple(one_line(line) for line in read_text(path).splitlines() if line.strip())
    if not names:
        raise wrong("Give a text file with one class name per line", path)
    with located(path):
        check_class_names(names)
    return names
