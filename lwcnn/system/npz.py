"""NumPy's .npz files: written atomically, and read with sizes checked before memory is allocated."""

import contextlib
import io
import math
import os
import zipfile
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import StrPath, require_file, write_atomically

Header = tuple[tuple[int, ...], bool, np.dtype]
"""Shape, whether in Fortran order, and dtype of an array in a file."""

_HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_MEMORY_FRACTION = 0.75  # of the machine's memory, for the arrays of one file


def save_npz(path: StrPath, compressed: bool = False, **arrays: Any) -> None:
    """Writes arrays as one .npz file, atomically; compressed by bzip2, which is better for numbers than deflate."""
    buffer = io.BytesIO()
    compression = zipfile.ZIP_BZIP2 if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, array in arrays.items():
            # A fixed date, unlike in numpy.savez: the same arrays always give the same bytes.
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.compress_type = compression
            with archive.open(member, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asarray(array), allow_pickle=False)
    write_atomically(path, buffer.getvalue())


def load_npz(path: StrPath) -> dict[str, np.ndarray]:
    """Reads all arrays of an .npz file by name. Python objects are never unpickled."""
    arrays: dict[str, np.ndarray] = {}
    with open_npz(path) as archive:
        require_memory(sum(info.file_size for info in archive.infolist()), repr(str(path)))
        for member in archive.namelist():
            with open_array(archive, member, path) as (stream, _):
                stream.seek(0)  # the header once more, now that it is checked
                arrays[member.removesuffix(".npy")] = np.lib.format.read_array(stream, allow_pickle=False)
    return arrays


@contextlib.contextmanager
def open_npz(path: StrPath) -> Iterator[zipfile.ZipFile]:
    """Opens an .npz file; any error while it is read becomes an `LwcnnError`."""
    require_file(path)
    if not zipfile.is_zipfile(path):
        raise LwcnnError(
            "Not an .npz file, or one cut short: its table of contents is missing. Fetch or write it again "
            f"(numpy.savez makes one). Received: {str(path)!r} of {os.path.getsize(path):,} bytes"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except LwcnnError:
        raise
    except Exception as error:  # corrupt bytes raise anything from zlib.error to SyntaxError and MemoryError
        raise LwcnnError(
            f"The .npz file is corrupt, cut short or holds more than arrays ({type(error).__name__}: {error}). Fetch "
            f"or write it again. Received: {str(path)!r}"
        ) from error


@contextlib.contextmanager
def open_array(archive: zipfile.ZipFile, member: str, path: StrPath) -> Iterator[tuple[IO[bytes], Header]]:
    """Opens a member of an .npz file, such as "x.npy"; yields its stream, at the first value, and its header."""
    if not member.endswith(".npy"):
        raise ValueError(f"{member} is not an array")
    info = archive.getinfo(member)
    with archive.open(info) as stream:
        yield stream, _read_header(stream, member, info.file_size, path)
        if stream.read(1):  # zipfile checks the CRC only at the end of the stream
            raise zipfile.BadZipFile("bytes left over after the array")


def _read_header(stream: IO[bytes], member: str, size: int, path: StrPath) -> Header:
    """Reads the header of an array and checks that its values fill the rest of the member of `size` bytes."""
    version = np.lib.format.read_magic(stream)
    if version not in _HEADER_READERS:
        raise ValueError(f"format {version[0]}.{version[1]} is not one of plain arrays")
    shape, is_fortran, dtype = _HEADER_READERS[version](stream)
    if dtype.hasobject:
        raise LwcnnError(
            f"Array {member!r} holds Python objects, which are never unpickled (they could run code). "
            f"Save it with a number or string dtype, e.g. labels.astype(str). Received: {str(path)!r}"
        )
    if dtype.kind not in "biufcSU" or dtype.itemsize == 0 or any(side < 0 for side in shape):
        raise ValueError(f"type {dtype} and shape {shape} are not those of numbers or text")
    if stream.tell() + math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"its header says shape {shape} of {dtype}, it has {size:,} bytes")
    return shape, is_fortran, dtype


def require_memory(size: int, source: str) -> None:
    """Raises LwcnnError unless arrays of `size` bytes, from a source that the message names, fit into memory."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not available on every system
        memory = 16 * 2**30
    if size > _MEMORY_FRACTION * memory:
        raise LwcnnError(
            f"The arrays do not fit into this machine's memory of {memory / 2**30:,.1f} GiB: give a part of them. "
            f"Received: {size / 2**30:,.1f} GiB in {source}"
        )
