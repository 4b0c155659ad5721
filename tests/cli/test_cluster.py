"""A Ray cluster of two nodes on this machine: nodes are checked, jobs of killed workers run again, Ctrl-C ends them."""

import os
import signal
import socket
import time
from argparse import Namespace

import pytest

from lwcnn.cli import cluster
from lwcnn.cli.cluster import nodes, require_equal
from lwcnn.cli.execute import Job
from lwcnn.cli.jobs import run_jobs
from lwcnn.system.errors import LwcnnError


def options(address, folder, cpus=1):
    folders = {"results": folder, "cache": folder, "dataset": "digits", "data_dir": None}
    return Namespace(cluster=address, cpus_per_run=cpus, gpus_per_run=0, progress="line", **folders)


def connect(settings):
    with nodes(settings):
        pass


HERE = {"versions": {"python": "3.11.7", "keras": "3.15.0"}, "data": "0123abcd", "unseen": []}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            {"versions": {"python": "3.11.7", "keras": "3.14.0"}},
            r"same versions.*node has keras 3.14.0 \(here 3.15.0\)$",
        ),
        ({"versions": {"python": "3.11.7"}}, r"keras None \(here 3.15.0\)$"),
        ({"versions": HERE["versions"] | {"jax": "0.7.0"}}, r"same versions.*node has jax 0.7.0 \(here None\)$"),
        ({"data": "There is no cifar10"}, "same dataset.*node: There is no cifar10$"),
        ({"data": "ffff"}, "same dataset.*node: ffff$"),
        ({"unseen": ["/shared/results"]}, "every node shares.*node lacks /shared/results$"),
    ],
)
def test_a_node_that_differs_is_refused_by_name(found, words):
    require_equal("node", HERE, HERE)
    with pytest.raises(LwcnnError, match=words):
        require_equal("node", HERE | found, HERE)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere", "127.0.0.1:99999", "no.such.host.invalid:6379"])
def test_a_cluster_that_does_not_answer_is_an_error_within_seconds(tmp_path, address):
    pytest.importorskip("ray")
    start = time.monotonic()
    with pytest.raises(LwcnnError, match=f"does not answer.*--cluster {address}"):
        connect(options(address, tmp_path))
    assert time.monotonic() - start < cluster.CONNECT_SECONDS + 5


def test_reaching_and_connecting_have_one_limit(tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    monkeypatch.setattr(ray, "init", lambda *_, **__: time.sleep(20))  # as if another server held the port
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(LwcnnError, match="within 1 seconds"):
        start = time.monotonic()
        connect(options(f"127.0.0.1:{server.getsockname()[1]}", tmp_path))
    assert time.monotonic() - start < 5


def node():
    """Settings of a node of one CPU. With ports of its own it does not wait for its agents, which start slowly."""
    names = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
    sockets = [socket.socket() for _ in names]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = {name: one.getsockname()[1] for name, one in zip(names, sockets, strict=True)}
    for one in sockets:
        one.close()
    return {"num_cpus": 1, "object_store_memory": 80 * 2**20} | ports


@pytest.fixture(scope="module")
def address():
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0", "RAY_raylet_start_wait_time_s": "120"}
    started = Cluster(initialize_head=True, head_node_args={"include_dashboard": False} | node())
    started.add_node(**node())
    yield started.address
    started.shutdown()


def test_nodes_are_checked_and_jobs_of_killed_workers_run_again(address, tmp_path, monkeypatch, capfd):
    def fails(*_):
        import no_such_package  # noqa: F401

    def dies_once(marker):
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return int(os.environ["OMP_NUM_THREADS"])

    with pytest.raises(LwcnnError, match="No node has enough CPUs.*9 CPUs.*the nodes have: 1 CPUs and 0 GPUs$"):
        connect(options(address, tmp_path, cpus=9))
    with monkeypatch.context() as patched:
        patched.setattr(cluster, "report", lambda *_: HERE if _[2] == [] else fails())
        with pytest.raises(LwcnnError, match=r"can import lwcnn.*\(.*\): ModuleNotFoundError.*no_such_package"):
            connect(options(address, tmp_path))
    with nodes(options(address, tmp_path / "shared")) as submit:
        assert not list((tmp_path / "shared").iterdir())
        assert submit(Job("job", dies_once, tmp_path / "marker", tmp_path / "log")).result(timeout=100) == 1

    def prints_threads(options):
        print(os.environ["OMP_NUM_THREADS"], "thread for", options.word)
        return options.word == "bad"

    with pytest.raises(LwcnnError, match="failed \\(see above\\): second$"):
        run_jobs(prints_threads, {"first": {"word": "good"}, "second": {"word": "bad"}}, options(address, tmp_path))
    assert "1 thread for good" in capfd.readouterr().out


def test_ctrl_c_leaves_nothing_on_the_cluster(address, tmp_path):
    def sleeps(path):
        path.write_text(str(os.getpid()))
        time.sleep(600)

    deadline = time.monotonic() + 120
    with pytest.raises(KeyboardInterrupt), nodes(options(address, tmp_path)) as submit:
        submit(Job("job", sleeps, tmp_path / "pid", tmp_path / "log"))
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        raise KeyboardInterrupt
    deadline = time.monotonic() + 30
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(int((tmp_path / "pid").read_text()), 0)
            time.sleep(0.2)
