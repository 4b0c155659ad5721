"""The session of the notebook: its data, the runs that it trains, and the committed results that it shows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import keras
import numpy as np
from matplotlib.figure import Figure

import lwcnn
from lwcnn.data.datasets import Dataset, choose_dataset, load_dataset
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.identity import Run
from lwcnn.experiments.pipeline import train_submodels
from lwcnn.experiments.recipes import MergedExperiment, get_experiment, get_preset
from lwcnn.experiments.release import release_best
from lwcnn.experiments.results import MissingInput, load_results
from lwcnn.experiments.run import run_experiment
from lwcnn.publication.evidence import BASELINE_EXPERIMENT
from lwcnn.publication.figures.catalogue import FIGURES, PRINTED, draw
from lwcnn.publication.figures.inputs import Inputs
from lwcnn.publication.figures.style import save_figure, to_png
from lwcnn.publication.measurement import what_is_missing
from lwcnn.publication.names import list_seeds
from lwcnn.system.errors import wrong
from lwcnn.system.files import read_json
from lwcnn.training.progress import Progress

OWN_FOLDERS = Folders()  # runs/, where what is trained here goes

OWN_PLOTS = Path("runs/visualizations")
PUBLISHED_DATASET = "cifar10"  # its committed results are shown for data without any
DPI = 105  # of pictures in the notebook
PUBLISHED_FIGURES = ("ablation", "folds", "parts")


@dataclass(frozen=True)
class Session:
    """A session of the notebook: its dataset, the preset and seeds of its runs, and the results that it shows.

    The session trains the paper's method. Other results come from `folders`: the committed ones or, if there are none
    for the data, `OWN_FOLDERS`; the session then trains Wren, too. `notice` says why the dataset is not the one asked
    for.
    """

    data: Dataset
    preset: str
    seeds: tuple[int, ...]
    folders: Folders
    plots: Path = OWN_PLOTS
    notice: str | None = None

    @property
    def trains_all(self) -> bool:
        return self.folders == OWN_FOLDERS

    def _repr_markdown_(self) -> str:
        """The dataset and runs of the session, shown if it is a cell's last value."""
        data = self.data
        trained = "`paper` and Wren" if self.trains_all else "`paper`"
        text = (
            f"**{self.inputs.display_name}** from {data.source}: {len(data.x_train):,} training and "
            f"{len(data.x_test):,} test images of {' x '.join(map(str, data.input_shape))}, {data.num_classes} "
            f"classes. Trained here: {trained}, preset `{self.preset}`, {list_seeds(self.seeds)}."
        )
        return f"> ## {self.notice}\n\n{text}" if self.notice else text

    @property
    def inputs(self) -> Inputs:
        """The current inputs of figures; from `OWN_FOLDERS`, only the runs with the session's preset."""
        return Inputs(self.data.name, self.folders, self.preset if self.trains_all else None)

    @property
    def published(self) -> Inputs:
        """The committed results on this dataset or else on CIFAR-10; the session's results if there are none."""
        committed = committed_folders()
        return Inputs(PUBLISHED_DATASET, committed) if self.trains_all and committed else self.inputs

    def submodels(self) -> tuple[list[keras.Model], dict]:
        """The two submodels after stage 1, and the record of that stage."""
        plan = cast(MergedExperiment, get_experiment(BASELINE_EXPERIMENT, self.preset, self.data.spec))
        sequence = Run(plan, self.data, self.preset, self.seeds[0], OWN_FOLDERS, Progress("line")).begin()
        return train_submodels(plan, sequence), sequence.records[0]

    def runs(self) -> list[dict]:
        """The results of the paper's method, one per seed, trained now if they do not exist."""
        return [self._run(BASELINE_EXPERIMENT, seed) for seed in self.seeds]

    def train(self, experiment: str) -> None:
        """Trains an experiment if there are no committed results for the data."""
        if self.trains_all:
            for seed in self.seeds:
                self._run(experiment, seed)

    def few_images(self, num_classes: int, num_train: int, num_test: int) -> Dataset:
        """A dataset like a user's own, made from the first classes and images of this one."""
        data, parts = self.data, []
        for x, y, count in ((data.x_train, data.y_train, num_train), (data.x_test, data.y_test, num_test)):
            chosen = np.flatnonzero(y < num_classes)[:count]
            parts.append((x[chosen], y[chosen]))
        few = load_dataset(tuple(parts), mirror=data.mirror)
        return replace(few, class_names=data.class_names[:num_classes])

    def show(self, name: str, figure: Figure | None = None, alt: str = "") -> None:
        """Shows a figure and writes its files, or says what it lacks; by default, draws it from the catalog.

        Figures that compare many experiments are drawn from the published results.
        """
        if figure is None:
            try:
                figure = draw(name, self.published if name in PUBLISHED_FIGURES else self.inputs)
            except MissingInput as error:
                from IPython.display import Markdown, display  # here, so that the package can be used without it

                display(Markdown(f"*Not shown: {what_is_missing(error)}.*"))
                return
            alt = (FIGURES[name].__doc__ or name).split("\n")[0]
        save_figure(figure, self.plots / self.data.name / name, with_pdf=name in PRINTED)
        show(figure, alt)

    def _run(self, experiment: str, seed: int) -> dict:
        progress = Progress("line")
        result = run_experiment(experiment, self.data, self.preset, seed, OWN_FOLDERS, progress, self.notice)
        if self.trains_all:
            release_best(self.data, experiment, OWN_FOLDERS, (self.preset,))
            result = read_json(OWN_FOLDERS.result(self.data.name, experiment, self.preset, seed))
        return result


