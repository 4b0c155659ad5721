"""Formats benchmark results as tables and merges them with earlier results."""

from collections.abc import Sequence
from pathlib import Path

from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import read_json

_TIMES = ("mean_ms", "p50_ms", "p90_ms", "p99_ms")
_HEAD = (
    "model", "format", "mean ms", "p50", "p90", "p99", "images/s", "batch", "peak MB", "bytes", "gzip", "MACs", "params"
)  # fmt: skip


def join_earlier(found: dict, earlier: dict) -> dict:
    """Adds the models of an earlier result; they are dropped if the machine, versions, settings or images differ."""
    if _conditions(earlier) != _conditions(found):
        return found
    names = {model["model"] for model in found["models"]}
    return found | {"models": [model for model in earlier["models"] if model["model"] not in names] + found["models"]}


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


def _conditions(found: dict) -> tuple:
    machine = found["machine"]
    return machine["device"], machine["threads"], found["versions"], found["settings"], found["images"]


def bench_table(found: dict, without: Sequence[str] = ()) -> str:
    """Formats a result as an aligned Markdown table without some columns, with memory in MB of 1,000,000 bytes."""
    cells = [
        (
            model["model"].removesuffix(".keras"),
            row["name"],
            *(f"{row['batch1'][name]:.3f}" for name in _TIMES),
            f"{row['images_per_second']:,.0f}",
            str(row["best_batch_size"]),
            f"{row['peak_memory_bytes'] / 1e6:.0f}" if row.get("peak_memory_bytes") else "",
            f"{row['size_bytes']:,}",
            f"{row['gzip_bytes']:,}",
            f"{model['macs']:,}",
            f"{model['parameters']:,}",
        )
        for model in found["models"]
        for row in model["rows"]
    ]
    columns = [column for column in zip(_HEAD, *cells) if column[0] not in without]
    padded = []
    for i, column in enumerate(columns):
        width, is_text = max(map(len, column)), i < 2
        head, *rest = (cell.ljust(width) if is_text else cell.rjust(width) for cell in column)
        padded.append([f" {head} ", "-" * (width + 1) + ("-" if is_text else ":"), *(f" {cell} " for cell in rest)])
    return "\n".join(f"|{'|'.join(row)}|" for row in zip(*padded))


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
