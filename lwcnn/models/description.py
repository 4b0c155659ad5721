"""The description of a model in its .keras file, read and written without Keras.

A .keras file is a zip archive. Its member `lwcnn.json`, which Keras ignores, holds the description.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from lwcnn.system.errors import LwcnnError, wrong
from lwcnn.system.files import StrPath, require_file, write_atomically
from lwcnn.system.settings import TEXT, Fraction, Rule, Settings, number, sequence

DESCRIPTION, CONFIG, WEIGHTS = "lwcnn.json", "config.json", "model.weights.h5"
MAX_CONFIG_BYTES = 2**26
MAX_WEIGHTS_BYTES = 2**31
EXPORTED = (".tflite", ".onnx")
NOT_SPECIFIED = "not specified"
_NAMES = Rule(lambda value: bool(value) and sequence(TEXT).is_valid(value), "a tuple of one or more names")
_TEMPERATURE = Rule(lambda value: number(100).is_valid(value) and value >= 0.01, "a number from 0.01 to 100")


@dataclass(frozen=True)
class Description(Settings):
    """Description of a model in its file: its dataset, and values of its run's JSON file under the same names."""

    dataset: str
    data_checksum: str
    class_names: Annotated[tuple[str, ...], _NAMES]
    experiment: str
    preset: str
    seed: int
    config: dict
    backend: str
    step: str | None
    val_accuracy: Fraction
    test_accuracy: Fraction
    seen: str | None = None  # hashes of the user's own training and validation images, 8 hexadecimal digits each
    params: int | None = None
    temperature: Annotated[float | None, _TEMPERATURE] = None  # divisor of the logits that calibrates the probabilities
    license: str = NOT_SPECIFIED  # of the weights
    int8_bytes: int | None = None  # of the int8 LiteRT file
    int8_ms: Annotated[float | None, number()] = None  # median latency of one image in it, one thread of `int8_device`
    int8_device: str | None = None

    @classmethod
    def of_run(cls, result: Mapping[str, Any], class_names: tuple[str, ...]) -> "Description":
        """Returns the description of a run's model, given the content of the run's JSON file."""
        known: dict[str, Any] = {name: result[name] for name in cls.__dataclass_fields__ if name in result}
        return cls(**{"step": None, **known, "class_names": tuple(class_names)})


def read_description(path: StrPath) -> Description | None:
    """Returns the description in a model file; None if it has none."""
    content = read_archive(path, DESCRIPTION).get(DESCRIPTION)
    if content is None:
        return None
    try:
        found = json.loads(content)
        description = Description(**{name: found[name] for name in Description.__dataclass_fields__ if name in found})
        if len(bytes.fromhex(description.seen or "")) % 4:
            raise ValueError("a hash of its images is incomplete")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise unreadable(path, error) from error
    return replace(description, class_names=tuple(description.class_names))


def read_input_shape(path: StrPath) -> tuple[int, int, int] | None:
    """Returns the shape (height, width, channels) of a model's images; None if the file does not state it."""
    members = read_archive(path, CONFIG)
    try:
        _, *shape = json.loads(members[CONFIG])["config"]["layers"][0]["config"]["batch_shape"]
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
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
        for name, content in members.items():  # dated 1980, so that the same members always give the same bytes
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 9)
    return packed.getvalue()


def model_checksum(path: StrPath) -> str:
    """Returns the sha256 of a model's network and weights, in hexadecimal. It does not depend on the description."""
    members = read_archive(path)
    return hashlib.sha256(members[CONFIG] + members[WEIGHTS]).hexdigest()


def read_archive(path: StrPath, *names: str) -> dict[str, bytes]:
    """Returns the members of a .keras file by name, or those that are named, after checking all sizes."""
    require_file(path)
    if Path(path).suffix in EXPORTED:
        raise wrong(
            "An exported file runs in its own runtime, LiteRT or ONNX Runtime: give the .keras file that it was made "
            "from",
            path,
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
            return {one.filename: archive.read(one) for one in members if not names or one.filename in names}
    except Exception as error:  # damaged bytes raise anything, from zlib.error to NotImplementedError
        raise unreadable(path, error) from error


def unreadable(path: StrPath, reason: object) -> LwcnnError:
    if Path(path).suffix in (".h5", ".hdf5"):
        return wrong("Load the file in Keras and save the model as .keras", f"{path}")
    words = " ".join(str(reason).split())
    if isinstance(reason, BaseException):
        words = f"{type(reason).__name__}: {words}" if words else type(reason).__name__
    return wrong(f"This cannot be read as a Keras model (.keras): {words[:300]}", path)
