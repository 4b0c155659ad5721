"""Reads image files into arrays of one size and number of channels; rotates by EXIF and fills transparency white."""

import functools
import logging
import math
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lwcnn.system.errors import wrong
from lwcnn.system.files import require_available
from lwcnn.system.npz import require_memory
from lwcnn.system.safe_text import decode_name, one_line

NUM_COPIES = 3  # of the pixels, at most, until a dataset is read, split and sorted

IMAGE_EXTENSIONS = (
    ".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm",
    ".tif", ".tiff", ".webp",
)  # fmt: skip
_SYSTEM_FOLDERS = ("__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found")
BACKGROUND = "white"  # of transparent images
MAX_DEFAULT_SIDE = 96  # pixels; larger images are reduced unless a size is chosen
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_log = logging.getLogger(__name__)
_GRAY_MODES = ("1", "L", "LA", "F")
_ORIENTATION = 0x0112  # EXIF tag; 5 to 8 exchange height and width

Size = int | tuple[int, int] | tuple[int, int, int]
"""Side of a square in pixels, (height, width), or (height, width, channels)."""


def find_images(folder: Path) -> dict[str, Path]:
    """Finds the image files in a folder and its subfolders, in natural order (2 before 10); returns paths by name.

    The name is the path relative to the folder, or if all files are numbered ("1.png"), the number, as in competitions.
    """
    inside = {path.relative_to(folder).as_posix(): path for path in _walk(folder)}
    names = sorted(inside, key=_natural_key)
    numbers = {str(PurePosixPath(name).with_suffix("")): inside[name] for name in names}
    if len(numbers) == len(names) and all(number.isascii() and number.isdigit() for number in numbers):
        return numbers
    found = {readable(name): inside[name] for name in names}
    if len(found) < len(names):
        found = {name.encode("utf-8", "backslashreplace").decode(): inside[name] for name in names}
    return found


def is_visible(name: str) -> bool:
    """Returns whether a file or folder is the user's: neither hidden nor made by a system, such as for thumbnails."""
    return not name.startswith(".") and name not in _SYSTEM_FOLDERS


def is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_EXTENSIONS


def read_image(source: Path | Image.Image, shape: tuple[int, int, int]) -> np.ndarray:
    """Reads an image as uint8 (height, width, channels) with 1, 3 or 4 channels; a corrupt file can raise any error.

    It is rotated by its EXIF data, composited on white (unless there is a fourth channel), and resized bilinearly
    without preserving the aspect ratio.
    """
    height, width, channels = shape
    with _opened(source) as opened:
        opened.draft(None, (2 * max(shape), 2 * max(shape)))  # decodes large JPEG files at a fraction of their size
        opened.load()
        has_16_bits = opened.mode.startswith("I;16") or (opened.mode, opened.format) == ("I", "PPM")
        image = _to_8_bit(_upright(opened), has_16_bits)
        if channels != 4 and image.has_transparency_data:
            image = Image.alpha_composite(Image.new("RGBA", image.size, BACKGROUND), image.convert("RGBA"))
        image = image.convert(_MODES[channels])
        if image.size != (width, height):
            parts = image.split() if channels == 4 else [image]  # else Pillow weights colors by the fourth channel
            parts = [part.resize((width, height), Image.Resampling.BILINEAR) for part in parts]
            image = Image.merge(image.mode, parts) if channels == 4 else parts[0]
        return np.asarray(image, np.uint8).reshape(shape)


def read_images(
    sources: Sequence[Any], shape: tuple[int, int, int], copies: int = 1
) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
    """Reads many images; returns those that can be read, their indices among the sources, and why others cannot.

    `copies` of the images must fit into memory. An error that may pass raises `Unavailable`: without the image, the
    dataset would be another.
    """
    size, advice = copies * len(sources) * math.prod(shape), "Give fewer images, or smaller ones (--size)"
    require_memory(size, f"{copies} x {len(sources):,} images of shape {shape}", advice)
    images = np.empty((len(sources), *shape), np.uint8)
    kept: list[int] = []
    unreadable: dict[int, str] = {}
    for index, source in enumerate(sources):
        try:
            images[len(kept)] = read_image(source, shape)
            kept.append(index)
        except Exception as error:  # corrupt files can raise any error
            _require_present(error, source)
            unreadable[index] = reason(error)
    return images[: len(kept)], np.array(kept, np.int64), unreadable


