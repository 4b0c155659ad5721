"""NumPy's .npz files: written atomically, and read with sizes checked before memory is allocated."""

import io
import math
import zipfile
from typing import Any

import numpy as np

from lwcnn.system import environment
from lwcnn.system.errors import LwcnnError, Unavailable, wrong
from lwcnn.system.files import StrPath, require_available, require_file, write_atomically

_HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_MEMORY_FRACTION = 0.75  # of the machine's memory, for the arrays of one file


def save_npz(path: StrPath, compressed: bool = False, **arrays: Any) -> None:
    """Writes arrays as one .npz file, atomically; `compressed` uses bzip2, which is better for numbers than deflate."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_BZIP2 if compressed else zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:  # dated 1980: the bytes never change
                np.lib.format.write_array(stream, np.asarray(array), allow_pickle=False)
    write_atomically(path, buffer.getvalue())


def load_npz(path: StrPath) -> dict[str, np.ndarray]:
    """Reads all arrays of an .npz file by name. Python objects are never unpickled."""
    require_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            require_memory(sum(member.file_size for member in members), repr(str(path)))
            return {one.filename.removesuffix(".npy"): _read_array(archive, one, path) for one in members}
    except LwcnnError:
        raise
    except Exception as error:  # corrupt bytes raise anything from zlib.error to SyntaxError
        require_available(error, path)
        raise wrong(
            f"Not an .npz file of arrays, or a corrupt or truncated one ({type(error).__name__}: {error}). "
            "Download or write it again",
            repr(str(path)),
        ) from error


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: StrPath) -> np.ndarray:
    """Reads an array, after checking that the size in its header is the size of the member."""
    if not member.filename.endswith(".npy"):
        raise ValueError(f"{member.filename} is not an array")
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in _HEADER_READERS:
            raise ValueError(f"format {version[0]}.{version[1]} is not one of plain arrays")
        shape, _, dtype = _HEADER_READERS[version](stream)
        if dtype.hasobject:
            raise wrong(
                f"Array {member.filename!r} holds Python objects, which are never unpickled (they could run code). "
                "Save it with a number or string dtype, e.g. labels.astype(str)",
                repr(str(path)),
            )
        if dtype.kind not in "biufcSU" or dtype.itemsize == 0 or any(side < 0 for side in shape):
            raise ValueError(f"type {dtype} and shape {shape} are not those of numbers or text")
        if stream.tell() + math.prod(shape) * dtype.itemsize != member.file_size:
            raise ValueError(f"its header says shape {shape} of {dtype}, but it has {member.file_size:,} bytes")
        stream.seek(0)
        array = np.lib.format.read_array(stream, allow_pickle=False)
        stream.read(1)  # at the end of the stream, where zipfile checks the CRC
    return array


def require_memory(size: int, source: str, advice: str = "Give a smaller file, or use a larger machine") -> None:
    """Raises LwcnnError unless arrays of `size` bytes, from a source that the message names, fit into memory."""
    memory = environment.memory()
    if size > _MEMORY_FRACTION * memory:
        found = f"this machine has {memory / 2**30:,.1f} GiB of memory"
        raise Unavailable(f"{advice}: {found}. Received: {size / 2**30:,.1f} GiB in {source}")
