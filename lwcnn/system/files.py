"""Atomic writing and checked reading of files: a crash or a full disk leaves no partial file under its name."""

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lwcnn.system import environment
from lwcnn.system.errors import Unavailable, wrong

StrPath = str | os.PathLike[str]
_LASTING = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL)  # of the file
_SCALAR = r'(?:"(?:[^"\\\n]|\\.)*"|[-+.\w]+)'
_FLAT = re.compile(rf'([\[{{])\n((?: *(?:"(?:[^"\\\n]|\\.)*": )?{_SCALAR},?\n)+) *([\]}}])')


def write_atomically(path: StrPath, data: bytes) -> None:
    """Writes a temporary file beside the target, then renames it to the target.

    Missing parent folders are created, links are followed, and a replaced file keeps its mode. Special files, such as
    `/dev/null` or a named pipe, are written to directly. Of several processes that train one model, only the first
    writes.
    """
    path = _writable_path(path)
    if environment.process_id() > 0:
        return
    with write_errors_told(path):
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_bytes(data)
            return
        path = Path(os.path.realpath(path))
        temporary = _temporary_path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_new(temporary, data)
            if path.is_file():
                _copy_mode(path, temporary)
            os.replace(temporary, path)
        except BaseException:  # KeyboardInterrupt too: no temporary file may stay behind
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise


def _copy_mode(source: Path, target: Path) -> None:
    with contextlib.suppress(OSError):  # network folders and FAT may allow writing, but not this
        shutil.copymode(source, target)


def _write_new(path: Path, data: bytes) -> None:
    with open(path, "xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


@contextlib.contextmanager
def temporary_folder(path: StrPath) -> Iterator[Path]:
    """Creates a folder beside a file and removes it when the block ends."""
    folder = _temporary_path(_writable_path(path))
    with write_errors_told(Path(path)):
        try:
            folder.mkdir(parents=True)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def write_errors_told(path: Path) -> Iterator[None]:
    """Converts an OSError of the block to an LwcnnError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            remedy = "The disk is full: free some space and run the same command again."
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            remedy = "Make the folder writable or choose another one."
        else:
            remedy = "Check the folder and try again."
        reason = error.strerror or error
        raise wrong(f"Cannot write the file ({reason}). {remedy} Nothing was changed", repr(str(path))) from error


def _writable_path(path: StrPath) -> Path:
    if not Path(path).name or "\0" in os.fspath(path):
        raise wrong("Give the path of a file to write", repr(os.fspath(path)))
    return Path(path)


def _temporary_path(path: Path) -> Path:
    # In the same folder, since a rename is atomic only within one file system. Only the start of the name is used,
    # because a long name with a suffix would exceed the file system's limit.
    return path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.lwcnn.tmp")


def write_folder_atomically(path: StrPath, files: Mapping[str, bytes]) -> None:
    """Writes files, by relative path, as one folder atomically; replaces a folder only if it has no other files."""
    path = Path(os.path.realpath(_writable_path(path)))
    if path.exists():
        inside = {str(entry.relative_to(path)) for entry in path.rglob("*") if not entry.is_dir()}
        if not path.is_dir() or not inside <= files.keys():
            raise wrong(
                f"Cannot write a folder with {', '.join(sorted(files))}: it is a file or holds other files; "
                "choose another path",
                repr(str(path)),
            )
    with temporary_folder(path) as folder:
        new, old = folder / "new", folder / "old"
        for name, data in files.items():  # not with `write_atomically`, whose errors would name the temporary path
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            _write_new(new / name, data)
        if path.exists():
            _copy_mode(path, new)
            os.replace(path, old)
        try:
            os.replace(new, path)
        except BaseException:
            if old.exists():
                os.replace(old, path)
            raise


def write_json(path: StrPath, obj: Any) -> None:
    """Writes an object as indented JSON, atomically, with keys in insertion order; NaN and infinity are refused.

    The innermost lists and objects are written on one line each.
    """
    try:
        text = json.dumps(obj, indent=1, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        advice = f"Cannot write {path} as JSON: {error}. Give only finite numbers and other plain values"
        raise wrong(advice, f"an object of type {type(obj).__name__}") from error
    text = text[:1] + _FLAT.sub(_on_one_line, text[1:])
    write_atomically(path, (text + "\n").encode("utf-8", "backslashreplace"))  # lone surrogates as JSON escapes


def _on_one_line(found: re.Match) -> str:
    """Returns an indented list or object on one line."""
    lines = found[2].rstrip("\n").split("\n")  # other line separators may be in strings
    return found[1] + " ".join(line.lstrip(" ") for line in lines) + found[3]


class Record(dict):
    """JSON object from a file; a missing key raises an LwcnnError that names the file."""

    def __init__(self, pairs: Mapping[str, Any], path: StrPath):
        super().__init__(pairs)
        self._path = str(path)

    def __missing__(self, key: str):
        raise wrong(f"This JSON file lacks {key!r}: delete it and create it again", repr(self._path))


def read_json(path: StrPath) -> Record:
    """Reads a JSON file that contains an object; it and all nested objects are `Record`s."""
    require_file(path)
    try:
        found = json.loads(Path(path).read_bytes().decode("utf-8"), object_hook=lambda pairs: Record(pairs, path))
        if not isinstance(found, Record):
            raise ValueError(f"an object is needed, not {type(found).__name__}")
        return found
    except OSError as error:
        raise wrong(f"Cannot read the file ({error.strerror})", repr(str(path))) from error
    except (ValueError, RecursionError) as error:
        raise wrong(f"Not a complete JSON file ({error}). Delete it and create it again", repr(str(path))) from error


def read_text(path: StrPath) -> str:
    """Reads a text file in UTF-8, with or without a byte order mark."""
    require_file(path)
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise wrong(f"Give a text file in UTF-8 that can be read ({error})", path) from error


def require_file(path: StrPath) -> None:
    """Raises LwcnnError unless the path is a readable regular file."""
    if not os.path.exists(path):
        raise wrong("There is no such file; check the path", repr(str(path)))
    if os.path.isdir(path):
        raise wrong("That is a folder; give a file", repr(str(path)))
    if not os.path.isfile(path):
        raise wrong("That is a pipe or a device; give a regular file", repr(str(path)))
    if not os.access(path, os.R_OK):
        raise Unavailable(f"Cannot read the file; check its permissions. Received: {str(path)!r}")


def require_available(error: BaseException, path: StrPath) -> None:
    """Raises `Unavailable` if an error in reading `path`, or the error that it arose from, may be temporary."""
    for one in (error, error.__context__):  # zipfile raises BadZipFile after an OSError
        if isinstance(one, MemoryError) or (isinstance(one, OSError) and one.errno not in (None, *_LASTING)):
            advice = f"Try again: the file cannot be read now ({type(one).__name__}: {one})"
            raise Unavailable(f"{advice}. Received: {str(path)!r}") from error
