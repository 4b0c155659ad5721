"""Finds and loads the trained models that teach a student."""

from pathlib import Path

import keras

from lwcnn.data import Dataset
from lwcnn.experiments.recipes.types import Teacher
from lwcnn.models.io import load_model, read_description
from lwcnn.system.errors import LwcnnError
from lwcnn.training.distillation import build_ensemble


def find_teacher(teacher: Teacher, data: Dataset, trained: list[Path], models: Path) -> list[Path]:
    """Returns the files of a teacher's models: those in the cache, else the committed ones.

    Args:
        teacher: Description of the teacher.
        data: Data set on which its models were trained.
        trained: File in the cache of each seed's model, whether it exists or not.
        models: Folder of released models, with `teachers/<dataset>-<experiment>-seed<k>.keras`.

    Raises:
        LwcnnError: One of them is missing, and the message has the command that trains it; or one was trained on
            other images.
    """
    paths = []
    for seed, cached in zip(teacher.seeds, trained, strict=True):
        released = teacher_path(models, data.name, teacher.experiment, seed)
        found = [path for path in (cached, released) if path.exists()]
        if not found:
            raise LwcnnError(
                f"A model to teach is missing: train it by `lwcnn train {teacher.experiment} --dataset {data.name} "
                f"--preset {teacher.preset} --seeds {seed}`. Looked for {cached} and {released}"
            )
        description = read_description(found[0])
        if description is None or description.data_checksum != data.checksum:
            raise LwcnnError(f"The teacher was trained on other images than {data.name}'s. Received: {found[0]}")
        paths.append(found[0])
    return paths


def teacher_path(models: Path, dataset: str, experiment: str, seed: int) -> Path:
    """Where a seed's model is committed, for experiments that teach."""
    return Path(models) / "teachers" / f"{dataset}-{experiment}-seed{seed}.keras"


def load_teacher(paths: list[Path]) -> keras.Model:
    """The ensemble of the models in files."""
    return build_ensemble([load_model(path) for path in paths])
