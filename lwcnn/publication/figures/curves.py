"""Training curves: both stages on one axis of epochs, their phases marked."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from lwcnn.publication.figures.style import BASELINE, BEST, BLACK, GREEN, styled
from lwcnn.system.errors import LwcnnError

QUANTITIES = {"accuracy": "accuracy, %", "loss": "loss, nats"}
BRANCH_COLORS = (BASELINE, BEST, GREEN)


@styled(6.5, 3.2)
def plot_training_curves(phases: Sequence[dict], quantity: str = "accuracy", title: str | None = None, *, ax: Axes):
    """Draws accuracy or loss by epoch, phase after phase; of stage 1 each branch apart.

    Training values (dashed) are means over an epoch, with dropout, augmentation and changing weights; validation
    values (solid; accuracy only, as no run measures the validation loss) are of un-augmented images after the epoch.

    Args:
        phases: a result's `history`: for each phase its `name`, and in `history` a dictionary an epoch.
        quantity: "accuracy" or "loss".

    Returns:
        The figure.

    Raises:
        LwcnnError: another quantity, or phases without epochs.
    """
    if quantity not in QUANTITIES:
        raise LwcnnError(f"quantity must be one of {', '.join(QUANTITIES)}. Received: {quantity!r}")
    if not phases or not all(phase["history"] for phase in phases):
        raise LwcnnError(f"Give phases of one epoch or more. Received: {[len(p['history']) for p in phases]} epochs")
    scale, first, named = (100 if quantity == "accuracy" else 1), 1, set()
    for i, phase in enumerate(phases):
        epochs = range(first, first + len(phase["history"]))
        for label, key, color, dashed in _lines(phase["history"][0], quantity):
            values = [scale * epoch[key] for epoch in phase["history"]]
            ax.plot(
                epochs,
                values,
                color=color,
                linestyle=(0, (3, 1.5)) if dashed else "solid",
                linewidth=1 if dashed else 1.4,
                marker="o" if len(values) == 1 else None,
                markersize=3,
                label=None if label in named else label,
            )
            named.add(label)
        if i % 2:
            ax.axvspan(first - 0.5, epochs[-1] + 0.5, color="#F2F2F2", zorder=0, linewidth=0)
        if i:
            ax.axvline(first - 0.5, color="#555555", linewidth=0.7)
        _name_phase(ax, phase, i, len(phases), (first + epochs[-1]) / 2)
        first = epochs[-1] + 1
    ax.set_xlim(0.5, first - 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    ax.set_xlabel("epoch")
    ax.set_ylabel(QUANTITIES[quantity])
    ax.set_title(title or "", pad=20 if title else None)
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))


def _name_phase(ax: Axes, phase: dict, i: int, count: int, middle: float) -> None:
    """The phase's name above its epochs; stage 1 is the dual one, everything after it stage 2."""
    stage = "" if count == 1 else "stage 1: " if phase["name"] == "dual" else "stage 2: "
    narrow = stage == "stage 2: " and len(phase["history"]) < 12
    text = f"{stage.strip()}\n{phase['name']}" if narrow else f"{stage}{phase['name']}"
    ax.annotate(
        text,
        (middle, 1),
        xycoords=ax.get_xaxis_transform(),
        xytext=(0, 2),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=6.5,
        linespacing=0.95,
    )


def _lines(epoch: dict, quantity: str) -> list[tuple[str, str, str, bool]]:
    """(label, key, color, dashed) of every line that an epoch's record has values for."""
    ending = f"_logits_{quantity}"
    branches = [key.removesuffix(ending) for key in epoch if key.endswith(ending) and "_val_" not in key]
    found = []
    for branch, color in zip(branches, BRANCH_COLORS):
        found.append((f"branch {branch}, training", f"{branch}{ending}", color, True))
        found.append((f"branch {branch}, validation", f"{branch}_logits_val_{quantity}", color, False))
    if not branches:
        found.append(("whole model, training", quantity, BLACK, True))
        found.append(("whole model, validation", f"val_{quantity}", BLACK, False))
    return [line for line in found if line[1] in epoch]
