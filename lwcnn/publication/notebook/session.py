"""What the notebook works on: its data, what is trained here, and what is taken from the committed results."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import keras
import matplotlib

from lwcnn.data import Dataset, choose_dataset, load_dataset
from lwcnn.experiments.kfold import run_kfold
from lwcnn.experiments.pipeline import PhaseCache, train_submodels
from lwcnn.experiments.recipes import MergedExperiment, get_experiment, get_preset
from lwcnn.experiments.release import release_best
from lwcnn.experiments.results import PRESETS_BY_SIZE, MissingInput, load_results
from lwcnn.experiments.run import Folders, run_experiment, split_images
from lwcnn.models.io import load_model
from lwcnn.models.merge import split_merged
from lwcnn.publication.evidence import BASELINE_EXPERIMENT, Evidence
from lwcnn.publication.figures.catalogue import FIGURES
from lwcnn.publication.figures.inputs import Inputs
from lwcnn.publication.figures.style import STYLE
from lwcnn.publication.notebook.display import show, tell
from lwcnn.publication.notebook.places import OWN_FOLDERS, committed_folders
from lwcnn.publication.tables import Table, accuracies
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import read_json
from lwcnn.training.progress import Progress

OWN_FOLDS = 3  # of data without committed results: the paper's six would take longer than everything else


@dataclass(frozen=True)
class Session:
    """A session of the notebook.

    Attributes:
        data: The data set.
        notice: Why it is not the one asked for; None if it is.
        preset: Preset of what is trained here.
        seeds: Seeds of what is trained here.
        folders: Folders of the results that are shown: the committed ones, or those made here.
        trains_all: Whether everything is trained here because there are no committed results on this data.
    """

    data: Dataset
    notice: str | None
    preset: str
    seeds: tuple[int, ...]
    folders: Folders
    trains_all: bool

    @property
    def trains_paper(self) -> bool:
        """Whether the paper's method is trained here; with the preset `full` its committed runs are taken."""
        return self.trains_all or self.preset != "full"

    @property
    def inputs(self) -> Inputs:
        """What figures are made from, as it is now."""
        return Inputs(self.data.name, self.folders, (self.preset,) if self.trains_all else PRESETS_BY_SIZE)

    @property
    def evidence(self) -> Evidence:
        """What tables are made from, as it is now."""
        return self.inputs.evidence

    @property
    def committed_evidence(self) -> Evidence:
        """The committed results, whatever the data; those made here where there are none."""
        committed = committed_folders()
        return Evidence(committed.results) if committed else self.evidence

    def submodels(self) -> tuple[list[keras.Model], dict]:
        """The two submodels after stage 1, and the record of that stage.

        Where nothing is trained here, they are the branches of the released model.
        """
        if not self.trains_paper:
            released = load_model(Path(self.folders.models) / f"{self.data.name}-{BASELINE_EXPERIMENT}.keras")
            return split_merged(released), self.runs()[0]["history"][0]
        size = get_preset(self.preset)
        plan = cast(MergedExperiment, get_experiment(BASELINE_EXPERIMENT, self.preset, self.data.spec))
        split = split_images(self.data, plan, size)
        cache = PhaseCache(Path(OWN_FOLDERS.cache) / self.data.name, self.data.checksum)
        return train_submodels(
            plan, split, self.data.num_classes, self.seeds[0], cache=cache, progress=Progress("line")
        )

    def runs(self) -> list[dict]:
        """The results of the paper's method, one per seed: trained now or found, or, with `full`, the committed ones.

        Raises:
            LwcnnError: If a seed was not committed.
        """
        if self.trains_paper:
            return [self._run(BASELINE_EXPERIMENT, seed, Progress("line")) for seed in self.seeds]
        committed = self.evidence.select(self.data.name, BASELINE_EXPERIMENT, "full").set_index("seed")
        if missing := [seed for seed in self.seeds if seed not in committed.index]:
            there = sorted(committed.index)
            raise LwcnnError(f"The preset full takes committed runs: choose seeds of {there}. Received: {missing}")
        return [read_json(committed.loc[seed, "path"]) for seed in self.seeds]

    def train(self, experiments: Sequence[str]) -> Table:
        """Trains experiments where everything is trained here.

        Returns:
            Their accuracies, trained here or committed.
        """
        if self.trains_all:
            for name in experiments:
                for seed in self.seeds:
                    self._run(name, seed, Progress("none"))
        return accuracies.accuracies(self.evidence, self.data.name, experiments)

    def kfold(self) -> None:
        """Runs both K-fold assessments with few folds where everything is trained here."""
        if self.trains_all:
            for experiment, leaky in ((BASELINE_EXPERIMENT, False), ("paper_as_published", True)):
                run_kfold(experiment, self.data, self.preset, self.seeds[0], leaky, OWN_FOLDS, OWN_FOLDERS)

    def own_file(self, name: str) -> Path:
        """The path, in `runs/`, of a data set made from this one."""
        path = OWN_FOLDERS.results.parent / f"{self.data.name}-{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def show(self, name: str) -> None:
        """Shows one of `lwcnn.publication.figures.catalogue.FIGURES`, or says what it lacks."""
        try:
            with matplotlib.rc_context(STYLE):
                figure = FIGURES[name](self.inputs)
            show(figure)
        except MissingInput as error:
            tell(f"*Not shown: {str(error).split(' Received: ')[0].rstrip('.')}.*")

    def _run(self, experiment: str, seed: int, progress: Progress) -> dict:
        result = run_experiment(experiment, self.data, self.preset, seed, OWN_FOLDERS, progress, self.notice)
        if self.trains_all:
            release_best(self.data, experiment, OWN_FOLDERS, (self.preset,), (experiment,))
            result = read_json(OWN_FOLDERS.result(self.data.name, experiment, self.preset, seed))
        return result


def open_session(dataset: str = "cifar10", preset: str = "quick", seeds: Sequence[int] = (0,)) -> Session:
    """Finds the data and the committed results on it.

    Args:
        dataset: A name or the path of an .npz; for "cifar10" that is not available the digits are taken, with a
            notice and the preset `quick`.
        preset: "quick" or "smoke" trains `paper` here and takes everything else from the committed results; "full"
            takes everything from them. Without committed results on the data everything is trained here.
        seeds: Seeds of what is trained here.

    Raises:
        LwcnnError: If a name is unknown, the data can't be read, or there are no seeds.
    """
    get_preset(preset)  # a wrong name before the data is read
    seeds = tuple(seeds)
    if not seeds or not all(isinstance(seed, int) and seed >= 0 for seed in seeds):
        raise LwcnnError(f"Give seeds as one integer from 0 or more of them. Received: {list(seeds)}")
    data, notice = choose_dataset() if dataset == "cifar10" else (load_dataset(dataset), None)
    folders = committed_folders()
    if folders is None or data.checksum not in set(load_results(folders.results)["data_checksum"]):
        return Session(data, notice, "quick" if notice else preset, seeds, OWN_FOLDERS, trains_all=True)
    return Session(data, notice, preset, seeds, folders, trains_all=False)
