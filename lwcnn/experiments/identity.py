"""What identifies a run, the images that it trains on, and whether a finished result is that of this run."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lwcnn.data.datasets import Dataset, load_dataset
from lwcnn.data.images import Images, Split
from lwcnn.data.splits import distinct_images, split_for_training
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.recipes import Experiment, Preset, get_experiment, get_preset
from lwcnn.experiments.sequence import PhaseSequence
from lwcnn.system import environment
from lwcnn.system.errors import LwcnnError, wrong
from lwcnn.system.files import read_json
from lwcnn.system.locking import locked
from lwcnn.system.settings import plain_settings
from lwcnn.training.devices import Computing
from lwcnn.training.progress import Progress
from lwcnn.training.steps import step_name

SPLIT_SEED = 0  # all runs share one validation split


@dataclass(frozen=True)
class Run:
    """An experiment on a dataset with a preset and a seed, with the folders of its files."""

    plan: Experiment
    data: Dataset
    preset: str
    seed: int
    folders: Folders = Folders()
    progress: Progress = field(default_factory=Progress)
    computing: Computing = Computing()

    def __post_init__(self):
        if not isinstance(self.seed, Integral) or not 0 <= self.seed <= environment.MAX_SEED:
            raise wrong(f"Give a seed from 0 to {environment.MAX_SEED:,}", repr(self.seed))
        object.__setattr__(self, "seed", int(self.seed))  # NumPy's integers are not JSON
        if self.plan.name in ("", "..") or Path(self.plan.name).name != self.plan.name:
            raise wrong(
                "Give an experiment a name that can be a folder's name, without separators", repr(self.plan.name)
            )

    @property
    def identity(self) -> dict[str, Any]:
        """Entries of the result that name the run and determine its weights, except a teacher's weights.

        `step` is the step asked for; the history has the steps that computed each phase.
        """
        config = plain_settings(self.plan)
        if special := plain_settings(self.computing):
            config["computing"] = special
        if "start" in config:  # no path of this machine in a file that is passed on; `checksum` identifies the model
            config["start"] = Path(config["start"]).name
        return {
            "dataset": self.data.name,
            "data_checksum": self.data.checksum,
            "experiment": self.plan.name,
            "preset": self.preset,
            "seed": self.seed,
            "config": config,
            "backend": keras.backend.backend(),
            "step": step_name(),
        }

    @property
    def path(self) -> Path:
        return self.folders.result(self.data.name, self.plan.name, self.preset, self.seed)

    def begin(self, split: Split | None = None, data_key: str = "") -> PhaseSequence:
        """Returns a new training sequence on a split, by default that of `split_images`."""
        split = split or split_images(self.data, self.plan, get_preset(self.preset))
        cache, data_key = self.folders.cache / self.data.name, data_key or self.data.checksum
        return PhaseSequence(split, self.data.num_classes, self.seed, cache, data_key, self.progress, self.computing)


def find_plan(experiment: str | Experiment, dataset: Any, preset: str, folders: Folders) -> tuple[Experiment, Dataset]:
    """Returns an experiment and a dataset, loaded; an unknown name fails before the data is read."""
    get_preset(preset)
    if not isinstance(experiment, (str, Experiment)):
        raise wrong("Give the name of an experiment or network, or an Experiment", repr(experiment))
    if isinstance(experiment, str):
        get_experiment(experiment, preset)
    data = dataset if isinstance(dataset, Dataset) else load_dataset(dataset, folders.data)
    return get_experiment(experiment, preset, data.spec) if isinstance(experiment, str) else experiment, data


def split_images(data: Dataset, plan: Experiment, preset: Preset) -> Split:
    """Splits the training images of a dataset into training and validation, limited by experiment and preset.

    All copies of an image are in one part. The dataset's own validation images are used if it has any.
    """
    validation: float | np.ndarray = plan.validation
    label_of, copy_of = distinct_images(data.x_train, data.y_train)
    if data.is_validation is not None:
        validation = np.isin(np.arange(len(label_of)), copy_of[data.is_validation])
    parts = split_for_training(label_of, validation, plan.image_limit(preset), SPLIT_SEED, data.class_names)
    return Split(*(Images(data.x_train, data.y_train, np.flatnonzero(np.isin(copy_of, part))) for part in parts))


def load_or_make(
    path: Path, identity: dict, make: Callable[[], dict], needed: str, note: Callable[[str], None]
) -> dict:
    """Returns the result at a path; if it does not exist, one process makes and writes it with `make`."""
    result = None
    if not path.exists():
        with locked(path, note):
            if not path.exists():  # else another process has written it in the meantime
                result = make()
    if result is None:
        result = check_finished(path, identity, needed)
        for name in ("backend", "step"):
            if result.get(name, identity[name]) != identity[name]:  # older results do not have every key
                made, now = result[name], identity[name]
                note(f"{path} is used as it is: it was made with {name} {made}, this process has {now}")
        note(f"finished before: {needed.replace('_', ' ')} {100 * result[needed]:.2f}%, {path}")
    for sign in result.get("warnings", []):
        note(f"warning: {sign}")
    return result


def check_finished(path: Path, identity: dict, needed: str = "test_accuracy") -> dict:
    """Loads a result and checks that it belongs to a run, and has the accuracy `needed`."""
    result = read_json(path)
    config, checksum, accuracy = result["config"], result["data_checksum"], result[needed]
    if not isinstance(config, dict) or not isinstance(checksum, str) or not isinstance(accuracy, (int, float)):
        raise wrong(f"Move {path} away and run again", "a file that is not the result of a run")
    describing = {"question", "start"}  # entries that do not determine the weights
    if differing := sorted({*_differences(config, identity["config"])} - describing):
        is_computing = any(name.startswith("computing") for name in differing)
        raise LwcnnError(
            f"{path} was made with another configuration; move it away, or use other folders for results and models. "
            f"Received a file that differs in: {', '.join(differing)}"
            f"{' (give the same --precision and --devices)' if is_computing else ''}"
            f"{' (of the network from which fine-tuning starts)' if 'checksum' in differing else ''}"
        )
    if checksum != identity["data_checksum"]:
        raise LwcnnError(
            f"{path} was made with other images; move it away, or use other folders for results and models. "
            f"Received checksum {identity['data_checksum'][:12]}, the file has {checksum[:12]}"
        )
    return result


def _differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Yields the dotted paths at which two nested settings differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one.keys() | other.keys():
            yield from _differences(one.get(key), other.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, pair in enumerate(zip(one, other, strict=True)):
            yield from _differences(*pair, f"{path}.{place}")
    elif one != other:
        yield path


def mixed_computing(history: list[dict]) -> list[str]:
    """Returns a warning if phases were trained with different steps, thread counts or devices.

    Also warns if the engine, which is off now, trained them: finished phases are reused from the cache as they are.
    """
    ways: list[dict] = []
    for phase in history:
        ways += [way for way in phase["computing"] if way not in ways]
    if step_name() == "keras" and "engine" in {way.get("step") for way in ways}:
        return ["the engine trained phases in the cache: use another --cache to train them with Keras's step"]
    if len(ways) < 2:
        return []
    words = "; ".join(", ".join(f"{key} {value}" for key, value in way.items()) for way in ways)
    return [f"the phases were trained with different settings ({words}): the same seed gives other weights"]


def provenance() -> dict:
    return {
        "backend": keras.backend.backend(),
        "step": step_name(),
        "num_threads": environment.num_threads(),
        **environment.machine(),
    }
