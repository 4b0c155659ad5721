"""Reading and writing files so that a crash or a full disk never leaves half of one behind."""

import contextlib
import errno
import io
import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from lwcnn.system.errors import LwcnnError

StrPath = str | os.PathLike[str]


@contextlib.contextmanager
def open_atomically(path: StrPath, text: bool = False) -> Iterator[IO]:
    """A new file to write into, which takes its place once the block has ended without an error.

    Args:
        path: The file to write; missing folders above it are made. What stood there before stays until then.
        text: Whether it takes strings, in UTF-8 with line ends as they are, else bytes.

    Raises:
        LwcnnError: The disk is full, the folder is not writable, or any other failure of the file system.
    """
    path = Path(path)
    # In the same folder, since a rename is atomic only within one file system.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "x", encoding="utf-8", newline="") if text else open(temporary, "xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException as error:  # Ctrl-C as well: no temporary file may stay behind
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise _cannot_write(path, error) from error
        raise
    _sync_folder(path.parent)


def write_atomically(path: StrPath, data: bytes) -> None:
    """Writes a file whole or not at all; arguments and errors as of `open_atomically`."""
    with open_atomically(path) as stream:
        stream.write(data)


def write_folder_atomically(path: StrPath, files: Mapping[str, bytes]) -> None:
    """Writes a folder whole or not at all; one of the same files that stood there before is replaced.

    Args:
        path: The folder; missing folders above it are made.
        files: The files' contents by their paths inside it.

    Raises:
        LwcnnError: There is a file of that name, or a folder that holds anything else than these files, which
            is never removed; or a failure of the file system.
    """
    path = Path(path)
    suffix = f"{os.getpid()}-{secrets.token_hex(4)}.tmp"
    temporary, old = path.with_name(f".{path.name}.{suffix}"), path.with_name(f".{path.name}.old-{suffix}")
    if path.exists():
        known = {name.split("/")[0] for name in files}
        others = sorted(entry.name for entry in path.iterdir() if entry.name not in known) if path.is_dir() else None
        if others or others is None:
            raise LwcnnError(
                f"Cannot replace this by a folder of {', '.join(sorted(known))}: it is a file or holds other files; "
                f"choose another place. Received: {str(path)!r}"
            )
    try:
        temporary.mkdir(parents=True)
        for name, data in files.items():
            write_atomically(temporary / name, data)
        if path.exists():
            os.replace(path, old)
        os.replace(temporary, path)
    except BaseException as error:
        if old.exists() and not path.exists():
            os.replace(old, path)
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            raise _cannot_write(path, error) from error
        raise
    shutil.rmtree(old, ignore_errors=True)
    _sync_folder(path.parent)


