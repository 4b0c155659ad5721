"""Every figure by name, and drawing them into files."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from lwcnn.experiments.folders import Folders
from lwcnn.experiments.results import load_results
from lwcnn.publication.figures import from_costs, from_models, from_outputs, from_results
from lwcnn.publication.figures.from_models import HeatMapChoice
from lwcnn.publication.figures.inputs import Inputs, MissingInput
from lwcnn.publication.figures.style import STYLE, save_figure
from lwcnn.system.errors import LwcnnError, unknown_name

FIGURES: dict[str, Callable[[Inputs], Figure]] = {
    function.__name__: function
    for function in (
        from_models.method,
        from_costs.frontier,
        from_results.accuracies,
        from_costs.parameters,
        from_costs.costs,
        from_results.ablation,
        from_results.parts,
        from_results.techniques,
        from_results.robustness,
        from_results.folds,
        from_results.training_curves,
        from_results.training_curves_best,
        from_results.confusion,
        from_results.per_class_accuracy,
        from_outputs.right_and_wrong,
        from_outputs.confused_pairs,
        from_outputs.roc,
        from_outputs.reliability,
        from_outputs.tsne,
        from_models.gradcam,
        from_models.parameters_by_layer,
        from_models.architecture_paper,
        from_models.architecture_wren,
        from_models.architecture_others,
    )
}

ONLY_CIFAR10 = (
    *("method", "frontier", "techniques", "robustness"),
    *("architecture_paper", "architecture_wren", "architecture_others"),
)
"""Figures that belong to one data set; of another they are drawn only if they are named."""

PRINTED = ("method", "frontier", "parts", "costs", "reliability", "right_and_wrong")
"""Figures of CIFAR-10 that the report prints: they are written as PDF too."""


@dataclass(frozen=True)
class Drawn:
    """What became of a figure.

    Attributes:
        dataset: Name of the data set.
        name: Name of the figure.
        paths: Its files; empty if it was skipped.
        reason: Why it was skipped; None if it was drawn.
    """

    dataset: str
    name: str
    paths: tuple[Path, ...] = ()
    reason: str | None = None


def draw_figures(
    folders: Folders = Folders(),
    output: Path = Path("visualizations"),
    datasets: Sequence[str] = (),
    names: Sequence[str] = (),
    choice: HeatMapChoice = HeatMapChoice(),
    report: Callable[[Drawn], None] = lambda drawn: None,
) -> list[Drawn]:
    """Draws figures into `<output>/<dataset>/<name>.png`; nothing is trained.

    What lacks its input is skipped, and its files, if there are any, stay as they are.

    Args:
        folders: Folders of results, released models and data sets.
        output: Folder to write to.
        datasets: Names of data sets; by default all with results.
        names: Names of `FIGURES`; by default all.
        choice: What the heat maps are of.
        report: Called after each figure.

    Returns:
        What became of each figure.

    Raises:
        LwcnnError: A figure is unknown, a data set has no results, or a file can't be written; after the others are
            drawn, if a figure fails.
    """
    for name in names:
        if name not in FIGURES:
            raise unknown_name("figure", name, FIGURES)
    with_results = _datasets(folders.results)
    for dataset in datasets:
        if dataset not in with_results:
            raise unknown_name("data set among the results", dataset, with_results)
    done: list[Drawn] = []
    failed: list[str] = []
    for dataset in datasets or with_results:
        inputs = Inputs(dataset, folders)
        for name in names or FIGURES:
            function: Callable[..., Figure] = FIGURES[name]
            if not names and name in ONLY_CIFAR10 and dataset != "cifar10":
                continue
            if name == "gradcam":
                function = functools.partial(function, choice=choice)
            try:
                with matplotlib.rc_context(STYLE):
                    figure = function(inputs)
            except Exception as error:  # whatever it is, the others are drawn
                reason = str(error) if isinstance(error, LwcnnError) else f"{type(error).__name__}: {error}"
                done.append(Drawn(dataset, name, reason=reason))
                if not isinstance(error, MissingInput):
                    failed.append(f"{dataset}/{name}: {reason}")
            else:
                paths = tuple(
                    save_figure(figure, Path(output) / dataset / name, dataset == "cifar10" and name in PRINTED)
                )
                done.append(Drawn(dataset, name, paths))
            report(done[-1])
    if failed:
        raise LwcnnError(f"Figures failed; the others are drawn. {'; '.join(failed)}")
    return done


def _datasets(results: Path) -> list[str]:
    found = load_results(results)["dataset"].unique()
    if not len(found):
        raise LwcnnError(f"There are no results to draw; `lwcnn train` makes some. Received: {results}")
    return list(found)
