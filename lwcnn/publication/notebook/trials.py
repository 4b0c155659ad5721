"""The trials of the search for the improved model, as the notebook shows them."""

from pathlib import Path

from matplotlib.figure import Figure

from lwcnn.publication.figures import plot_ablation
from lwcnn.publication.figures.inputs import DISPLAY_NAMES, MissingInput
from lwcnn.system.files import read_json


def load_trials(results: Path, dataset: str) -> dict[str, dict]:
    """Each finished trial's result by name, of the number of epochs that most trials have, with `base` among them.

    Raises:
        MissingInput: no trials, or no base to compare them with.
    """
    folders = (Path(results) / "search" / dataset).glob("*epochs")
    largest = max(folders, key=lambda folder: (len(list(folder.glob("*.json"))), folder.name), default=None)
    found = [read_json(path) for path in sorted(largest.glob("*-seed0.json"))] if largest else []
    by_name = {one["trial"]: one for one in found}
    if "base" not in by_name or len(by_name) < 2:
        raise MissingInput(f"no trials of the search beside its base. Received: {dataset!r} in {results}")
    return by_name


def plot_trials(found: dict[str, dict]) -> Figure:
    """Each trial's validation accuracy minus the base's, in points."""
    base = found["base"]
    names = [name for name in found if name != "base"]
    differences = [[found[name]["val_accuracy"] - base["val_accuracy"]] for name in names]
    what = f"{DISPLAY_NAMES.get(base['dataset'], base['dataset'])}, {base['epochs']} epochs, seed 0"
    figure = plot_ablation(names, differences, f"Search on validation images: each trial minus the base\n{what}")
    figure.axes[0].set_xlabel("difference of validation accuracy, points")
    return figure
