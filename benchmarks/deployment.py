"""Exports every released model and prints the table of what that cost, from results/export/.

Run `python benchmarks/deployment.py` from the checkout; `--formats` chooses among litert, litert-int8 and onnx,
`--models` among the models, `--table` only prints. The files go to a temporary folder, their reports to
results/export/<model>-<format>.json.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lwcnn.data.datasets import load_dataset
from lwcnn.export.run import FORMATS, export_model
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.tables.benchmarks import int8
from lwcnn.system.errors import LwcnnError

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / "results" / "export"


def export_all(formats: list[str], names: list[str]) -> int:
    """Exports every released model, or those named; returns how many exports were refused."""
    refused = 0
    REPORTS.mkdir(parents=True, exist_ok=True)
    data = None
    for path in sorted((ROOT / "models").glob("*.keras")):  # by data set, so that each is loaded once
        if names and path.stem not in names:
            continue
        name = path.name.split("-")[0]
        if data is None or data.name != name:
            data = load_dataset(name)
        for format_name in formats:
            with tempfile.TemporaryDirectory() as folder:
                output = Path(folder) / f"{path.stem}-{format_name}{FORMATS[format_name].extension}"
                try:
                    export_model(path, format_name, data, output)
                    shutil.copy(output.with_suffix(".json"), REPORTS)
                except LwcnnError as error:
                    refused += 1
                    print(f"{path.stem} {format_name}: {error}", file=sys.stderr)
    return refused


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--formats", nargs="+", choices=("litert-int8", "litert", "onnx"), default=["litert-int8"])
    parser.add_argument("--models", nargs="+", default=[], metavar="NAME", help="such as cifar10-paper; else all")
    parser.add_argument("--table", action="store_true", help="only print what is there, of int8")
    options = parser.parse_args()
    refused = 0 if options.table else export_all(options.formats, options.models)
    print(int8(Evidence(REPORTS.parent)).markdown())
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
