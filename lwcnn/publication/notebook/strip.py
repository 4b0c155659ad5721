"""Strips the executed notebook before a commit: small outputs, no logs and no paths.

python -m lwcnn.publication.notebook.strip runs/lightweight_cnn_cifar10.ipynb lightweight_cnn_cifar10.ipynb
python -m lwcnn.publication.notebook.strip --check lightweight_cnn_cifar10.ipynb
"""

import re
import sys
from pathlib import Path

import nbformat

from lwcnn.system.errors import LwcnnError, wrong
from lwcnn.system.files import write_atomically

MAX_BYTES = 2_000_000
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_PLACE = re.compile(r"(?<![\w.:/])(?:~|/(?:home|root|tmp|var|usr|opt|work|mnt|Users)|[A-Z]:\\)[/\\\w.-]*")


def strip(text: str) -> str:
    """Returns the text of a notebook file without the parts that differ from run to run.

    Removes logs with their times, execution metadata, injected parameters, and the plain text of figures and tables;
    keeps figures, tables and values.
    """
    notebook = nbformat.reads(text, as_version=4)
    notebook.metadata = nbformat.from_dict(_METADATA)
    notebook.cells = [cell for cell in notebook.cells if "injected-parameters" not in cell.metadata.get("tags", ())]
    for cell in notebook.cells:
        cell.metadata = {"tags": ["parameters"]} if "parameters" in cell.metadata.get("tags", ()) else {}
        if cell.cell_type != "code":
            continue
        cell.execution_count = None
        cell.outputs = [output for output in cell.outputs if output.output_type != "stream"]
        for output in cell.outputs:
            if output.output_type == "error":
                raise wrong("Execute it again: a cell failed", f"cell {cell.id!r}, {output.ename}")
            if "execution_count" in output:
                output.execution_count = None
            if len(output.data) > 1:
                output.data.pop("text/plain", None)
            _require_no_place(cell.id, output)
    stripped = nbformat.writes(notebook, version=4) + "\n"
    if len(stripped) > MAX_BYTES:
        raise wrong(f"Show less: at most {MAX_BYTES:,} bytes are committed", f"{len(stripped):,} bytes")
    return stripped


def _require_no_place(cell: str, output) -> None:
    for kind, value in output.data.items():
        if kind.startswith("text/") and (found := _PLACE.search(value)):
            raise wrong("Show no paths of this machine", f"{found.group()!r} in cell {cell!r}")


def main(arguments: list[str]) -> int:
    """Writes the stripped notebook, or with --check only checks that it is stripped. Returns the exit code."""
    source, *target = map(Path, [argument for argument in arguments if argument != "--check"])
    text = source.read_text(encoding="utf-8")
    try:
        stripped = strip(text)
        if "--check" in arguments and text != stripped:
            command = f"python -m lwcnn.publication.notebook.strip {source}"
            raise wrong(f"Strip it: {command}", "logs or metadata")
    except LwcnnError as error:
        print(f"{source}: {error}", file=sys.stderr)
        return 1
    if "--check" not in arguments:
        write_atomically((target or [source])[0], stripped.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
