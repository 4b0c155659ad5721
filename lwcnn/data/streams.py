"""Reads images for prediction batch by batch, so that memory does not grow with their number."""

import contextlib
import os
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
from PIL import Image, ImageOps

from lwcnn.data.checks import check_class_names, check_image_array, decode_class_names
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import require_file
from lwcnn.system.npz import Header, read_header
from lwcnn.system.safe_text import one_line

IMAGE_EXTENSIONS = (
    ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip
BACKGROUND = "white"  # of transparent images
NPZ_IMAGE_KEYS = ("x_test", "images", "x")  # in order of preference
_MAX_CLASS_LIST = 2**20  # characters
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}

Batch = tuple[list[str], np.ndarray]
"""Names of the images, and the images of shape (n, height, width, channels), uint8."""


def find_images(folder: Path) -> dict[str, Path]:
    """Finds the image files in a folder and its subfolders, in natural order (2 before 10).

    Symbolic links are followed. Hidden files and files of other types are ignored.

    Args:
        folder: Path of the folder.

    Returns:
        Dict of paths by name. The name is the relative path without its extension, or with it if names would
        otherwise collide.

    Raises:
        LwcnnError: If there is no image file.
    """
    inside = {path.relative_to(folder).as_posix(): path for path in _walk(Path(folder), set())}
    if not inside:
        raise LwcnnError(f"Give a folder with image files ({', '.join(IMAGE_EXTENSIONS)}). Received: {folder}")
    names = sorted(inside, key=_natural_key)
    for display in (lambda name: _readable(PurePosixPath(name).with_suffix("").as_posix()), _readable, _escaped):
        found = {display(name): inside[name] for name in names}
        if len(found) == len(names):
            break
    return found


def _walk(folder: Path, above: set[str]) -> Iterator[Path]:
    """Yields visible image files; `above` holds the parent folders, to detect links that form a cycle."""
    real = os.path.realpath(folder)
    if real in above:
        return
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(entry, above | {real})
        elif entry.suffix.lower() in IMAGE_EXTENSIONS:
            yield entry


