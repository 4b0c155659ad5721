"""The benchmark's result as a table for people, and beside earlier ones."""

from collections.abc import Sequence
from pathlib import Path

from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import read_json

_TIMES = ("mean_ms", "p50_ms", "p90_ms", "p99_ms")
_HEAD = ("model", "format", "mean ms", "p50", "p90", "p99", "images/s", "batch")
_HEAD += ("peak MB", "bytes", "gzip", "MACs", "params")


def read_earlier(path: Path) -> dict:
    """The measurements in a file of an earlier `lwcnn bench --json`.

    Raises:
        LwcnnError: The file holds anything else, which would be lost.
    """
    found = read_json(path)
    try:
        _conditions(found)
        [model["model"] for model in found["models"]]
    except (LwcnnError, TypeError) as error:
        raise LwcnnError(
            f"This file holds no measurements of `lwcnn bench` and is not replaced: choose another. Received: {path}"
        ) from error
    return found


def join_earlier(found: dict, earlier: dict) -> dict:
    """What `bench_models` gives, with the models of an earlier run that are not in it.

    They are left out if the machine, the versions, the settings or the images were others.
    """
    if _conditions(earlier) != _conditions(found):
        return found
    names = {model["model"] for model in found["models"]}
    return found | {"models": [model for model in earlier["models"] if model["model"] not in names] + found["models"]}


def _conditions(found: dict) -> tuple:
    machine = found["machine"]
    return machine["device"], machine["threads"], found["versions"], found["settings"], found["images"]


def bench_table(found: dict, without: Sequence[str] = ()) -> str:
    """A Markdown table of what `bench_models` gives, which is readable on a terminal too.

    MB are 1,000,000 bytes.

    Args:
        found: what it gives.
        without: columns to leave out.
    """
    rows = [_HEAD]
    for model in found["models"]:
        for row in model["rows"]:
            memory = row.get("peak_memory_bytes")
            rows.append(
                (
                    model["model"].removesuffix(".keras"),
                    row["name"],
                    *(f"{row['batch1'][name]:.3f}" for name in _TIMES),
                    f"{row['images_per_second']:,.0f}",
                    str(row["best_batch_size"]),
                    f"{memory / 1e6:.0f}" if memory else "",
                    f"{row['size_bytes']:,}",
                    f"{row['gzip_bytes']:,}",
                    f"{model['macs']:,}",
                    f"{model['parameters']:,}",
                )
            )
    shown = [i for i, name in enumerate(_HEAD) if name not in without]
    rows = [[row[i] for i in shown] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(shown))]
    lines = [
        "| " + " | ".join(_pad(cell, width, i) for i, (cell, width) in enumerate(zip(row, widths))) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 1) + ("-" if i < 2 else ":") for i, width in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def bench_notes(found: dict) -> str:
    """What the table's figures were taken on, and what to mind."""
    machine = found["machine"]
    lines = [
        f"{machine['device']}, {machine['threads']} thread(s), {found['settings']['rounds']} rounds in turn, medians; "
        f"images: {found['images']}.",
        f"Peak memory: {found['peak_memory']}.",
    ]
    loads = [machine["load_average_before"], machine["load_average_after"]]
    if None not in loads:
        lines.append(f"Load average before and after: {loads[0]} and {loads[1]}; above the cores, times are too long.")
    return "\n".join(lines)


def _pad(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column < 2 else cell.rjust(width)
