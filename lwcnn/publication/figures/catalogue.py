"""Every figure by name, and drawing them into files."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from lwcnn.data import INPUT_SHAPES
from lwcnn.experiments.results import load_results
from lwcnn.experiments.run import Folders
from lwcnn.publication.figures import from_models, from_outputs, from_results, growth
from lwcnn.publication.figures.from_models import HeatMapChoice
from lwcnn.publication.figures.inputs import Inputs, MissingInput
from lwcnn.publication.figures.style import STYLE, save_figure
from lwcnn.system.errors import LwcnnError, unknown_name

FIGURES: dict[str, Callable[[Inputs], Figure]] = {
    function.__name__: function
    for function in (
        from_results.training_curves,
        from_results.training_curves_best,
        from_results.confusion,
        from_results.accuracy_bars,
        from_results.per_class_accuracy,
        from_results.ablation,
        from_results.parts,
        from_results.parameters,
        from_results.frontier,
        from_results.training_time,
        from_results.macs,
        from_results.int8_bytes,
        from_results.latency,
        from_outputs.roc,
        from_outputs.reliability,
        from_outputs.tsne,
        from_outputs.confused_pairs,
        from_outputs.confident_errors,
        growth.training_cost,
        from_models.parameters_by_layer,
        from_models.gradcam,
        from_models.architecture_submodel,
        from_models.architecture_dual,
        from_models.architecture_merged,
        from_models.architecture_residual_se,
        from_models.architecture_residual_se_small,
        from_models.architecture_residual_se_distilled,
        from_models.architecture_residual_se_muon,
        from_models.architecture_repo_baseline,
        from_models.architecture_repo_residual_se,
        from_models.architecture_references,
    )
}

ONLY_WITH = dict.fromkeys(
    (
        "training_cost",
        "frontier",
        "architecture_residual_se_small",
        "architecture_residual_se_distilled",
        "architecture_residual_se_muon",
        "architecture_repo_baseline",
        "architecture_repo_residual_se",
        "architecture_references",
    ),
    "cifar10",
)
"""Figures of what belongs to one data set; of another they are drawn only if they are named."""


@dataclass(frozen=True)
class Drawn:
    """What became of a figure.

    Attributes:
        dataset, name: of the figure.
        paths: its files; none if it was skipped.
        reason: why it was skipped; None if it was drawn.
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
    """Draws figures into `<output>/<dataset>/<name>.png` and `.pdf`; nothing is trained.

    What lacks its input is skipped, and its files, if there are any, stay as they are. Architectures are drawn once for
    all data sets of one image shape, in the folder of the first.

    Args:
        folders: where results, released models and data sets are.
        output: the folder to write to.
        datasets: names of data sets; none takes all with results.
        names: of `FIGURES`; none takes all.
        choice: what the heat maps are of.
        report: is called after each figure.

    Returns:
        What became of each figure.

    Raises:
        LwcnnError: An unknown figure, no results of a data set, or a file that cannot be written. If a figure fails,
            such as for an unknown class or a broken file, after the others are drawn.
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
            if not names and (_has_twin(dataset, name, done) or ONLY_WITH.get(name, dataset) != dataset):
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
                paths = tuple(save_figure(figure, Path(output) / dataset / name))
                done.append(Drawn(dataset, name, paths))
            report(done[-1])
    if failed:
        raise LwcnnError(f"Figures failed; the others are drawn. {'; '.join(failed)}")
    return done


def _has_twin(dataset: str, name: str, done: Sequence[Drawn]) -> bool:
    """Whether architectures were drawn for another data set of the same shape: they would be the same."""
    if not name.startswith("architecture"):
        return False
    others = {drawn.dataset for drawn in done if drawn.name.startswith("architecture")} - {dataset}
    shape = INPUT_SHAPES.get(dataset)
    return any(INPUT_SHAPES.get(other) == shape and shape is not None for other in others)


def _datasets(results: Path) -> list[str]:
    found = load_results(results)["dataset"].unique()
    if not len(found):
        raise LwcnnError(f"There are no results to draw; `lwcnn train` makes some. Received: {results}")
    return list(found)
