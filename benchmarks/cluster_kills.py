"""Measures what a Ray cluster loses when workers and nodes are killed: 64 queued runs, five kills with -9.

Starts three nodes on this machine, queues a run per seed by `lwcnn train --cluster`, and kills in turn a worker and a
node (which a new one replaces) as results come in. Then it trains the same seeds without a cluster and compares.
Command: `python benchmarks/cluster_kills.py --output results/cluster_kills.json` (needs `pip install '.[cluster]'`).
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import psutil

from lwcnn.experiments.identity import provenance
from lwcnn.system.environment import load_backend, thread_environment
from lwcnn.system.files import write_json

RAY = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_raylet_start_wait_time_s": "120", "RAY_worker_niceness": "0"}
KILLED_AT = (0.1, 0.25, 0.4, 0.55, 0.7)  # fractions of the runs that are done


class Cluster:
    """Three nodes of one CPU each."""

    def __init__(self):
        from ray.cluster_utils import Cluster as RayCluster

        self._count = 0
        self._cluster = RayCluster(initialize_head=True, head_node_args={"include_dashboard": False} | self._node())
        self._nodes = [self._cluster.add_node(**self._node()) for _ in range(2)]
        self.address = self._cluster.address
        self.shutdown = self._cluster.shutdown

    def _node(self) -> dict:
        # With ports of its own a raylet does not wait for agents, whose start takes long on a busy machine.
        names = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
        self._count += 1
        ports = {name: 21000 + 10 * self._count + i for i, name in enumerate(names)}
        return {"num_cpus": 1, "object_store_memory": 80 * 2**20} | ports

    def kill_worker(self) -> str:
        """Kills a worker that trains."""
        workers = [p for p in psutil.process_iter(["cmdline"]) if "ray::run_job" in " ".join(p.info["cmdline"] or [])]
        if not workers:
            return "none"
        workers[0].kill()
        return f"worker {workers[0].pid}"

    def kill_node(self) -> str:
        """Kills the older node that is not the head, with its workers, and adds a new one."""
        node = self._nodes.pop(0)
        self._cluster.remove_node(node, allow_graceful=False)
        self._nodes.append(self._cluster.add_node(**self._node()))
        return f"node {node.node_id[:8]}"


def train(folder: Path, data: Path, seeds: range, *where: str) -> subprocess.Popen:
    folder.mkdir()
    folders = [f"--{name}={folder / name}" for name in ("results", "cache", "models")]
    command = [sys.executable, "-m", "lwcnn", "train", "paper", "--preset=smoke", f"--dataset={data}", *folders]
    command += ["--progress=line", "--seeds", *map(str, seeds), *where]
    with open(folder / "output.txt", "wb") as output:
        return subprocess.Popen(command, env=os.environ | thread_environment(1), stdout=output)


def results(folder: Path) -> list[Path]:
    return list(folder.glob("results/*/paper/smoke/seed*.json"))


def weights(folder: Path) -> dict[str, int]:
    """Checksum of each trained model's weights, by the name of its file."""
    found = {}
    for path in folder.glob("cache/*/paper/smoke/*.keras"):
        with zipfile.ZipFile(path) as archive:
            found[path.name] = archive.getinfo("model.weights.h5").CRC
    return found


def epochs(folder: Path) -> list[str]:
    """Every epoch that was trained to its end: run, phase and number."""
    return re.findall(r"^(.* \d+/\d+)[:,] loss", (folder / "output.txt").read_text(), re.MULTILINE)


def measure(num_runs: int, folder: Path) -> dict:
    data = folder / "made.npz"
    pixels = np.random.default_rng(0).integers(0, 256, (400, 12, 12, 3), dtype=np.uint8)
    labels = np.arange(400) % 10
    np.savez(data, x_train=pixels[:300], y_train=labels[:300], x_test=pixels[300:], y_test=labels[300:])
    cluster, seeds, kills = Cluster(), range(num_runs), []
    start = time.monotonic()
    driver = train(folder / "cluster", data, seeds, "--cluster", cluster.address)
    while driver.poll() is None:
        time.sleep(0.5)
        done = len(results(folder / "cluster"))
        if len(kills) < len(KILLED_AT) and done >= KILLED_AT[len(kills)] * num_runs:
            killed = cluster.kill_node() if len(kills) % 2 else cluster.kill_worker()
            if killed != "none":
                kills.append({"killed": killed, "runs_done": done, "seconds": round(time.monotonic() - start)})
                print(kills[-1], flush=True)
    seconds = time.monotonic() - start
    cluster.shutdown()
    local = train(folder / "local", data, seeds)
    assert local.wait() == 0
    ours, reference = weights(folder / "cluster"), weights(folder / "local")
    trained = epochs(folder / "cluster")
    return {
        "runs": num_runs,
        "exit_code": driver.returncode,
        "kills": kills,
        "seconds": round(seconds),
        "results": len(results(folder / "cluster")),
        "same_weights_as_without_cluster": sum(ours.get(name) == crc for name, crc in reference.items()),
        "epochs_trained": len(trained),
        "epochs_trained_twice": len(trained) - len(set(trained)),
        "epochs_of_the_runs": len(epochs(folder / "local")),
    } | provenance()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=64)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    os.environ.update(RAY)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    load_backend()
    with tempfile.TemporaryDirectory() as folder:
        write_json(options.output, measure(options.runs, Path(folder)))