def choose_shape(sources: Iterable[Any], size: Size | None) -> tuple[int, int, int]:
    """Returns the chosen shape for images, or else their median height and width, at most `MAX_DEFAULT_SIDE` pixels.

    There is one channel if all images are gray, otherwise three.
    """
    chosen = check_size(size)
    if len(chosen) == 3:
        return chosen[0], chosen[1], chosen[2]
    sizes, num_gray = [], 0
    for source in sources:
        try:
            with _opened(source) as image:
                sizes.append(_upright_size(image))
                num_gray += image.mode in _GRAY_MODES or image.mode.startswith("I")
        except Exception as error:  # reported when its pixels are read
            _require_present(error, source)
    if not sizes:
        raise wrong("Give at least one readable image", "no readable image")
    height, width = chosen or _default_size(np.median(sizes, axis=0))
    if len(sizes) / 2 < num_gray < len(sizes):
        told = "%d of %d images are stored as gray, the others in color: the network gets three input channels"
        _log.warning(told, num_gray, len(sizes))
    return height, width, 1 if num_gray == len(sizes) else 3


def _default_size(median: np.ndarray) -> tuple[int, int]:
    """Returns (height, width) for a median (width, height)."""
    scale = min(1.0, MAX_DEFAULT_SIDE / max(median))
    width, height = (max(1, round(side * scale)) for side in median)
    if scale < 1:
        message = (
            "The images, of median size %dx%d, are reduced to %dx%d; choose another size with --size, or size= in "
            "Python"
        )
        _log.warning(message, median[1], median[0], height, width)
    return height, width


def check_size(size: Size | None) -> tuple[int, ...]:
    """Returns a size as a tuple (height, width) or (height, width, channels); None gives an empty one."""
    if size is None:
        return ()
    sides = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    is_valid = len(sides) in (2, 3) and all(isinstance(side, (int, np.integer)) and side > 0 for side in sides)
    if not is_valid or (len(sides) == 3 and sides[2] not in _MODES):
        raise wrong(
            "Give size as the side of a square in pixels, (height, width), or (height, width, channels) with 1, 3 or "
            "4 channels",
            f"size={size!r}",
        )
    return tuple(int(side) for side in sides)


def resize_images(images: np.ndarray, size: Size) -> np.ndarray:
    """Resizes and converts uint8 images (n, height, width, channels) as `read_image` does."""
    height, width, channels = (*check_size(size), images.shape[3])[:3]
    if (height, width, channels) == images.shape[1:]:
        return images
    if images.shape[3] not in _MODES or channels not in _MODES:
        raise wrong("Give images of 1, 3 or 4 channels to resize them", images.shape)
    pictures = [Image.fromarray(image[..., 0] if image.shape[2] == 1 else image) for image in images]
    return read_images(pictures, (height, width, channels))[0]


def reason(error: Exception) -> str:
    """Returns why an image could not be read, in one line and without its path."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or damaged"
    return one_line(getattr(error, "strerror", None) or str(error)) or type(error).__name__


def _require_present(error: Exception, source: Any) -> None:
    """Raises `Unavailable` if the disk, a network folder or memory failed; an image without permission is left out."""
    if not isinstance(error, PermissionError):
        require_available(error, source)


def readable(name: str) -> str:
    """Returns a file name as text, decoded from UTF-8, or from Latin-1 as in old archives."""
    return decode_name(os.fsencode(name))


@contextmanager
def _opened(source: Path | Image.Image) -> Iterator[Image.Image]:
    if isinstance(source, Image.Image):
        yield source
        return
    if not source.is_file():  # reading from a pipe would block
        raise ValueError("not a regular file, or a broken link")
    with warnings.catch_warnings(action="ignore"), Image.open(source) as opened:  # ignore warnings about metadata
        yield opened


def _walk(root: Path) -> Iterator[Path]:
    """Yields visible image files; a folder that is linked several times is read once."""
    seen = set()
    for folder, subfolders, files in os.walk(root, onerror=_fail, followlinks=True):
        subfolders[:] = sorted(filter(is_visible, subfolders))
        real = os.path.realpath(folder)
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        paths = [Path(folder) / name for name in sorted(files) if not name.startswith(".")]
        yield from (path for path in paths if is_image(path))


def _fail(error: OSError) -> None:
    raise error  # `os.walk` would skip a folder that cannot be read


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # corrupt EXIF data can raise any error; the pixels are valid
        return image


def _upright_size(image: Image.Image) -> tuple[int, int]:
    try:
        turned = image.getexif().get(_ORIENTATION) in (5, 6, 7, 8)
    except Exception:  # as above
        turned = False
    return (image.height, image.width) if turned else image.size


def _to_8_bit(image: Image.Image, has_16_bits: bool) -> Image.Image:
    if has_16_bits:  # Pillow would clip values above 255
        values = np.asarray(image)
        if values.max() < 4096:
            _warn_of_dark_images()
        return Image.fromarray((values >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("32 bits per pixel, whose range is unknown")
    return image


@functools.cache  # once is enough
def _warn_of_dark_images() -> None:
    _log.warning("A 16-bit image has no value above 4095 and is read as nearly black: scale such images to 0..65535.")


def _natural_key(text: str) -> list:
    """Returns a sort key that places "img2" before "img10"."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]
