"""The trained models that teach a student."""

from pathlib import Path

import keras

from lwcnn.data.datasets import Dataset
from lwcnn.experiments.finished import check_finished, identify
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.recipes import get_experiment
from lwcnn.experiments.recipes.types import Teacher
from lwcnn.experiments.zoo import SHIPPED_MODELS
from lwcnn.models.description import read_description
from lwcnn.models.io import load_model
from lwcnn.system.errors import LwcnnError
from lwcnn.training.distillation import build_ensemble


def load_teacher(teacher: Teacher, data: Dataset, folders: Folders) -> keras.Model:
    return build_ensemble([load_model(find_teacher(teacher, seed, data, folders)) for seed in teacher.seeds])


def find_teacher(teacher: Teacher, seed: int, data: Dataset, folders: Folders) -> Path:
    """Returns the path of a teacher's model of these images, in the cache or else among the shipped ones."""
    run = identify(get_experiment(teacher.experiment, teacher.preset, data.spec), data, teacher.preset, seed)
    result = folders.result(data.name, teacher.experiment, teacher.preset, seed)
    path = folders.model(check_finished(result, run["config"], data) if result.exists() else run)
    if not path.exists():
        path = SHIPPED_MODELS / "teachers" / f"{data.name}-{teacher.experiment}-seed{seed}.keras"
    if not path.exists():
        raise LwcnnError(
            f"A model of the teacher is missing: train it with `lwcnn train {teacher.experiment} "
            f"--dataset {data.name} --preset {teacher.preset} --seeds {seed}`. Received: no {path.name}"
        )
    description = read_description(path)
    if description is None or description.data_checksum != data.checksum:
        raise LwcnnError(f"The teacher was trained on other images than {data.name}'s. Received: {path}")
    return path
