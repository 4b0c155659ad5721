"""Writes the tables of benchmarks/README.md between its marks, from the files in results/ that the benchmarks write.

Run `python benchmarks/tables.py` after any of them.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import deployment  # noqa: E402
import growth  # noqa: E402
import shrink  # noqa: E402
import train_step  # noqa: E402

from lwcnn.export.bench.report import bench_table  # noqa: E402
from lwcnn.publication.tables.tables import write_between  # noqa: E402
from lwcnn.system.files import read_json  # noqa: E402

RESULTS = ROOT / "results"
IN_OTHER_TABLES = ("bytes", "gzip", "MACs", "params")
TABLES = {
    "train_step": lambda: train_step.table(read_json(RESULTS / "train_step.json")["rows"]),
    "growth": lambda: growth.table(read_json(RESULTS / "growth.json")["rows"]),
    "shrink": lambda: shrink.table(read_json(RESULTS / "shrink.json")["rows"]),
    "int8": lambda: deployment.table(["litert-int8"]),
    "bench": lambda: bench_table(read_json(RESULTS / "bench.json"), IN_OTHER_TABLES),
}


def marks(name: str) -> tuple[str, str]:
    """Between which lines a table stands."""
    return f"<!-- {name}: made by `python benchmarks/tables.py` -->", f"<!-- end of {name} -->"


def main() -> None:
    for name, table in TABLES.items():
        write_between(ROOT / "benchmarks" / "README.md", *marks(name), table())


if __name__ == "__main__":
    main()
