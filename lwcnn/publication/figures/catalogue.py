"""All figures by name, and the function that draws them into files."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from lwcnn.experiments.folders import Folders
from lwcnn.experiments.results import MissingInput, load_results
from lwcnn.publication.figures import curves, diagrams, grids, intervals, outputs, tradeoffs
from lwcnn.publication.figures.inputs import Inputs
from lwcnn.publication.figures.style import STYLE, save_figure
from lwcnn.system.errors import LwcnnError, require_known, unknown_name, wrong
from lwcnn.system.safe_text import path_part

_FUNCTIONS: tuple[Callable[[Inputs], Figure], ...] = (
    diagrams.method, tradeoffs.frontier, tradeoffs.costs,
    intervals.ablation, intervals.parts, intervals.techniques, curves.robustness, curves.folds,
    curves.training_curves, outputs.confusion, intervals.per_class_accuracy, grids.right_and_wrong,
    outputs.roc, outputs.reliability, outputs.tsne, grids.gradcam,
    diagrams.architecture_wren,
)  # fmt: skip
FIGURES = {function.__name__: function for function in _FUNCTIONS}

ONLY_CIFAR10 = ("method", "frontier", "ablation", "techniques", "robustness", "architecture_wren")
"""Figures for CIFAR-10; for other datasets, they are drawn only if they are named."""

PRINTED = ("method", "frontier", "parts", "techniques", "costs", "reliability", "confusion", "right_and_wrong")
"""Figures of CIFAR-10 that the report prints: they are written as PDF too."""


@matplotlib.rc_context(fname=STYLE)
def draw(name: str, inputs: Inputs) -> Figure:
    """Draws a figure by name; `MissingInput` says what it lacks."""
    return FIGURES[name](inputs)


def draw_figures(
    folders: Folders, output: Path, datasets: Sequence[str], names: Sequence[str]
) -> Iterator[tuple[str, list[Path], str]]:
    """Draws figures into `<output>/<dataset>/<name>.png`.

    By default, all figures are drawn, for every dataset with a released model. `datasets` are names among the results,
    or the folders or files that the images were read from. Yields each figure's dataset and name, its files, and the
    reason if it has none: a figure without its input is skipped, and older files stay. Figures that fail raise an error
    after the others are drawn.
    """
    for name in names:
        require_known("figure", name, FIGURES)
    runs = load_results(folders.results)
    with_results, with_models = (list(some["dataset"].unique()) for some in (runs, runs[runs["weights"].notna()]))
    if not with_results:
        found = f"--results {folders.results}"
        raise wrong("There are no results to draw; `lwcnn train` writes into runs/results by default", found)
    sources: dict[str, str | None] = {}
    for dataset in datasets:
        matching = [name for name in with_results if name == dataset or _was_read_from(name, dataset)]
        if not matching:
            raise unknown_name("dataset among the results", dataset, with_results)
        sources |= {name: None if name == dataset else dataset for name in matching}
    failed = []
    sources = sources or dict.fromkeys(with_models or with_results)
    for dataset, source in sources.items():
        inputs = Inputs(dataset, folders, source=source)
        for name in names or [name for name in FIGURES if dataset == "cifar10" or name not in ONLY_CIFAR10]:
            try:
                figure = draw(name, inputs)
            except Exception as error:  # whatever it is, the others are drawn
                reason = str(error) if isinstance(error, LwcnnError) else f"{type(error).__name__}: {error}"
                if not isinstance(error, MissingInput):
                    failed.append(f"{dataset}/{name}: {reason}")
                yield f"{dataset}/{name}", [], reason
            else:
                with_pdf = dataset == "cifar10" and name in PRINTED
                yield f"{dataset}/{name}", save_figure(figure, Path(output) / dataset / name, with_pdf), ""
    if failed:
        raise LwcnnError(f"Figures failed; the others are drawn. {'; '.join(failed)}")


def _was_read_from(name: str, source: str) -> bool:
    """Returns whether results have the name of the images in a folder or file."""
    path = Path(os.path.expanduser(source)).resolve()
    stem = path_part(path.name if path.is_dir() else path.stem)
    return path.exists() and re.fullmatch(re.escape(stem) + "(-[0-9a-f]{8}(-(no_)?mirror)?)?", name) is not None
