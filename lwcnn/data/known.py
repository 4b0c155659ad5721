"""Public datasets that can be loaded by name (`datasets.toml`), and the image properties that recipes depend on."""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from lwcnn.system.errors import require_known, unknown_name
from lwcnn.system.files import StrPath

ENTRIES = tomllib.loads(Path(__file__).with_name("datasets.toml").read_text("utf-8"))
DATASET_NAMES = tuple(ENTRIES)
CLASS_NAMES: dict[str, tuple[str, ...]] = {  # Tiny-ImageNet's are read from its files
    name: tuple(entry["classes"]) for name, entry in ENTRIES.items() if "classes" in entry
}
INPUT_SHAPES: dict[str, tuple[int, int, int]] = {name: tuple(entry["shape"]) for name, entry in ENTRIES.items()}
NUM_IMAGES: dict[str, tuple[int, int]] = {name: tuple(entry["images"]) for name, entry in ENTRIES.items()}
OFFICIAL_CHECKSUMS = {name: entry["checksum"] for name, entry in ENTRIES.items() if "checksum" in entry}


@dataclass(frozen=True)
class ImageSpec:
    """Image properties that a recipe may depend on, instead of a dataset's name."""

    shape: tuple[int, int, int]  # height, width, channels
    mirror: bool  # whether a mirrored image still belongs to its class

    @property
    def is_gray(self) -> bool:
        """Whether images have one channel."""
        return self.shape[2] == 1


def is_dataset_name(source: StrPath) -> bool:
    """Returns whether a source is a name, not a path; a word that is neither raises LwcnnError."""
    text, is_path = os.fspath(source), isinstance(source, os.PathLike)
    if text in DATASET_NAMES:
        return not (is_path and os.path.exists(text))
    if is_path or text.endswith(".npz") or os.sep in text or os.path.isdir(text):
        return False
    raise unknown_name(
        "dataset, neither a known name nor a folder that exists",
        text,
        (*DATASET_NAMES, "path/to/folder", "path/to/your.npz"),
    )


def image_spec(name: str) -> ImageSpec:
    """Returns the image properties of a public dataset, one of `DATASET_NAMES`."""
    require_known("public dataset; pass your own as load_dataset(path)", name, DATASET_NAMES)
    return ImageSpec(INPUT_SHAPES[name], ENTRIES[name]["mirror"])
