"""Finds the trained models that teach a student."""

from pathlib import Path

from lwcnn.data.datasets import Dataset
from lwcnn.experiments.recipes.types import Teacher
from lwcnn.experiments.zoo import SHIPPED_MODELS
from lwcnn.models.description import read_description
from lwcnn.system.errors import LwcnnError


def find_teacher(teacher: Teacher, data: Dataset, trained: list[Path], models: Path) -> list[Path]:
    """Finds the files of a teacher's models, in the cache (`trained`, a path per seed) or else among the released ones.

    A missing model's error contains the command that trains it; a model of other images is refused.
    """
    paths = []
    for seed, cached in zip(teacher.seeds, trained, strict=True):
        own, shipped = (
            teacher_path(folder, data.name, teacher.experiment, seed) for folder in (models, SHIPPED_MODELS)
        )
        found = [path for path in (cached, own, shipped) if path.exists()]
        if not found:
            raise LwcnnError(
                f"A model of the teacher is missing: train it with `lwcnn train {teacher.experiment} "
                f"--dataset {data.name} --preset {teacher.preset} --seeds {seed}`. "
                f"Received: neither {cached} nor {own}"
            )
        description = read_description(found[0])
        if description is None or description.data_checksum != data.checksum:
            raise LwcnnError(f"The teacher was trained on other images than {data.name}'s. Received: {found[0]}")
        paths.append(found[0])
    return paths


def teacher_path(models: Path, dataset: str, experiment: str, seed: int) -> Path:
    """Returns the path of the model of a seed that distillation uses."""
    return Path(models) / "teachers" / f"{dataset}-{experiment}-seed{seed}.keras"
