"""Reads a folder of images, with a subfolder for each class, and keeps the arrays as one .npz in the cache."""

import contextlib
import hashlib
import logging
import os
from pathlib import Path

import numpy as np

from lwcnn.data.checks import Splits, invalid
from lwcnn.data.image_files import Size, check_size, choose_shape, find_images, read_images
from lwcnn.data.sources import cache_folder
from lwcnn.system.errors import LwcnnError
from lwcnn.system.npz import load_npz, save_npz
from lwcnn.system.safe_text import one_line, path_part

TRAINING, VALIDATION, TEST = ("train", "training"), ("val", "valid", "validation"), ("test", "testing")
_MAX_NAMED = 3  # unreadable files in a message

_log = logging.getLogger(__name__)

Classes = dict[str, list[Path]]
"""Image files by class, in natural order."""


def read_folder(folder: Path, size: Size | None = None) -> Splits:
    """Reads a folder with a subfolder for each class, or with `train` and `test` (or `val`) above them.

    With all three, `val` belongs to the training images. A later call takes the arrays from the cache unless a file has
    changed.
    """
    training, test = find_classes(folder)
    names = sorted(training)
    if unknown := sorted(set(test) - set(names)):
        found = f"only test images of {', '.join(map(repr, unknown[:5]))}"
        raise invalid("Add training images of every class of the test images", found, repr(str(folder)))
    parts = {"train": training, "test": test} if test else {"train": training}
    key = _key(folder, parts)
    place = hashlib.sha256(f"{os.path.realpath(folder)} {check_size(size)}".encode(errors="surrogateescape"))
    path = cache_folder() / "folders" / f"{path_part(folder.resolve().name)}-{place.hexdigest()[:12]}.npz"
    arrays: dict[str, np.ndarray] = {}
    with contextlib.suppress(LwcnnError):  # missing or damaged
        arrays = load_npz(path)
    if str(arrays.get("key")) != key:
        arrays = _read_parts(parts, names, size)
        with contextlib.suppress(LwcnnError):  # a full or read-only disk: read the files again the next time
            save_npz(path, **arrays, key=np.array(key))  # type: ignore[arg-type]  # no array is called compressed
    if unreadable := list(arrays["unreadable"]):
        num_files = sum(len(files) for classes in parts.values() for files in classes.values())
        shown = "; ".join(map(str, unreadable[:_MAX_NAMED])) + ("; ..." if len(unreadable) > _MAX_NAMED else "")
        _log.warning("Left out unreadable images, %d of %d: %s", len(unreadable), num_files, shown)
    read = [(arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in parts]
    return Splits(read[0], read[1] if test else None, tuple(map(one_line, names)))


def find_classes(folder: Path) -> tuple[Classes, Classes]:
    """Returns the image files of each class in the training and the test part of a folder; the latter may be empty."""
    subfolders = {entry.name.lower(): entry for entry in sorted(folder.iterdir()) if entry.is_dir()}

    def classes_of(names: tuple[str, ...]) -> Classes:
        return next((_classes(subfolders[name]) for name in names if name in subfolders), {})

    if any(name in subfolders for name in TRAINING):
        training, validation, test = (classes_of(names) for names in (TRAINING, VALIDATION, TEST))
    else:
        training, validation, test = _classes(folder), {}, {}
    if not training:
        advice = "Put the images of each class into a subfolder that has the name of the class"
        raise invalid(advice, "no such subfolder", repr(str(folder)))
    if not test:
        validation, test = {}, validation
    for name, files in validation.items():
        training[name] = training.get(name, []) + files
    return training, test


def _classes(folder: Path) -> Classes:
    subfolders = [entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    found = {entry.name: list(find_images(entry).values()) for entry in subfolders}
    return {name: files for name, files in found.items() if files}


def _key(folder: Path, parts: dict[str, Classes]) -> str:
    """Returns a hash of the names, sizes and times of all files."""
    digest = hashlib.sha256()
    for part, classes in sorted(parts.items()):
        for name, files in sorted(classes.items()):
            for file in files:
                status = file.stat() if file.exists() else None
                words = (part, name, file.relative_to(folder), status and (status.st_size, status.st_mtime_ns))
                digest.update(repr(words).encode(errors="surrogateescape"))
    return digest.hexdigest()


def _read_parts(parts: dict[str, Classes], names: list[str], size: Size | None) -> dict[str, np.ndarray]:
    shape = choose_shape((file for classes in parts.values() for files in classes.values() for file in files), size)
    arrays: dict[str, np.ndarray] = {}
    unreadable: list[str] = []
    for part, classes in parts.items():
        files = [file for name in names for file in classes.get(name, [])]
        labels = np.repeat(np.arange(len(names)), [len(classes.get(name, [])) for name in names])
        images, kept, errors = read_images(files, shape)
        arrays |= {f"x_{part}": images, f"y_{part}": labels[kept]}
        unreadable += [f"{one_line(files[i].name)} ({why})" for i, why in errors.items()]
    return arrays | {"unreadable": np.array(unreadable, dtype=str)}
