"""Training curves, and the accuracy of the folds of a K-fold cross-validation."""

import itertools
from collections.abc import Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from lwcnn.publication.figures.style import BASELINE, BEST, BLACK, COLORS, GREEN, MARKERS, legend_below, styled
from lwcnn.system.errors import LwcnnError

QUANTITIES = {"accuracy": "accuracy, %", "loss": "loss, nats"}
BRANCH_COLORS = (BASELINE, BEST, GREEN)
WHOLE = "whole model"
DASHES = {"training": (3, 1.5), "validation": ""}
_PHASE_NAMES = {"dual": "stage 1: both branches", "head": "stage 2: head", "all": "stage 2: all layers"}


@styled(6.5, 3.2)
def plot_training_curves(phases: Sequence[dict], quantity: str = "accuracy", title: str | None = None, *, ax: Axes):
    """Draws accuracy or loss by epoch, phase after phase; in stage 1 of each branch.

    Training values (dashed) are means over an epoch, with dropout, augmentation and changing weights. Validation
    values (solid) are of un-augmented images after the epoch; results of earlier versions hold no validation loss.

    Args:
        phases: `history` of a result: for each phase its `name`, and in `history` a dictionary per epoch.
        quantity: "accuracy" or "loss".

    Raises:
        LwcnnError: The quantity is unknown, or a phase has no epochs.
    """
    if quantity not in QUANTITIES:
        raise LwcnnError(f"quantity must be one of {', '.join(QUANTITIES)}. Received: {quantity!r}")
    if not phases or not all(phase["history"] for phase in phases):
        raise LwcnnError(f"Give phases of one epoch or more. Received: {[len(p['history']) for p in phases]} epochs")
    values = _values(phases, quantity)
    parts = list(values["part"].unique())
    colors = dict(zip([part for part in parts if part != WHOLE], BRANCH_COLORS)) | {WHOLE: BLACK}
    sns.lineplot(
        values, x="epoch", y="value", hue="part", style="images", units="phase", estimator=None,
        palette={part: colors[part] for part in parts}, dashes=DASHES, ax=ax,
    )  # fmt: skip
    first = 1
    for i, phase in enumerate(phases):
        last = first + len(phase["history"]) - 1
        if i % 2:
            ax.axvspan(first - 0.5, last + 0.5, color="#F2F2F2", zorder=0, linewidth=0)
        name = _PHASE_NAMES.get(phase["name"], phase["name"])
        text = "" if len(phases) == 1 else name.replace(": ", "\n")
        where = ((first + last) / 2, 1.01)
        ax.annotate(text, where, xycoords=ax.get_xaxis_transform(), ha="center", va="bottom", fontsize=6.5)
        first = last + 1
    ax.set_xlim(0.5, first - 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    ax.set_ylabel(QUANTITIES[quantity])
    ax.set_title(title or "", pad=22 if len(phases) > 1 else None)
    sns.move_legend(ax, "center left", bbox_to_anchor=(1.01, 0.5), title=None)


def _values(phases: Sequence[dict], quantity: str) -> pd.DataFrame:
    """Returns a row per value: epoch, phase, part of the model, kind of images and value."""
    scale, rows, epoch = (100 if quantity == "accuracy" else 1), [], 0
    for i, phase in enumerate(phases):
        for record in phase["history"]:
            epoch += 1
            for key, value in record.items():
                part, _, measured = key.rpartition("_logits_")
                if measured not in (quantity, f"val_{quantity}"):
                    continue
                if not part and any(name.endswith(f"_logits_{quantity}") for name in record):
                    continue  # sums and means over branches
                images = "validation" if measured.startswith("val_") else "training"
                rows.append((epoch, i, f"{part} branch" if part else WHOLE, images, scale * value))
    return pd.DataFrame(rows, columns=["epoch", "phase", "part", "images", "value"])


@styled(5.6, 3.0)
def plot_folds(folds: pd.DataFrame, test_accuracy: float | None = None, title: str | None = None, *, ax: Axes):
    """Draws the accuracy of each fold, a line per procedure.

    Args:
        folds: Columns `fold` (from 0), `accuracy` (0 to 1) and `procedure`.
        test_accuracy: Test accuracy of the model that is never reset; None draws no line.
    """
    shown = folds.assign(fold=folds["fold"] + 1, accuracy=100 * folds["accuracy"])
    names = shown["procedure"].unique()
    colors, markers = dict(zip(names, (BASELINE, BEST))), dict(zip(names, MARKERS))
    sns.lineplot(
        shown, x="fold", y="accuracy", hue="procedure", style="procedure", palette=colors, markers=markers,
        dashes=False, ax=ax,
    )  # fmt: skip
    if test_accuracy is not None:
        label = "its final model on the test images"
        ax.axhline(100 * test_accuracy, color=BEST, linewidth=0.9, linestyle=(0, (4, 2)), label=label)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="fold", ylabel="accuracy on the fold, %", title=title or "")
    legend_below(ax, ncols=2)


@styled(5.6, 3.0)
def plot_fold_curves(histories: Sequence[Sequence[dict]], title: str | None = None, *, ax: Axes):
    """Draws the validation accuracy of each fold's training by epoch, with a dot where a phase ends.

    Args:
        histories: Phases of each fold, as in `plot_training_curves`.
    """
    for i, phases in enumerate(histories):
        values = [100 * record["val_accuracy"] for phase in phases for record in phase["history"]]
        ends = [last - 1 for last in itertools.accumulate(len(phase["history"]) for phase in phases)]
        color = COLORS[i % len(COLORS)]
        ax.plot(
            range(1, len(values) + 1), values, "-o", color=color, markevery=ends, markersize=4, label=f"fold {i + 1}"
        )
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="epoch (dot: a phase ends)", ylabel="validation accuracy, %", title=title or "")
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
