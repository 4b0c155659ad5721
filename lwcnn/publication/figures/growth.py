"""How the cost of training grows with images, image size, width and batch."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from lwcnn.publication.figures.inputs import Inputs
from lwcnn.publication.figures.style import BASELINE, BEST, new_panels, styled
from lwcnn.system.errors import LwcnnError

WIDE = 8  # from this ratio of its ends on the quantity's axis is logarithmic
LABELS = {
    "images": "training images",
    "size": "image height and width, pixels",
    "width": "width, times that of the network",
    "batch": "batch size",
}


@styled(4.0, 3.0)
def plot_growth(
    values: Sequence[float],
    seconds: Sequence[float],
    peak_bytes: Sequence[int],
    label: str,
    title: str | None = None,
    *,
    ax: Axes,
):
    """Draws seconds an epoch (left axis) and peak memory in MB (right axis) against one quantity.

    Args:
        values: of the quantity, rising.
        seconds: an epoch takes at each of them.
        peak_bytes: of the process at each of them.
        label: what the quantity is, with its unit.

    Raises:
        LwcnnError: sequences of unequal lengths, or empty ones.
    """
    if not len(values) or not len(values) == len(seconds) == len(peak_bytes):
        raise LwcnnError(
            "Give as many seconds and bytes as values, one or more. "
            f"Received: {len(values)} values, {len(seconds)} seconds, {len(peak_bytes)} bytes"
        )
    (time,) = ax.plot(values, seconds, "o-", color=BASELINE, markersize=4, label="seconds an epoch")
    if max(values) >= WIDE * min(values):
        ax.set_xscale("log", base=2)
        ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticks(values, [f"{value:,}" for value in values])
    ax.set_ylim(0, 1.15 * max(seconds))
    ax.set_xlabel(label)
    ax.set_ylabel("seconds an epoch")
    right = ax.twinx()
    (memory,) = right.plot(
        values, [b / 1e6 for b in peak_bytes], "s--", color=BEST, markersize=4, label="peak memory, MB"
    )
    right.set_ylim(0, 1.3 * max(peak_bytes) / 1e6)
    right.set_ylabel("peak memory, MB")
    right.grid(visible=False)
    ax.legend(handles=[time, memory], loc="lower right")
    ax.set_title(title or "")


def training_cost(inputs: Inputs) -> Figure:
    """Seconds an epoch and peak memory of the improved network's training."""
    found = inputs.evidence.benchmark("growth")
    varied = [name for name in LABELS if any(row["varied"] == name for row in found["rows"])]
    figure, axes = new_panels(8.6, 6.0, 2, -(-len(varied) // 2))
    for name, ax in zip(varied, axes):
        rows = [row for row in found["rows"] if row["varied"] == name]
        columns = ([row[key] for row in rows] for key in (name, "seconds", "peak_bytes"))
        plot_growth(*columns, LABELS[name], ax=ax)
    for ax in axes[len(varied) :]:
        ax.set_visible(False)
    threads = f"{found['threads']} thread" + ("s" if found["threads"] > 1 else "")
    figure.suptitle(f"Training cost of residual_se, random images\n{found['device']}, {threads}")
    return figure
