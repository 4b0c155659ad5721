"""The notebook's thread: what is trained here, and what is taken from the committed results."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import matplotlib

from lwcnn.data import Dataset
from lwcnn.evaluation import MeanInterval, mean_and_interval
from lwcnn.experiments.kfold import run_kfold
from lwcnn.experiments.pipeline import train_submodels
from lwcnn.experiments.recipes import get_experiment, get_preset
from lwcnn.experiments.recipes.ablation import BASELINE, only
from lwcnn.experiments.recipes.paper import EXPERIMENTS
from lwcnn.experiments.release import PRESETS_BY_SIZE, release_best
from lwcnn.experiments.run import Folders, run_experiment, split_images
from lwcnn.experiments.search import trials
from lwcnn.models.io import load_model
from lwcnn.models.merge import split_merged
from lwcnn.publication.figures.catalogue import FIGURES
from lwcnn.publication.figures.inputs import BASELINE_EXPERIMENT, Inputs, MissingInput
from lwcnn.publication.figures.style import STYLE
from lwcnn.publication.notebook import sentences
from lwcnn.publication.notebook.captions import CAPTIONS
from lwcnn.publication.notebook.display import show, tell
from lwcnn.publication.notebook.places import OWN_FOLDERS, committed_folders
from lwcnn.publication.notebook.remedies import command_for
from lwcnn.publication.notebook.trials import load_trials, plot_trials
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import read_json
from lwcnn.training.progress import Progress

ABLATIONS = tuple(name for name in EXPERIMENTS if name not in ("paper", "paper_batch64"))
PARTS_ALONE = (BASELINE, *(only(key) for key in ("residual", "se", "mixing")))
OWN_FOLDS = 3  # of data without committed results: the paper's six would take longer than all else
IMPROVED = ("residual_se",)  # what is trained where everything is


@dataclass(frozen=True)
class Story:
    """What the notebook tells of.

    Attributes:
        data: the data set.
        notice: why it is not the one asked for; None if it is.
        preset: of what is trained here.
        seeds: of what is trained here.
        folders: of the results that are shown: the committed ones, or those made here.
        trains_all: whether everything is trained here, for want of committed results on this data.
    """

    data: Dataset
    notice: str | None
    preset: str
    seeds: tuple[int, ...]
    folders: Folders
    trains_all: bool

    @property
    def inputs(self) -> Inputs:
        """What figures are made from, as it is now."""
        return Inputs(self.data.name, self.folders, (self.preset,) if self.trains_all else PRESETS_BY_SIZE)

    @property
    def display_name(self) -> str:
        """The data set's name as written in titles."""
        return self.inputs.display_name

    @property
    def trains_paper(self) -> bool:
        """Whether the paper's method is trained here; with the preset `full` its committed runs are taken."""
        return self.trains_all or self.preset != "full"

    def submodels(self) -> tuple[list[keras.Model], dict]:
        """The two submodels after stage 1, trained now or found, and the stage's record.

        Where nothing is trained here, they are what the released model's branches stand for.
        """
        if not self.trains_paper:
            released = load_model(Path(self.folders.models) / f"{self.data.name}-{BASELINE_EXPERIMENT}.keras")
            return split_merged(released), self.runs()[0]["history"][0]
        size, plan = get_preset(self.preset), get_experiment(BASELINE_EXPERIMENT, self.preset, self.data.spec)
        training, validation = split_images(self.data, plan, size)
        cache, progress = Path(OWN_FOLDERS.cache) / self.data.name, Progress("line")
        return train_submodels(
            plan, training, validation, self.data.num_classes, self.seeds[0], cache, self.data.checksum, progress
        )

    def runs(self) -> list[dict]:
        """The runs of the paper's method, one a seed: trained now or found, or, with `full`, the committed ones.

        Raises:
            LwcnnError: a seed that was not committed.
        """
        if self.trains_paper:
            return [self._run(BASELINE_EXPERIMENT, seed, Progress("line")) for seed in self.seeds]
        paths = [self.folders.result(self.data.name, BASELINE_EXPERIMENT, "full", seed) for seed in self.seeds]
        missing = [seed for seed, path in zip(self.seeds, paths) if not path.exists()]
        if missing:
            there = sorted(int(path.stem.removeprefix("seed")) for path in paths[0].parent.glob("seed?*.json"))
            raise LwcnnError(f"The preset full takes committed runs: choose seeds of {there}. Received: {missing}")
        return [read_json(path) for path in paths]

    def committed_accuracy(self) -> MeanInterval | None:
        """Test accuracy of the committed runs of `paper` with this preset; None where there are none."""
        runs = self.inputs.groups.get((BASELINE_EXPERIMENT, self.preset), []) if not self.trains_all else []
        return mean_and_interval([run["test_accuracy"] for run in runs]) if runs else None

    def train(self, experiments: Sequence[str]) -> None:
        """Trains experiments, or says which of them have committed runs, which are shown."""
        if not self.trains_all:
            folder = Path(self.folders.results) / self.data.name
            there = [name for name in experiments if any((folder / name).glob("*/seed*.json"))]
            lacking = [name for name in experiments if name not in there]
            texts = [f"Taken from the committed results, not trained here: {_listed(there)}."] if there else []
            texts += [f"Not among the committed results yet: {_listed(lacking)}."] if lacking else []
            return tell(" ".join(texts))
        lines = []
        for name in experiments:
            runs = [self._run(name, seed, Progress("none")) for seed in self.seeds]
            accuracies = ", ".join(f"{100 * run['test_accuracy']:.2f} %" for run in runs)
            lines.append(f"| `{name}` | {runs[0]['params']:,} | {accuracies} | {runs[0]['train_seconds']:.0f} |")
        head = ["| trained here | parameters | test accuracy | seconds, first seed |", "|---|---|---|---|"]
        tell("\n".join(head + lines))

    def kfold(self) -> None:
        """Runs both K-fold assessments, with few folds, or says that committed ones are shown."""
        if not self.trains_all:
            return tell("Taken from the committed results, not trained here.")
        for experiment, leaking in ((BASELINE_EXPERIMENT, False), ("paper_as_published", True)):
            run_kfold(experiment, self.data, self.preset, self.seeds[0], leaking, OWN_FOLDS, OWN_FOLDERS)

    def describe_kfold(self) -> str:
        """What the K-fold assessments say."""
        return sentences.describe_kfold(self.folders.results, self.data.name)

    def describe_improved(self) -> str:
        """What the improved models reach beside `paper`, each with the largest preset that it was run with."""
        inputs = self.inputs
        more = ("residual_se_small", "residual_se_distilled", "residual_se_muon")
        improved = [name for name in (*IMPROVED, *more) if name in inputs.experiments]
        baseline = inputs.runs(BASELINE_EXPERIMENT)
        runs = [inputs.runs(name) for name in improved or IMPROVED]
        return "\n\n".join(sentences.describe_improved(one, baseline) for one in runs)

    def show_trials(self) -> None:
        """Shows the trials of the search."""
        try:
            found = load_trials(self.folders.results, self.data.name)
            show(plot_trials(found), sentences.describe_search(found, len(trials(self.data.spec, 1))))
        except MissingInput as error:
            self.tell_missing("search", error)

    @property
    def audited_results(self) -> Path:
        """The results that claims are held against: the committed ones, whatever data is shown."""
        committed = committed_folders()
        return committed.results if committed else self.folders.results

    def own_file(self, name: str) -> Path:
        """The path, in `runs/`, of a data set made from this one."""
        path = OWN_FOLDERS.results.parent / f"{self.data.name}-{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def show(self, name: str) -> None:
        """Shows one of `lwcnn.publication.figures.catalogue.FIGURES` and what it says, or which command makes its input."""
        inputs = self.inputs
        try:
            with matplotlib.rc_context(STYLE):
                figure = FIGURES[name](inputs)
            show(figure, CAPTIONS[name](inputs))
        except MissingInput as error:
            self.tell_missing(name, error)

    def tell_of(self, name: str, make: Callable[[], str]) -> None:
        """Shows a text made from results, or which command makes them; names as in `lwcnn.publication.notebook.captions`."""
        try:
            tell(make())
        except MissingInput as error:
            self.tell_missing(name, error)

    def tell_missing(self, name: str, error: MissingInput) -> None:
        """Says that something can't be shown, why, and which command makes what it needs."""
        reason = str(error).split(" Received: ")[0].rstrip(".")
        tell(f"*Not shown (`{name}`): {reason}. {command_for(name, self.data.name, self.trains_all)}*")

    def _run(self, experiment: str, seed: int, progress: Progress) -> dict:
        result = run_experiment(experiment, self.data, self.preset, seed, OWN_FOLDERS, progress, self.notice)
        if self.trains_all:
            release_best(self.data.name, experiment, OWN_FOLDERS, (self.preset,), (experiment,))
            result = read_json(OWN_FOLDERS.result(self.data.name, experiment, self.preset, seed))
        return result


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
