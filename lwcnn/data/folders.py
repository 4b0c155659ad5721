"""Reads a folder of images, with a subfolder for each class, and keeps the arrays as one .npz in the cache."""

import contextlib
import hashlib
import logging
import os
import re
import unicodedata
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageFile

from lwcnn.data.image_files import (
    NUM_COPIES,
    Size,
    check_size,
    choose_shape,
    find_images,
    is_image,
    is_visible,
    read_images,
)
from lwcnn.data.sources import cache_folder, keep_in_cache
from lwcnn.data.splits import DatasetParts
from lwcnn.system.errors import LwcnnError, Unavailable, wrong
from lwcnn.system.npz import load_npz
from lwcnn.system.safe_text import one_line, path_part

TRAINING, VALIDATION, TEST = ("train", "training"), ("val", "valid", "validation"), ("test", "testing")
_MAX_NAMED = 3  # unreadable files in a message

_log = logging.getLogger(__name__)

Files = list[tuple[str, Path]]
"""Class and path of each image file."""


def read_folder(folder: Path, size: Size | None) -> DatasetParts:
    """Reads a folder with a subfolder for each class, or with `train` and `test` (or `val`) above them.

    With all three, the images of `val` are the last training images. A later call takes the arrays from the cache
    unless a file has changed.
    """
    parts = find_files(folder)
    files = [file for inside in parts.values() for file in inside]
    _log_left_out(folder, files)
    names = class_folders(parts)
    if unknown := sorted({name for name, _ in files} - set(names)):
        found = f"only test images of {', '.join(map(repr, unknown[:5]))}"
        composed = [{unicodedata.normalize("NFC", name) for name in some} for some in (unknown, names)]
        if composed[0] & composed[1]:
            found += " (another Unicode form of a training class: rename one of the two folders)"
        raise wrong("Add training images of every class of the test images", f"{found} in {str(folder)!r}")
    arrays = _read_cached(folder, parts, names, size)
    read = {part: (arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in parts}
    if unreadable := arrays["unreadable"].tolist():
        shown = "; ".join(unreadable[:_MAX_NAMED]) + ("; ..." if len(unreadable) > _MAX_NAMED else "")
        _log.warning("Left out unreadable images, %d of %d: %s", len(unreadable), len(files), shown)
    named = () if unreadable else tuple(one_line(str(path.relative_to(folder))) for _, path in files)
    num_validation = int(arrays["num_validation"])
    if num_validation == 0 and _count_validation(folder, parts["train"]):
        advice = "Put images that can be read into the validation folder, or remove it"
        raise wrong(advice, f"no such image there in {str(folder)!r}")
    class_names, keys = tuple(map(one_line, names)), arrays.get("keys")
    return DatasetParts(read["train"], read.get("test"), class_names, None, keys, named, num_validation)


def find_files(folder: Path) -> dict[str, Files]:
    """Returns the image files of a folder by part: "train" and, if there are test images, "test"."""
    subfolders = {entry.name.lower(): entry for entry in _subfolders(folder)}
    training, validation, test = (
        next((_files(subfolders[name]) for name in names if name in subfolders), None)
        for names in (TRAINING, VALIDATION, TEST)
    )
    held_out = [*(validation or []), *(test or [])]
    if held_out and {*subfolders} <= {*VALIDATION, *TEST}:
        advice = "Give the subfolder itself to test a model on it, or add a folder `train` to train one"
        raise wrong(advice, f"only {', '.join(subfolders)} in {str(folder)!r}")
    if training is None and (both := {*subfolders} & {name.lower() for name, _ in held_out}):
        advice = "Put the subfolders with training images into a folder `train`"
        raise wrong(advice, f"{', '.join(sorted(both))} also within val or test in {str(folder)!r}")
    if training is None or not (training or held_out):  # "train" may be a class, like "ship" and "car"
        training, validation, test = _files(folder), None, None
        if beside := _named_as_parts({name for name, _ in training}):
            advice = (
                "Put the images of each class into a subfolder of `train`, and of `val` or `test` if you have them; "
                "remove other images, and rename a class that has one of these names"
            )
            raise wrong(advice, f"{', '.join(beside)} among the classes in {str(folder)!r}")
    if not training:
        advice = "Put the images of each class into a subfolder that has the name of the class"
        raise wrong(advice, f"no such subfolder in {str(folder)!r}")
    if test:
        training += validation or []
    test = test or validation
    return {"train": training} | ({"test": test} if test else {})


def _named_as_parts(names: set[str]) -> list[str]:
    """Returns the names of classes that are rather parts: "test", and "test_set" if there is a "training_set"."""
    parts = {name: re.findall("[a-z]+", name.lower()) for name in sorted(names)}
    words = {
        name: {name.lower(), *(re.sub("(set|data|images?)$", "", word) for word in found)}  # "trainset": train
        for name, found in parts.items()
    }
    has_training = any(each & {*TRAINING} for each in words.values())
    held_out = {*VALIDATION, *TEST}
    return [name for name in words if name.lower() in held_out or (has_training and words[name] & held_out)]


def class_folders(parts: dict[str, Files]) -> list[str]:
    """Returns the names of the subfolders with training images, in order of the labels."""
    return sorted({name for name, _ in parts["train"]})


def _files(folder: Path) -> Files:
    """Returns the class and path of each image file in the subfolders of a folder."""
    return [(entry.name, file) for entry in _subfolders(folder) for file in find_images(entry).values()]


def _subfolders(folder: Path) -> list[Path]:
    """Returns the subfolders, except hidden ones and those of systems."""
    return [entry for entry in sorted(folder.iterdir()) if is_visible(entry.name) and entry.is_dir()]


def _log_left_out(folder: Path, files: Files) -> None:
    """Logs subfolders without images, and images and folders outside the folders of parts and classes."""
    inside = [file.relative_to(folder).parts for _, file in files]
    depth = 1 + any(parts[0] != name for parts, (name, _) in zip(inside, files))  # 2 with parts above the classes
    used = {folder.joinpath(*parts[:number]) for parts in inside for number in range(1, depth + 1)}
    above_classes = {folder.joinpath(*parts[: depth - 1]) for parts in inside}
    unused = [path for place in {path.parent for path in used} for path in place.iterdir() if path not in used]
    unused = sorted(
        path for path in unused if is_visible(path.name) and path.name[0] != "_" and (path.is_dir() or is_image(path))
    )
    empty = [path for path in unused if path.is_dir() and path.parent in above_classes]
    beside = [path for path in unused if path not in empty]
    for what, paths in (("subfolders without images", empty), ("files and folders outside the class folders", beside)):
        if names := [one_line(str(path.relative_to(folder))) for path in paths]:
            more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
            _log.warning("Left out %s: %s%s", what, ", ".join(names[:_MAX_NAMED]), more)


def _read_cached(folder: Path, parts: dict[str, Files], names: list[str], size: Size | None) -> dict[str, np.ndarray]:
    """Returns the arrays of `_read_files`, from the cache if they are there."""
    place = hashlib.sha256(f"{os.path.realpath(folder)} {check_size(size)}".encode(errors="surrogateescape"))
    path = cache_folder() / "folders" / f"{path_part(folder.resolve().name)}-{place.hexdigest()[:12]}.npz"
    key = _key(folder, parts)
    with contextlib.suppress(LwcnnError):  # missing or damaged
        if str((arrays := load_npz(path)).get("key")) == key:
            return arrays
    arrays = _read_files(folder, parts, names, size)
    keep_in_cache(path, arrays | {"key": np.array(key)})
    return arrays


def _key(folder: Path, parts: dict[str, Files]) -> str:
    """Returns a hash of what decides which images there are and which of them can be read."""
    Image.init()  # loads Pillow's own plugins, so that their list is the same in every call
    reader = PIL.__version__, sorted(Image.OPEN), ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    digest = hashlib.sha256(f"5 {reader}".encode())  # version of the arrays
    for part, files in parts.items():
        for name, file in files:
            status = file.stat() if os.access(file, os.R_OK) else None
            about = status and (status.st_size, status.st_mtime_ns)
            digest.update(repr((part, name, file.relative_to(folder), about)).encode(errors="surrogateescape"))
    return digest.hexdigest()


def _count_validation(folder: Path, files: Files) -> int:
    """Returns how many training images are in the validation folder."""
    return sum(path.relative_to(folder).parts[0].lower() in VALIDATION for _, path in files)


def _read_files(folder: Path, parts: dict[str, Files], names: list[str], size: Size | None) -> dict[str, np.ndarray]:
    """Returns the arrays of each part, and the names of the files that cannot be read, with the reasons."""
    shape = choose_shape((path for files in parts.values() for _, path in files), size)
    arrays: dict[str, np.ndarray] = {}
    unreadable: list[str] = []
    for part, files in parts.items():
        images, kept, errors = read_images([path for _, path in files], shape, NUM_COPIES)
        labels = np.array([names.index(files[i][0]) for i in kept], np.int64)
        arrays |= {f"x_{part}": images, f"y_{part}": labels}
        if part == "train":
            arrays["num_validation"] = np.array(_count_validation(folder, [files[i] for i in kept]))
        if len(parts) == 1:  # test images are drawn by hashes of the files, which do not depend on the size
            keys = [_hash_file(files[i][1]) for i in kept]
            arrays["keys"] = np.frombuffer(b"".join(keys), ">u8").astype(np.uint64)
        unreadable += [f"{one_line(f'{files[i][0]}/{files[i][1].name}')} ({why})" for i, why in errors.items()]
    return arrays | {"unreadable": np.array(unreadable, str)}


def _hash_file(path: Path) -> bytes:
    try:
        return hashlib.blake2b(path.read_bytes(), digest_size=8).digest()
    except OSError as error:  # it was read before
        raise Unavailable(f"Try again: the file cannot be read any more ({error}). Received: {str(path)!r}") from error
