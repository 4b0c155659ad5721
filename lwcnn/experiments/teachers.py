"""Finds the trained models that teach a distilled experiment."""

from dataclasses import replace
from pathlib import Path

import keras

from lwcnn.data.datasets import Dataset
from lwcnn.data.known import DATASET_NAMES
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.identity import Run, check_finished
from lwcnn.experiments.recipes import DistilledExperiment, Experiment, get_experiment
from lwcnn.experiments.recipes.types import Teacher
from lwcnn.experiments.shipped import shipped_file
from lwcnn.models.description import read_description
from lwcnn.models.io import load_model
from lwcnn.models.surgery import build_ensemble
from lwcnn.system.errors import wrong
from lwcnn.system.files import read_json
from lwcnn.training.devices import Computing


def load_teacher(plan: Experiment, data: Dataset, folders: Folders) -> keras.Model | None:
    """Returns the ensemble that teaches an experiment; None if it has no teacher."""
    if not isinstance(plan, DistilledExperiment):
        return None
    files = [find_teacher(plan.teacher, seed, data, folders) for seed in plan.teacher.seeds]
    return build_ensemble([load_model(file) for file in files])


def find_teacher(teacher: Teacher, seed: int, data: Dataset, folders: Folders) -> Path:
    """Returns the path of a teacher trained on these images, in the cache or else among the shipped models.

    The shipped folder `teachers` has teachers that are not the best run of their experiment.
    """
    run = Run(get_experiment(teacher.experiment, teacher.preset, data.spec), data, teacher.preset, seed, folders)
    trained = run.identity
    if run.path.exists():  # on whatever devices, in whatever precision
        run = replace(run, computing=Computing(**read_json(run.path)["config"].get("computing", {})))
        trained = check_finished(run.path, run.identity)
    path = folders.model(trained)
    if not path.exists():
        path = shipped_file(teacher.experiment, data.name)
        told = read_description(path) if path.exists() else None
        if told is None or (told.preset, told.seed) != (teacher.preset, seed):
            path = path.parent / "teachers" / f"{path.stem}-seed{seed}.keras"
    if not path.exists():
        raise wrong(
            f"A model of the teacher is missing: train it with `lwcnn train {teacher.experiment} "
            f"--dataset {data.name if data.name in DATASET_NAMES else 'path/to/images'} --preset {teacher.preset} "
            f"--seeds {seed}`, with the same folders and image options",
            f"no {path.name}",
        )
    description = read_description(path)
    if description is None or description.data_checksum != data.checksum:
        raise wrong(f"The teacher was trained on other images than {data.name}'s", path)
    return path
