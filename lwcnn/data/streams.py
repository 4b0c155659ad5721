"""Images to be classified, a batch at a time, so that any number of them takes the memory of one batch."""

import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps

from lwcnn.data.checks import check_image_array
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import require_file

IMAGE_ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
NPZ_IMAGE_KEYS = ("x_test", "images", "x")  # the first that is there
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}

Batch = tuple[list[str], np.ndarray]
"""The images' names, and the images, uint8 (n, height, width, channels)."""


def find_images(folder: Path) -> dict[str, Path]:
    """The image files in a folder and the folders in it, by their names, in the order of people (2 before 10).

    A name is the path inside the folder without its ending; with it, if two files would share a name. Other files
    and hidden ones do not count.

    Raises:
        LwcnnError: There is no image.
    """
    files = [path for path in Path(folder).rglob("*") if path.suffix.lower() in IMAGE_ENDINGS and path.is_file()]
    inside = {path: path.relative_to(folder) for path in files}
    visible = [path for path in files if not any(part.startswith(".") for part in inside[path].parts)]
    if not visible:
        raise LwcnnError(f"There is no image ({', '.join(IMAGE_ENDINGS)}) in the folder. Received: {folder}")
    visible.sort(key=lambda path: _natural(inside[path].as_posix()))
    names = {inside[path].with_suffix("").as_posix(): path for path in visible}
    return names if len(names) == len(visible) else {inside[path].as_posix(): path for path in visible}


def stream_files(
    files: dict[str, Path],
    shape: tuple[int, int, int],
    batch_size: int,
    unreadable: Callable[[Path, str], None],
    resized: Callable[[], None] = lambda: None,
) -> Iterator[Batch]:
    """Batches of image files.

    An image is turned upright as its EXIF data says, made grey or coloured as the shape has it, and, if it is of
    another size, resized as a whole (bilinear, its sides each by their own factor).

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
    require_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            keys = [name.removesuffix(".npy") for name in archive.namelist()]
            key = next((key for key in NPZ_IMAGE_KEYS if key in keys), None)
            if key is None:
                raise LwcnnError(
                    f"The .npz must have images under one of the keys {', '.join(NPZ_IMAGE_KEYS)}. "
                    f"Received: keys {', '.join(sorted(keys)) or '(none)'} in {str(path)!r}"
                )
            with archive.open(f"{key}.npy") as stream:
                yield from _stream_array(stream, key, str(path), batch_size)
                if stream.read(1):  # reads to the end, where the checksum is compared
                    raise zipfile.BadZipFile("bytes left over after the array")
    except LwcnnError:
        raise
    except Exception as error:  # corrupt bytes raise nearly anything
        raise LwcnnError(
            f"The .npz file is corrupt or cut short ({type(error).__name__}: {error}). Fetch or write it again. "
            f"Received: {str(path)!r}"
        ) from error


def stream_array(images: np.ndarray, batch_size: int) -> Iterator[Batch]:
    """Batches of an array of images, named by their place in it, from 0."""
    for start in range(0, len(images), batch_size):
        part = images[start : start + batch_size]
        yield [str(start + i) for i in range(len(part))], part


def read_class_names(path: Path) -> tuple[str, ...] | None:
    """The `class_names` in an .npz, without reading the rest; None if it has none.

    Raises:
        LwcnnError: No such file, or one that is broken.
    """
    require_file(path)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return tuple(map(str, arrays["class_names"])) if "class_names" in arrays else None
    except Exception as error:
        raise LwcnnError(f"This can't be read as an .npz file ({error}). Received: {str(path)!r}") from error


def _stream_array(stream: IO[bytes], key: str, path: str, batch_size: int) -> Iterator[Batch]:
    version = np.lib.format.read_magic(stream)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, is_fortran, dtype = read_header(stream)
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
    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I;16"):  # Pillow would cut off what is brighter than 255
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        elif image.mode in ("I", "F"):
            raise ValueError("32 bits a pixel, of which black and white are not known")
        image = image.convert(_MODES[channels])
        is_other = image.size != (width, height)
        if is_other:
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(image, np.uint8).reshape(shape), is_other


def _natural(text: str) -> list:
    """A key by which "img2" comes before "img10"."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]
