"""What a .keras file says about its model, read and written without Keras.

A .keras file is a zip archive. Its member `lwcnn.json`, which Keras ignores, holds the description.
"""

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

from lwcnn.system.errors import LwcnnError, wrong
from lwcnn.system.files import write_atomically

DESCRIPTION, CONFIG, WEIGHTS = "lwcnn.json", "config.json", "model.weights.h5"
MAX_CONFIG_BYTES = 2**26
MAX_WEIGHTS_BYTES = 2**31
EXPORTED = (".tflite", ".onnx")
NOT_SPECIFIED = "not specified"


@dataclass(frozen=True)
class Description:
    """What a model file says about its model: its data, and values of its run's JSON under the same names."""

    dataset: str
    data_checksum: str
    class_names: tuple[str, ...]
    experiment: str
    preset: str
    seed: int
    config: dict
    backend: str
    step: str | None
    val_accuracy: float
    test_accuracy: float
    seen: str | None = None  # images of one's own in training and validation: a hash of 8 hexadecimal digits each
    params: int | None = None
    temperature: float | None = None  # divisor of the logits that calibrates the probabilities
    license: str = NOT_SPECIFIED  # of the weights
    int8_bytes: int | None = None  # of the int8 LiteRT file
    int8_ms: float | None = None  # median latency of one image in that file, on one thread of `int8_device`
    int8_device: str | None = None

    @classmethod
    def of_run(cls, result: Mapping[str, Any], class_names: tuple[str, ...]) -> "Description":
        """Returns the description of a run's model, from what the run's JSON holds."""
        known: dict[str, Any] = {name: result[name] for name in cls.__dataclass_fields__ if name in result}
        return cls(**{"step": None, **known, "class_names": tuple(class_names)})


def read_description(path: str | Path) -> Description | None:
    """Returns the description in a model file; None where it has none."""
    content = read_archive(path).get(DESCRIPTION)
    if content is None:
        return None
    try:
        found = json.loads(content)
        description = Description(**{name: found[name] for name in Description.__dataclass_fields__ if name in found})
        names = description.class_names
        if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
            raise ValueError("class_names is not a list of strings")
        _require_types(description)
        if len(bytes.fromhex(description.seen or "")) % 4:
            raise ValueError("a hash of its images is incomplete")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise unreadable(path, error) from error
    return replace(description, class_names=tuple(names))


def _require_types(description: Description) -> None:
    """Raises ValueError if a field read from JSON, other than the class names, is not of its type and finite."""
    for field in fields(Description):
        value, kind = getattr(description, field.name), cast(type, field.type)
        is_whole = type(value) is int and isinstance(0.5, kind)
        if field.name != "class_names" and not (is_whole or isinstance(value, kind)):
            raise ValueError(f"{field.name} is of another type")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{field.name} is {value}")
    if description.temperature is not None and not 0.01 <= description.temperature <= 100:
        raise ValueError(f"its temperature is {description.temperature}")


def read_input_shape(path: str | Path) -> tuple[int, int, int] | None:
    """Returns the shape (height, width, channels) of a model's images; None where the file does not state it."""
    members = read_archive(path)
    try:
        _, *shape = json.loads(members[CONFIG])["config"]["layers"][0]["config"]["batch_shape"]
    except (ValueError, TypeError, KeyError, IndexError):
        return None
    is_fixed = len(shape) == 3 and all(isinstance(side, int) and side > 0 for side in shape)
    return (shape[0], shape[1], shape[2]) if is_fixed else None


def describe_model(path: Path, description: Description) -> None:
    """Replaces the description in a model file; every other member keeps its bytes."""
    write_atomically(path, pack(read_archive(path), description))


def pack(members: Mapping[str, bytes], description: Description | None) -> bytes:
    if description:
        text = json.dumps(vars(description), ensure_ascii=False, allow_nan=False)
        members = {**members, DESCRIPTION: text.encode()}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():  # dated 1980, so that the same model always gives the same bytes
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 9)
    return packed.getvalue()


def model_checksum(path: str | Path) -> str:
    """Returns the sha256 of a model's network and weights, in hexadecimal. It does not depend on the description."""
    members = read_archive(path)
    return hashlib.sha256(members[CONFIG] + members[WEIGHTS]).hexdigest()


def read_archive(path: str | Path) -> dict[str, bytes]:
    """Returns the members of a .keras file by name, after checking their sizes."""
    if not Path(path).exists():
        raise LwcnnError(f"There is no such model: check the path. Received: {path}")
    if not Path(path).is_file():
        raise LwcnnError(f"Give a .keras file. Received: {path}, which is not a regular file")
    if Path(path).suffix in EXPORTED:
        raise LwcnnError(
            "An exported file runs in its own runtime, LiteRT or ONNX Runtime: give the .keras file that it was made "
            f"from. Received: {path}"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            for member in members:
                if member.file_size > (MAX_WEIGHTS_BYTES if member.filename == WEIGHTS else MAX_CONFIG_BYTES):
                    raise ValueError(f"{member.filename} would take {member.file_size:,} bytes")
            if (total := sum(member.file_size for member in members)) > MAX_WEIGHTS_BYTES + MAX_CONFIG_BYTES:
                raise ValueError(f"its members would take {total:,} bytes")
            if len({member.filename for member in members}) != len(members):
                raise ValueError("a member appears twice")
            return {member.filename: archive.read(member) for member in members}
    except Exception as error:  # damaged bytes raise anything, from zlib.error to NotImplementedError
        raise unreadable(path, error) from error


def unreadable(path: str | Path, reason: object) -> LwcnnError:
    if Path(path).suffix in (".h5", ".hdf5"):
        return wrong("Load the file in Keras and save the model as .keras", f"{path}")
    words = " ".join(str(reason).split())
    if isinstance(reason, BaseException):
        words = f"{type(reason).__name__}: {words}" if words else type(reason).__name__
    return LwcnnError(f"This can't be read as a Keras model (.keras): {words[:300]}. Received: {path}")
