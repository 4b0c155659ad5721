"""Jobs on a Ray cluster.

Ray restarts a job whose worker or node dies; the run resumes from its last epoch. Results and checkpoints are in a
folder that all nodes share. A run's file lock keeps two nodes from training it.
"""

import argparse
import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from lwcnn.cli.execute import Job, Submit, run_job
from lwcnn.system import environment
from lwcnn.system.errors import LwcnnError, wrong

CONNECT_SECONDS = 10  # from the first packet on; a healthy cluster takes two
CHECK_SECONDS = 120
MAX_RETRIES = 20  # a run that kills its worker each time must not run forever
_PASSED_ON = (
    "KERAS_BACKEND", "LWCNN_STEP", "LWCNN_DATA_DIR", "TF_ENABLE_ONEDNN_OPTS", "XLA_PYTHON_CLIENT_PREALLOCATE",
)  # fmt: skip


@contextlib.contextmanager
def nodes(options: argparse.Namespace) -> Iterator[Submit]:
    """Yields a function that runs a job on the Ray cluster in the options. An exception in the block ends the jobs."""
    ray = _connect(options.cluster)
    references: list[Any] = []

    def submit(job: Job) -> Future[int]:
        references.append(remote(run_job).remote(job))
        return references[-1].future()

    try:
        passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        remote = ray.remote(
            num_cpus=options.cpus_per_run,
            num_gpus=options.gpus_per_run,
            max_calls=1,
            max_retries=MAX_RETRIES,
            runtime_env={"env_vars": environment.thread_environment(options.cpus_per_run) | passed_on},
        )
        _check_nodes(ray, remote(report), options)
        yield submit
    except BaseException:
        for reference in references:
            ray.cancel(reference, force=True)
        raise
    finally:
        ray.shutdown()


def _check_nodes(ray: Any, probe: Any, options: argparse.Namespace) -> None:
    """Checks that the nodes with enough CPUs and GPUs have what this machine has; `probe` is a remote `report`."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    cpus, gpus = options.cpus_per_run, options.gpus_per_run
    alive = [node for node in ray.nodes() if node["Alive"]]
    fit = [
        node for node in alive if node["Resources"].get("CPU", 0) >= cpus and node["Resources"].get("GPU", 0) >= gpus
    ]
    if not fit:
        found = [[node["Resources"].get(kind, 0) for kind in ("CPU", "GPU")] for node in alive]
        sizes = "; ".join(sorted({f"{a:g} CPUs and {b:g} GPUs" for a, b in found})) or "none"
        advice = "No node has enough CPUs and GPUs for a run: lower --cpus-per-run and --gpus-per-run"
        raise wrong(advice, f"{cpus} CPUs and {gpus:g} GPUs; the nodes have: {sizes}")
    here = report(options.dataset, options.data_dir, [])
    with contextlib.ExitStack() as stack:
        tokens = []  # files that other machines see if they share the folders
        for folder in (options.results, options.cache):
            folder.mkdir(parents=True, exist_ok=True)
            tokens.append(Path(stack.enter_context(NamedTemporaryFile(dir=folder, prefix=".", suffix=".tmp")).name))
        reports = {}
        for node in fit:
            where = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            name = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']}, {node['NodeID'][:8]})"
            placed = probe.options(num_cpus=0, num_gpus=0, scheduling_strategy=where)
            reports[name] = placed.remote(options.dataset, options.data_dir, tokens)
        for name, found in reports.items():
            try:
                require_equal(name, ray.get(found, timeout=CHECK_SECONDS), here)
            except ray.exceptions.RayError as error:
                reason = str(error).strip().splitlines()[-1]
                raise wrong("Check that every node answers and can import lwcnn", f"{name}: {reason}") from error


def report(dataset: str, data_dir: Path | None, tokens: list[Path]) -> dict[str, Any]:
    """Returns a node's package versions, the dataset's checksum, and the folders of tokens that it does not see."""
    from lwcnn.data.datasets import load_dataset

    try:
        data = load_dataset(dataset, data_dir, download=False).checksum[:12]
    except LwcnnError as error:
        data = str(error)
    versions = environment.versions() | {"commit of lwcnn": environment.commit()}
    return {"versions": versions, "data": data, "unseen": [str(token.parent) for token in tokens if not token.exists()]}


def require_equal(node: str, found: dict[str, Any], here: dict[str, Any]) -> None:
    """Checks the report of a node against that of this machine."""
    if found["unseen"]:
        folders = ", ".join(found["unseen"])
        raise wrong("Give --results and --cache on a folder that every node shares", f"{node} lacks {folders}")
    there, own = found["versions"], here["versions"]
    names = [name for name in own | there if there.get(name) != own.get(name)]
    differing = [f"{name} {there.get(name)} (here {own.get(name)})" for name in names]
    if differing:
        raise wrong("Install the same versions on every node", f"{node} has {', '.join(differing)}")
    if found["data"] != here["data"]:
        raise wrong("Put the same dataset on every node", f"{node}: {found['data']}")


def _connect(address: str):
    ray = environment.require("ray", "cluster")
    with environment.quiet_native_output():  # it warns each second until it answers
        problem: Exception | None = None
        end = time.monotonic() + CONNECT_SECONDS
        try:
            if address != "auto":
                host, _, port = address.rpartition(":")
                socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
            _within(end - time.monotonic(), lambda: ray.init(address, log_to_driver=False, logging_level=logging.ERROR))
        except (OSError, ValueError, RuntimeError, OverflowError) as error:
            problem = error
    if problem:
        reason = " ".join(str(problem).split())[:200] or type(problem).__name__
        raise wrong(
            f"The Ray cluster does not answer within {CONNECT_SECONDS} seconds: start it with `ray start --head`, or "
            "check the address",
            f"--cluster {address} ({reason})",
        ) from problem
    return ray


def _within(seconds: float, call: Callable[[], Any]) -> None:
    """Calls a function in a thread; raises its exception, or TimeoutError."""
    outcome: Future[None] = Future()

    def run() -> None:
        try:
            call()
            outcome.set_result(None)
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    outcome.result(seconds)
