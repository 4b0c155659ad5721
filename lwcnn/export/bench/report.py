"""Formats benchmark results as tables and merges them with earlier results."""

from collections.abc import Sequence
from pathlib import Path

from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import read_json

_TIMES = ("mean_ms", "p50_ms", "p90_ms", "p99_ms")
_HEAD = (
    "model", "format", "mean ms", "p50", "p90", "p99", "images/s", "batch", "peak MB", "bytes", "gzip", "MACs", "params"
)  # fmt: skip


def read_earlier(path: Path) -> dict:
    """Reads a file written by `lwcnn bench --json`; one with other content must not be overwritten."""
    found = read_json(path)
    try:
        _conditions(found)
        [model["model"] for model in found["models"]]
    except (LwcnnError, TypeError) as error:
        raise LwcnnError(
            f"Choose another file; this one was not written by `lwcnn bench` and is not overwritten. Received: {path}"
        ) from error
    return found


def join_earlier(found: dict, earlier: dict) -> dict:
    """Adds the models of an earlier result; they are dropped if the machine, versions, settings or images differ."""
    if _conditions(earlier) != _conditions(found):
        return found
    names = {model["model"] for model in found["models"]}
    return found | {"models": [model for model in earlier["models"] if model["model"] not in names] + found["models"]}


def _conditions(found: dict) -> tuple:
    machine = found["machine"]
    return machine["device"], machine["threads"], found["versions"], found["settings"], found["images"]


def bench_table(found: dict, without: Sequence[str] = ()) -> str:
    """Formats a result as an aligned Markdown table without some columns, with memory in MB of 1,000,000 bytes."""
    rows: list[tuple[str, ...]] = [_HEAD]
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
    rows = [tuple(row[i] for i in shown) for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(shown))]
    lines = [
        "| " + " | ".join(_pad(cell, width, i) for i, (cell, width) in enumerate(zip(row, widths))) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 1) + ("-" if i < 2 else ":") for i, width in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def bench_notes(found: dict) -> str:
    """Describes the measurement conditions of a result."""
    machine = found["machine"]
    lines = [
        f"{machine['device']}, {machine['threads']} thread(s), medians of {found['settings']['rounds']} interleaved "
        f"rounds; images: {found['images']}.",
        f"Peak memory: {found['peak_memory']}.",
    ]
    loads = [machine["load_average_before"], machine["load_average_after"]]
    if None not in loads:
        lines.append(
            f"Load average before and after: {loads[0]} and {loads[1]}; times are too long if it exceeds the number of "
            "cores."
        )
    return "\n".join(lines)


def _pad(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column < 2 else cell.rjust(width)
