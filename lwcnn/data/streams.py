"""Images to be classified, a batch at a time, so that any number of them takes the memory of one batch."""

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

IMAGE_ENDINGS = (
    ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip
BACKGROUND = "white"  # behind what is transparent, as browsers show it
NPZ_IMAGE_KEYS = ("x_test", "images", "x")  # the first that is there
_MAX_CLASS_LIST = 2**20  # characters
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}

Batch = tuple[list[str], np.ndarray]
"""The images' names, and the images, uint8 (n, height, width, channels)."""


def find_images(folder: Path) -> dict[str, Path]:
    """Finds the image files in a folder and the folders in it, linked ones too, in natural order (2 before 10).

    Files that start with a dot, and other files, do not count.

    Args:
        folder: Where to look.

    Returns:
        Paths by name: the path inside the folder without its ending, or with it if two files would share a name.

    Raises:
        LwcnnError: There is no image.
    """
    inside = {path.relative_to(folder).as_posix(): path for path in _walk(Path(folder), set())}
    if not inside:
        raise LwcnnError(f"There is no image ({', '.join(IMAGE_ENDINGS)}) in the folder. Received: {folder}")
    names = sorted(inside, key=_natural)
    for shown in (lambda name: _readable(PurePosixPath(name).with_suffix("").as_posix()), _readable, _escaped):
        found = {shown(name): inside[name] for name in names}
        if len(found) == len(names):
            break
    return found


def _walk(folder: Path, above: set[str]) -> Iterator[Path]:
    """The visible images in a folder; `above` has the folders that hold it, which a link may lead back to."""
    real = os.path.realpath(folder)
    if real in above:
        return
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(entry, above | {real})
        elif entry.suffix.lower() in IMAGE_ENDINGS:
            yield entry


def _readable(name: str) -> str:
    """A file's name as text: in UTF-8, else, as old archives have them, in Latin-1."""
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
    unreadable: Callable[[Path, str], None],
    resized: Callable[[], None] = lambda: None,
) -> Iterator[Batch]:
    """Batches of image files.

    An image is turned upright as its EXIF data says, put on white where it is transparent (unless the model takes the
    transparency as a fourth channel), made gray or colored as the shape has it, and, if it is of another size, resized
    as a whole (bilinear, its sides each by their own factor).

    Args:
        files: by name, as `find_images` gives them.
        shape: (height, width, channels) of the images given; 1, 3 or 4 channels.
        batch_size: 1 or more.
        unreadable: called with each file that can't be read, which is left out, and the reason.
        resized: called for each image of another size.

    Raises:
        LwcnnError: Another number of channels.
    """
    if shape[2] not in _MODES:
        raise LwcnnError(f"Image files can be read with 1, 3 or 4 channels. Received: a model of {shape[2]} channels")
    names, images = [], []
    for name, path in files.items():
        try:
            image, was_resized = _read_image(path, shape)
        except Exception as error:  # corrupt files raise anything from OSError to SyntaxError and zlib.error
            unreadable(path, f"{type(error).__name__}: {error}")
            continue
        if was_resized:
            resized()
        names.append(name)
        images.append(image)
        if len(images) == batch_size:
            yield names, np.stack(images)
            names, images = [], []
    if images:
        yield names, np.stack(images)


def stream_npz(path: Path, batch_size: int) -> Iterator[Batch]:
    """Batches of the images in an .npz under `x_test`, `images` or `x`, named by their place in it, from 0.

    Raises:
        LwcnnError: No such file or key, a file that is broken, or an array that holds no uint8 images.
    """
    with _opened(path) as archive:
        keys = [name.removesuffix(".npy") for name in archive.namelist()]
        key = next((key for key in NPZ_IMAGE_KEYS if key in keys), None)
        if key is None:
            raise LwcnnError(
                f"The .npz must have images under one of the keys {', '.join(NPZ_IMAGE_KEYS)}. "
                f"Received: keys {', '.join(sorted(keys)) or '(none)'} in {str(path)!r}"
            )
        with archive.open(f"{key}.npy") as stream:
            header = read_header(stream, key, _size(archive, key), path)
            yield from _stream_array(stream, header, key, str(path), batch_size)
            if stream.read(1):  # reads to the end, where the checksum is compared
                raise zipfile.BadZipFile("bytes left over after the array")


def stream_array(images: np.ndarray, batch_size: int) -> Iterator[Batch]:
    """Batches of an array of images, named by their place in it, from 0."""
    for start in range(0, len(images), batch_size):
        part = images[start : start + batch_size]
        yield [str(start + i) for i in range(len(part))], part


def read_class_names(path: Path) -> tuple[str, ...] | None:
    """Returns the `class_names` in an .npz, without reading the rest; None if it has none.

    Raises:
        LwcnnError: No such file, one that is broken, or names that are none.
    """
    with _opened(path) as archive:
        if "class_names.npy" not in archive.namelist():
            return None
        with archive.open("class_names.npy") as stream:
            shape, _, dtype = read_header(stream, "class_names", _size(archive, "class_names"), path)
            return decode_class_names(np.frombuffer(stream.read(), dtype).reshape(shape), repr(str(path)))


def read_class_list(path: Path) -> tuple[str, ...]:
    """Returns the class names in a text file, one a line; empty lines do not count.

    Raises:
        LwcnnError: A file that is missing or no text in UTF-8, or two classes of one name.
    """
    try:
        with open(path, encoding="utf-8-sig") as stream:  # with or without a byte order mark
            text = stream.read(_MAX_CLASS_LIST)
    except (OSError, UnicodeDecodeError) as error:
        raise LwcnnError(
            f"The class names can't be read ({error}): give a text file in UTF-8, one name a line. Received: {path}"
        ) from error
    names = tuple(one_line(line) for line in text.splitlines() if line.strip())
    if len(text) == _MAX_CLASS_LIST or not names:
        raise LwcnnError(f"Give a text file of class names, one a line. Received: {path}")
    check_class_names(names, str(path))
    return names


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive of an .npz; whatever is wrong with it is told in a sentence."""
    require_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except LwcnnError:
        raise
    except Exception as error:  # corrupt bytes raise nearly anything
        raise LwcnnError(
            f"The .npz file is corrupt or cut short ({type(error).__name__}: {error}). Fetch or write it again. "
            f"Received: {str(path)!r}"
        ) from error


def _size(archive: zipfile.ZipFile, key: str) -> int:
    return archive.getinfo(f"{key}.npy").file_size


def _stream_array(stream: IO[bytes], header: Header, key: str, path: str, batch_size: int) -> Iterator[Batch]:
    shape, is_fortran, dtype = header
    # An array of that type and shape that takes no memory.
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
    """The image, uint8 of that shape, and whether it had to be resized."""
    height, width, channels = shape
    if not path.is_file():  # reading from a pipe would wait for ever
        raise ValueError("no regular file, or a link that leads nowhere")
    with warnings.catch_warnings(action="ignore"), Image.open(path) as opened:  # of damaged data beside the pixels
        opened.load()
        image = _in_eight_bits(_upright(opened))
        if channels != 4 and image.has_transparency_data:
            image = Image.alpha_composite(Image.new("RGBA", image.size, BACKGROUND), image.convert("RGBA"))
        image = image.convert(_MODES[channels])
        is_other = image.size != (width, height)
        if is_other:
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(image, np.uint8).reshape(shape), is_other


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF data raise nearly anything; the pixels are whole
        return image


def _in_eight_bits(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):  # Pillow would cut off what is brighter than 255
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("32 bits a pixel, of which black and white are not known")
    return image


def _natural(text: str) -> list:
    """A key by which "img2" comes before "img10"."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]