def _readable(name: str) -> str:
    """Returns a file name as text, decoded from UTF-8, or from Latin-1 as in old archives."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return os.fsencode(name).decode("latin-1")
    return name


def _escaped(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def stream_files(
    files: dict[str, Path],
    shape: tuple[int, int, int],
    batch_size: int,
    on_unreadable: Callable[[Path, str], None],
    on_resized: Callable[[], None] = lambda: None,
) -> Iterator[Batch]:
    """Yields batches of image files.

    Images are rotated according to their EXIF data, composited on white if transparent (unless the model has a fourth
    channel), converted to the number of channels, and resized bilinearly, without preserving the aspect ratio, if
    their size differs.

    Args:
        files: Dict of paths by name, as returned by `find_images`.
        shape: Shape (height, width, channels) of the yielded images, with 1, 3 or 4 channels.
        batch_size: Number of images per batch, at least 1.
        on_unreadable: Function called with the path of each unreadable file, which is skipped, and the reason.
        on_resized: Function called for each resized image.

    Raises:
        LwcnnError: If the number of channels is not supported.
    """
    if shape[2] not in _MODES:
        raise LwcnnError(
            f"Give a model with 1, 3 or 4 input channels for image files. Received: a model of {shape[2]} channels"
        )
    names, images = [], []
    for name, path in files.items():
        try:
            image, was_resized = _read_image(path, shape)
        except Exception as error:  # corrupt files can raise any error
            on_unreadable(path, f"{type(error).__name__}: {error}")
            continue
        if was_resized:
            on_resized()
        names.append(name)
        images.append(image)
        if len(images) == batch_size:
            yield names, np.stack(images)
            names, images = [], []
    if images:
        yield names, np.stack(images)


def stream_npz(path: Path, batch_size: int) -> Iterator[Batch]:
    """Yields batches of the images of an .npz file, under the key `x_test`, `images` or `x`, named by their index.

    Args:
        path: Path of the file.
        batch_size: Number of images per batch, at least 1.

    Raises:
        LwcnnError: If the file or key is missing, the file is corrupt, or the array does not contain uint8 images.
    """
    with _open_npz(path) as archive:
        keys = [name.removesuffix(".npy") for name in archive.namelist()]
        key = next((key for key in NPZ_IMAGE_KEYS if key in keys), None)
        if key is None:
            raise LwcnnError(
                f"Save the images under one of the keys {', '.join(NPZ_IMAGE_KEYS)}. "
                f"Received: keys {', '.join(sorted(keys)) or '(none)'} in {str(path)!r}"
            )
        with archive.open(f"{key}.npy") as stream:
            header = read_header(stream, key, _member_size(archive, key), path)
            yield from _stream_array(stream, header, key, str(path), batch_size)
            if stream.read(1):  # at the end of the file, zipfile verifies the checksum
                raise zipfile.BadZipFile("extra bytes after the array")


def stream_array(images: np.ndarray, batch_size: int) -> Iterator[Batch]:
    """Yields batches of an array of images, named by their index.

    Args:
        images: Array of shape (n, height, width, channels).
        batch_size: Number of images per batch, at least 1.
    """
    for start in range(0, len(images), batch_size):
        part = images[start : start + batch_size]
        yield [str(start + i) for i in range(len(part))], part


def read_class_names(path: Path) -> tuple[str, ...] | None:
    """Reads only the `class_names` of an .npz file.

    Args:
        path: Path of the file.

    Returns:
        The class names, or None if the file has none.

    Raises:
        LwcnnError: If the file is missing or corrupt, or the names are invalid.
    """
    with _open_npz(path) as archive:
        if "class_names.npy" not in archive.namelist():
            return None
        with archive.open("class_names.npy") as stream:
            shape, _, dtype = read_header(stream, "class_names", _member_size(archive, "class_names"), path)
            return decode_class_names(np.frombuffer(stream.read(), dtype).reshape(shape), repr(str(path)))


def read_class_list(path: Path) -> tuple[str, ...]:
    """Reads class names from a text file, one per line; empty lines are ignored.

    Args:
        path: Path of the file.

    Raises:
        LwcnnError: If the file is missing or not UTF-8 text, or a name is repeated.
    """
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


@contextlib.contextmanager
def _open_npz(path: Path) -> Iterator[zipfile.ZipFile]:
    """Opens an .npz file; converts errors to `LwcnnError`."""
    require_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except LwcnnError:
        raise
    except Exception as error:  # corrupt bytes can raise any error
        raise LwcnnError(
            f"Download or save the .npz file again, it is corrupt or truncated ({type(error).__name__}: {error}). "
            f"Received: {str(path)!r}"
        ) from error


def _member_size(archive: zipfile.ZipFile, key: str) -> int:
    return archive.getinfo(f"{key}.npy").file_size


def _stream_array(stream: IO[bytes], header: Header, key: str, path: str, batch_size: int) -> Iterator[Batch]:
    shape, is_fortran, dtype = header
    # A broadcast array has the type and shape but takes no memory.
    shape = check_image_array(np.broadcast_to(np.zeros((), dtype), shape), key, repr(path)).shape
    if is_fortran:
        raise LwcnnError(
            f"Save the images in C order (numpy.ascontiguousarray). Received: {key!r} in Fortran order in {path!r}"
        )
    image_bytes = int(np.prod(shape[1:]))
    for start in range(0, shape[0], batch_size):
        count = min(batch_size, shape[0] - start)
        data = stream.read(count * image_bytes)
        images = np.frombuffer(data, np.uint8).reshape(count, *shape[1:])
        yield [str(start + i) for i in range(count)], images


def _read_image(path: Path, shape: tuple[int, int, int]) -> tuple[np.ndarray, bool]:
    """Returns an image as uint8 of the given shape, and whether it was resized."""
    height, width, channels = shape
    if not path.is_file():  # reading from a pipe would block
        raise ValueError("not a regular file, or a broken link")
    with warnings.catch_warnings(action="ignore"), Image.open(path) as opened:  # ignore warnings about metadata
        opened.load()
        image = _to_8_bit(_upright(opened))
        if channels != 4 and image.has_transparency_data:
            image = Image.alpha_composite(Image.new("RGBA", image.size, BACKGROUND), image.convert("RGBA"))
        image = image.convert(_MODES[channels])
        resized = image.size != (width, height)
        if resized:
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(image, np.uint8).reshape(shape), resized


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # corrupt EXIF data can raise any error; the pixels are valid
        return image


def _to_8_bit(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):  # Pillow would clip values above 255
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("32 bits per pixel, whose range is unknown")
    return image


def _natural_key(text: str) -> list:
    """Returns a sort key that places "img2" before "img10"."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]