def open_session(
    dataset: str = "cifar10", preset: str = "quick", seeds: Sequence[int] = (0,), plots: str | Path = OWN_PLOTS
) -> Session:
    """Opens a session: loads the dataset and finds the committed results for it.

    Args:
        dataset: Name of a dataset, or path of a folder or an .npz file. If "cifar10" is not available,
            scikit-learn's digits and the preset `quick` are used, and a notice says so.
        preset: Preset of the runs of this session: `paper`, and Wren if there are no committed results for the data.
        seeds: One or more integers from 0. Seeds of these runs.
        plots: Folder for the figure files; "visualizations" replaces the committed ones.

    Returns:
        A session, which trains networks, finds results and shows figures.

    Raises:
        LwcnnError: A name is unknown, the data cannot be read, or a seed is invalid or missing.

    Examples:
        >>> session = open_session("mnist", preset="smoke")  # doctest: +SKIP
    """
    get_preset(preset)  # a wrong name before the data is read
    seeds = tuple(seeds)
    if not seeds or not all(isinstance(seed, int) and seed >= 0 for seed in seeds):
        raise wrong("Give one or more seeds, as integers of 0 or more", list(seeds))
    data, notice = choose_dataset() if dataset == "cifar10" else (load_dataset(dataset), None)
    folders = committed_folders()
    if folders is None or data.checksum not in set(load_results(folders.results)["data_checksum"]):
        return Session(data, "quick" if notice else preset, seeds, OWN_FOLDERS, Path(plots), notice)
    return Session(data, preset, seeds, folders, Path(plots))


def committed_folders() -> Folders | None:
    """Returns the folders of the checkout's results and models; None without any."""
    results = Path(lwcnn.__file__).resolve().parents[1] / "results"
    return None if not results.is_dir() else Folders(results, OWN_FOLDERS.cache, models=results.parent / "models")


def show(figure: Figure, alt: str) -> None:
    """Displays a figure, with `alt` and its titles as alternative text."""
    from IPython.display import Image, display

    titles = [figure.get_suptitle(), *(ax.get_title() for ax in figure.axes)]
    texts = [alt, *(f"{' '.join(title.split()).rstrip('.')}." for title in titles if title)]
    display(Image(to_png(figure, DPI), alt=" ".join(texts)))
