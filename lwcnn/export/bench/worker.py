"""The process in which `lwcnn bench` measures, held to one thread before any library starts its own.

`python -m lwcnn.export.bench.worker` reads what to do as JSON from standard input and writes the result to a file.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lwcnn.system.environment import load_backend, thread_environment
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import read_json, write_json


def bench_in_one_thread(
    paths: Sequence[str], formats: Sequence[str], dataset: str | None, data_dir: str | None, settings: dict
) -> dict:
    """What `lwcnn.export.bench.run.bench_models` gives, from a new process of one thread.

    Args:
        paths, formats: as there.
        dataset: name or path; None for random images.
        data_dir: the data folder.
        settings: fields of `lwcnn.export.bench.run.Settings`.

    Raises:
        LwcnnError: as there.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        order = {"paths": list(map(str, paths)), "formats": list(formats), "dataset": dataset, "data_dir": data_dir}
        environment = os.environ | thread_environment(1)
        root = str(Path(__file__).resolve().parents[3])
        environment["PYTHONPATH"] = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        done = subprocess.run(
            [sys.executable, "-m", "lwcnn.export.bench.worker"],
            input=json.dumps({**order, "settings": settings, "result": str(result)}),
            env=environment,
            text=True,
        )
        if not result.exists():
            raise LwcnnError(f"The benchmark's process failed, as said above. Received: exit code {done.returncode}")
        found = read_json(result)
    if "error" in found:
        raise LwcnnError(found["error"])
    return found


def main() -> int:
    """Does what standard input says."""
    load_backend()
    from lwcnn.data import load_dataset
    from lwcnn.export.bench.run import Settings, bench_models

    order = json.load(sys.stdin)
    try:
        data = load_dataset(order["dataset"], order["data_dir"]) if order["dataset"] else None
        settings = Settings(**order["settings"])
        found = bench_models(order["paths"], order["formats"], data, settings, lambda line: print(line, flush=True))
    except LwcnnError as error:
        found = {"error": str(error)}
    except KeyboardInterrupt:  # the parent got it too and says so
        return 130
    write_json(order["result"], found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
