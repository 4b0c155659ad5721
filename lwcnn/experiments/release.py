"""The released run of each experiment: the seed best by validation, of the largest preset that was run.

models/<dataset>-<experiment>.keras                           its model
results/<dataset>/<experiment>/<preset>/released.npz          its test logits, and features for figures
models/teachers/<dataset>-<experiment>-seed<k>.keras          every seed's model, of experiments that teach
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lwcnn.experiments.results import PRESETS_BY_SIZE, run_paths
from lwcnn.experiments.run import Folders
from lwcnn.experiments.teachers import teacher_path
from lwcnn.system.files import read_json, write_atomically, write_json
from lwcnn.system.npz import load_npz, save_npz

TEACHERS = (("cifar10", "residual_se"),)  # those that `lwcnn.training.distillation` looks for
LOGIT_STEP = 1 / 64  # float16's own step for the largest logits
# The models that figures compare by their penultimate features.
WITH_FEATURES = ("paper", "residual_se", "residual_se_muon")


def release_best(
    dataset: str,
    experiment: str,
    folders: Folders = Folders(),
    presets: Sequence[str] = PRESETS_BY_SIZE,
    with_features: Sequence[str] = WITH_FEATURES,
) -> Path | None:
    """Releases the best run of an experiment, if its model is at hand and not released yet.

    Args:
        dataset: the data set's name.
        experiment: the experiment's name.
        folders: where the results, the trained models (cache) and the released models are.
        presets: of which runs may be released, the first that there are.
        with_features: experiments whose penultimate features are kept with the logits.

    Returns:
        The released model's path; None if nothing changed.
    """
    for preset in presets:
        paths = run_paths(folders.result(dataset, experiment, preset, 0).parent)
        if paths:
            break
    else:
        return None
    results = {path: read_json(path) for path in paths}
    best = max(results, key=lambda path: (results[path]["val_accuracy"], -results[path]["seed"]))
    seed = results[best]["seed"]
    if (dataset, experiment) in TEACHERS:
        _release_teachers(dataset, experiment, preset, [r["seed"] for r in results.values()], folders)
    trained = folders.model(dataset, experiment, preset, seed)
    released = Path(folders.models) / f"{dataset}-{experiment}.keras"
    if (results[best]["weights"] and released.exists()) or not trained.exists():
        return None
    write_atomically(released, trained.read_bytes())
    outputs = load_npz(folders.outputs(dataset, experiment, preset, seed))
    outputs["logits"] = round_logits(outputs["logits"])
    if experiment not in with_features:
        outputs.pop("features")
    save_npz(best.with_name("released.npz"), compressed=True, seed=np.array(seed), **outputs)
    _forget_others(dataset, experiment, folders, keep=best)
    write_json(best, results[best] | {"weights": f"{Path(folders.models).name}/{released.name}"})
    return released


def round_logits(logits: np.ndarray) -> np.ndarray:
    """Logits (n, classes) as float16 multiples of `LOGIT_STEP`, each image's class kept: a quarter fewer bytes packed.

    No figure or measure shows the difference.
    """
    rounded = (np.round(logits.astype(np.float32) / LOGIT_STEP) * LOGIT_STEP).astype(np.float16)
    winners, rows = logits.argmax(axis=1), np.arange(len(logits))
    tied = rounded.argmax(axis=1) != winners
    rounded[rows[tied], winners[tied]] = np.nextafter(rounded[tied].max(axis=1), np.float16(np.inf))
    return rounded


def _release_teachers(dataset: str, experiment: str, preset: str, seeds: list[int], folders: Folders) -> None:
    """Copies the models at hand to where distillation finds them in a fresh clone."""
    for seed in seeds:
        trained = folders.model(dataset, experiment, preset, seed)
        if preset == "full" and trained.exists():
            write_atomically(teacher_path(folders.models, dataset, experiment, seed), trained.read_bytes())


def _forget_others(dataset: str, experiment: str, folders: Folders, keep: Path) -> None:
    """Takes the path of the weights out of the runs that are no longer the released one."""
    presets = (Path(folders.results) / dataset / experiment).glob("*")
    for path in (path for preset in presets for path in run_paths(preset)):
        result = read_json(path)
        if path != keep and result["weights"]:
            write_json(path, result | {"weights": None})
    for path in (Path(folders.results) / dataset / experiment).glob("*/released.npz"):
        if path.parent != keep.parent:
            path.unlink()
