"""Process in which `lwcnn bench` measures, limited to one thread before any library is imported.

`python -m lwcnn.export.bench.worker` reads a job as JSON from standard input and writes the result to a file.
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
    """Runs `bench_models` in a new process with one thread; `settings` are the fields of its `Settings`."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        job = {"paths": list(map(str, paths)), "formats": list(formats), "dataset": dataset, "data_dir": data_dir}
        environment = os.environ | thread_environment(1)
        root = str(Path(__file__).resolve().parents[3])
        environment["PYTHONPATH"] = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        done = subprocess.run(
            [sys.executable, "-m", "lwcnn.export.bench.worker"],
            input=json.dumps({**job, "settings": settings, "result": str(result)}),
            env=environment,
            text=True,
        )
        if not result.exists():
            raise LwcnnError(f"See the error of the benchmark process above. Received: exit code {done.returncode}")
        found = read_json(result)
    if "error" in found:
        raise LwcnnError(found["error"])
    return found


def main() -> int:
    """Runs the job given on standard input."""
    load_backend()
    from lwcnn.data.datasets import load_dataset
    from lwcnn.experiments.zoo import load_dataset_for
    from lwcnn.export.bench.run import Settings, bench_models

    job = json.load(sys.stdin)
    try:
        data, first = None, job["paths"][0]
        if job["dataset"] and Path(first).is_file():
            data = load_dataset_for(first, job["dataset"], job["data_dir"])
        elif job["dataset"]:
            data = load_dataset(job["dataset"], job["data_dir"])
        settings = Settings(**job["settings"])
        found = bench_models(job["paths"], job["formats"], data, settings, lambda line: print(line, flush=True))
    except LwcnnError as error:
        found = {"error": str(error)}
    except KeyboardInterrupt:  # the parent process reports it
        return 130
    write_json(job["result"], found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
