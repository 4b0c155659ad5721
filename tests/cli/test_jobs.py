"""Several processes at once: what they are given, what fails, and that signals end them."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from argparse import Namespace
from pathlib import Path

import pytest

from lwcnn.cli import jobs
from lwcnn.cli.execute import Job
from lwcnn.cli.main import build_parser
from lwcnn.system.errors import LwcnnError

WORK = """
import os, time
from lwcnn.system.errors import LwcnnError

def work(options):
    with open(options.cache / "started", "a") as log:
        print(options.name, os.environ["OMP_NUM_THREADS"], os.getpid(), file=log)
    print("epoch 1, loss 1.0000, accuracy: training 50%", flush=True)
    if options.name == "fail":
        raise LwcnnError("no such thing")
    print("test accuracy 71.00%, [seed0].json", flush=True)
    if options.name == "sleep":
        time.sleep(60)
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A command in a module that other processes import too; it writes down what it was given."""
    (tmp_path / "worked.py").write_text(WORK)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, sys.path)]))
    monkeypatch.syspath_prepend(tmp_path)
    import worked

    yield worked.work
    del sys.modules["worked"]


def run(command, folder, runs, processes=2, style="line", threads=1):
    options = {"dataset": "mnist", "cache": folder, "progress": style, "name": "work"}
    pool = {"jobs": processes, "cpus_per_run": threads, "cluster": None}
    jobs.run_jobs(command, runs, Namespace(**options, **pool))


def started(folder):
    return [line.split() for line in (folder / "started").read_text().splitlines()]


def test_every_run_gets_the_options_and_its_threads(work, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(work, Path(), {"a": {"name": "a"}, "b": {}}, threads=3)
    assert sorted(line[:2] for line in started(tmp_path)) == [["a", "3"], ["work", "3"]]
    assert sorted(path.name[:8] for path in (tmp_path / "logs").iterdir()) == ["mnist_a-", "mnist_b-"]


def test_runs_of_other_settings_have_other_logs(tmp_path):
    options = {"dataset": "mnist", "cache": tmp_path}
    logs = [jobs._job("a", print, Namespace(**options, preset=preset)).log for preset in ("quick", "full", "full")]
    assert logs[0] != logs[1] == logs[2]
    assert jobs._job("a", print, Namespace(**options | {"dataset": "é" * 125})).log.exists()  # a name of 250 bytes


def test_paths_reach_other_machines_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist").touch()  # which is no reason to take the name of a dataset for its path
    (tmp_path / "my.npz").touch()
    line = ["train", "paper", "--size", "24x32", "--no-mirror", "--results=r", "--dataset"]
    for dataset, path in (("mnist", "mnist"), ("my.npz", str(tmp_path / "my.npz"))):
        options = vars(build_parser().parse_args([*line, dataset]))
        found = {name: jobs._absolute(name, value) for name, value in options.items()}
        paths = {name: tmp_path / options[name] for name in ("results", "cache", "models")}
        assert found == options | paths | {"dataset": path}


@pytest.mark.parametrize("style", ["line", "bar", "none"])
def test_what_fails_is_named_with_its_last_line_and_the_others_are_done(work, tmp_path, capfd, style):
    with pytest.raises(LwcnnError, match="These runs failed \\(see above\\): first$"):
        run(work, tmp_path, {"first": {"name": "fail"}, "second": {}}, 1, style=style)
    assert len(started(tmp_path)) == 2
    out, err = capfd.readouterr()
    assert err == "first: lwcnn: error: no such thing\n" and "no such thing" not in out
    assert ("epoch 1" in out) == (style == "line")
    assert ("test accuracy 71.00%, [seed0].json" in out) == (style != "none"), "results stay"
    if style == "bar":
        assert "2 runs: 1 done, 0 running, 1 failed" in out


def wait_for_two(folder):
    deadline = time.monotonic() + 120
    while not (folder / "started").exists() or len(started(folder)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def require_ended(folder):
    """No process of the two that had started runs on, and no other has started."""
    assert len(started(folder)) == 2
    deadline = time.monotonic() + 30
    for _, _, pid in started(folder):
        while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_ctrl_c_ends_the_processes_and_those_that_wait_never_start(work, tmp_path):
    outside = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell starts in the background
    sender = threading.Thread(target=lambda: (wait_for_two(tmp_path), os.kill(os.getpid(), signal.SIGINT)))
    sender.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run(work, tmp_path, {name: {"name": "sleep"} for name in "abcd"})
    finally:
        sender.join()
        signal.signal(signal.SIGINT, outside)
    require_ended(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_processes_end_with_the_one_that_started_them(work, tmp_path, number):
    pool = {"jobs": 2, "cpus_per_run": 1, "cluster": None}
    options = Namespace(dataset="mnist", cache=tmp_path, progress="line", name="sleep", **pool)
    (tmp_path / "call").write_bytes(pickle.dumps((work, {name: {} for name in "abcd"}, options)))
    code = "import pickle, sys; from lwcnn.cli.jobs import run_jobs; run_jobs(*pickle.load(open(sys.argv[1], 'rb')))"
    process = subprocess.Popen([sys.executable, "-c", code, tmp_path / "call"])
    wait_for_two(tmp_path)
    process.send_signal(number)
    process.wait()
    require_ended(tmp_path)


def test_lines_are_read_when_they_are_complete_and_once(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("of an earlier run\n")
    job = Job("a", print, Namespace(), log, log.stat().st_size)
    seen = []
    for text in ("epoch 1\nepo", "ch 2\n", "", "epoch 3\nepoch 4\n"):
        with open(log, "a") as stream:
            stream.write(text)
        seen.append((job.new_lines(), job.last_line))
    assert seen == [
        (["epoch 1"], "epoch 1"),
        (["epoch 2"], "epoch 2"),
        ([], "epoch 2"),
        (["epoch 3", "epoch 4"], "epoch 4"),
    ]