def write_json(path: StrPath, obj: Any) -> None:
    """Writes an object as indented JSON, atomically, its keys in the order they were put in.

    Args:
        path: The file to write.
        obj: Dictionaries, lists, strings, finite numbers, booleans and None.

    Raises:
        LwcnnError: The object holds NaN, an infinity or something JSON has no form for, or the write failed.
    """
    try:
        text = json.dumps(obj, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise LwcnnError(
            f"Cannot write {path} as JSON: {error}. Give only finite numbers, strings, booleans, None, lists "
            f"and dictionaries. Received: an object of type {type(obj).__name__}"
        ) from error
    write_atomically(path, (text + "\n").encode("utf-8"))


class Record(dict):
    """An object of a JSON file: a key that it lacks is an error that names the file."""

    def __init__(self, pairs: Mapping[str, Any], path: StrPath):
        super().__init__(pairs)
        self._path = str(path)

    def __missing__(self, key: str):
        raise LwcnnError(f"This JSON file lacks {key!r}: delete it and make it again. Received: {self._path!r}")


def read_json(path: StrPath) -> Record:
    """The object that a JSON file holds.

    Args:
        path: The file to read.

    Returns:
        The object; it and the objects within it are `Record`s, so that a missing key is an `LwcnnError`.

    Raises:
        LwcnnError: The file is missing, unreadable, not whole JSON, or holds anything else than an object.
    """
    try:
        found = json.loads(_read_bytes(path).decode("utf-8"), object_hook=lambda pairs: Record(pairs, path))
        if not isinstance(found, Record):
            raise ValueError(f"an object is needed, not {type(found).__name__}")
        return found
    except (ValueError, RecursionError) as error:
        if isinstance(error, LwcnnError):
            raise
        raise LwcnnError(
            f"Not a whole JSON file ({error}). Delete it and make it again. Received: {str(path)!r}"
        ) from error


def save_npz(path: StrPath, compressed: bool = False, **arrays: Any) -> None:
    """Writes arrays as one .npz file, atomically.

    Args:
        path: The file to write, used as given (no suffix is added).
        compressed: Whether to pack the arrays (bzip2, which numbers suit better than deflate): smaller, slower.
        **arrays: The arrays by name; none of dtype object.

    Raises:
        LwcnnError: An array is of dtype object, or the write failed.
    """
    converted = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in converted.items():
        if array.dtype.hasobject:
            raise LwcnnError(
                f"Cannot write {path}: array {name!r} holds Python objects; give it a number or string "
                f"dtype. Received: dtype {array.dtype}"
            )
    buffer = io.BytesIO()
    compression = zipfile.ZIP_BZIP2 if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, array in converted.items():
            # A fixed date, unlike numpy.savez: the same arrays always give the same bytes.
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.compress_type = compression
            with archive.open(member, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)
    write_atomically(path, buffer.getvalue())


def load_npz(path: StrPath) -> dict[str, np.ndarray]:
    """Every array of an .npz file, read whole.

    Args:
        path: The file to read.

    Returns:
        The arrays by name.

    Raises:
        LwcnnError: The file is missing, truncated, corrupt, not an .npz, or holds Python objects.
    """
    require_file(path)
    if not zipfile.is_zipfile(path):
        raise LwcnnError(
            "Not an .npz file, or one cut short: its table of contents is missing. Fetch or write it again "
            f"(numpy.savez makes one). Received: {str(path)!r} of {os.path.getsize(path):,} bytes"
        )
    member = "(none read)"
    arrays: dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                with archive.open(member) as stream:
                    arrays[member.removesuffix(".npy")] = np.lib.format.read_array(stream, allow_pickle=False)
                    # zipfile compares the CRC only at the stream's end, and numpy.load stops short of it.
                    if stream.read(1):
                        raise zipfile.BadZipFile("bytes left over after the array")
    except Exception as error:  # corrupt bytes raise anything from zlib.error to SyntaxError and MemoryError
        if "allow_pickle" in str(error):
            raise LwcnnError(
                f"Array {member!r} holds Python objects, which are never unpickled (they could run code). "
                f"Save it with a number dtype. Received: {str(path)!r}"
            ) from error
        raise LwcnnError(
            f"The .npz file is corrupt, cut short or holds more than arrays, at {member!r} "
            f"({type(error).__name__}: {error}). Fetch or write it again. Received: {str(path)!r}"
        ) from error
    return arrays


def _read_bytes(path: StrPath) -> bytes:
    require_file(path)
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise LwcnnError(
            f"Cannot read the file ({error.strerror}); check its permissions. Received: {str(path)!r}"
        ) from error


def require_file(path: StrPath) -> None:
    """Checks that there is a file that can be read; raises LwcnnError if not."""
    if not os.path.exists(path):
        raise LwcnnError(f"There is no such file; check the path. Received: {str(path)!r}")
    if os.path.isdir(path):
        raise LwcnnError(f"That is a folder; give a file. Received: {str(path)!r}")
    if not os.access(path, os.R_OK):
        raise LwcnnError(f"Cannot read the file; check its permissions. Received: {str(path)!r}")


def _cannot_write(path: Path, error: OSError) -> LwcnnError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "The disk is full: free some space and run the same command again."
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = "Make the folder writable or choose another one."
    else:
        remedy = "Check the folder and try again."
    return LwcnnError(
        f"Cannot write the file ({error.strerror or error}). {remedy} Nothing was changed. Received: {str(path)!r}"
    )


def _sync_folder(folder: Path) -> None:
    # So that the rename itself outlives a power cut; not every file system allows it.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def compress_archive(path: StrPath) -> None:
    """Compresses the members of a zip archive, such as a .keras file: Keras stores them as they are.

    A small network's file is half as large then: much of it is HDF5's own, and repeats.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(path) as given, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as taken:
        for member in given.infolist():
            content = given.read(member)
            member.compress_type = zipfile.ZIP_DEFLATED
            taken.writestr(member, content, compresslevel=9)
    write_atomically(path, packed.getvalue())
