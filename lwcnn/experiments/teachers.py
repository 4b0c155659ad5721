"""Finds and loads the trained models that teach a student."""

from pathlib import Path

import keras

from lwcnn.experiments.recipes.types import Teacher
from lwcnn.models.io import load_model
from lwcnn.system.errors import LwcnnError
from lwcnn.training.distillation import build_ensemble


def find_teacher(teacher: Teacher, dataset: str, cache: Path, models: Path) -> list[Path]:
    """The files of a teacher's models: those in the cache, else the committed ones.

    Args:
        teacher: whose.
        dataset: the data set's name.
        cache: folder of trained models, `<dataset>/<experiment>/<preset>/seed<k>.keras`.
        models: folder of released models, with `teachers/<dataset>-<experiment>-seed<k>.keras`.

    Raises:
        LwcnnError: if one of them is nowhere; the message has the command that trains it.
    """
    paths = []
    for seed in teacher.seeds:
        trained = Path(cache) / dataset / teacher.experiment / teacher.preset / f"seed{seed}.keras"
        released = teacher_path(models, dataset, teacher.experiment, seed)
        found = [path for path in (trained, released) if path.exists()]
        if not found:
            raise LwcnnError(
                f"A model to teach is missing: train it by `lwcnn train {teacher.experiment} --dataset {dataset} "
                f"--preset {teacher.preset} --seeds {seed}`. Looked for {trained} and {released}"
            )
        paths.append(found[0])
    return paths


def teacher_path(models: Path, dataset: str, experiment: str, seed: int) -> Path:
    """Where a seed's model is committed, for experiments that teach."""
    return Path(models) / "teachers" / f"{dataset}-{experiment}-seed{seed}.keras"


def load_teacher(paths: list[Path]) -> keras.Model:
    """The ensemble of the models in files."""
    return build_ensemble([load_model(path) for path in paths])
