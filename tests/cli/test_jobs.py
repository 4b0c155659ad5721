"""Several processes at once: what they are given, what fails, and that signals end them."""

import os
import signal
import sys
import threading
import time
from argparse import Namespace
from pathlib import Path

import pytest

from lwcnn.cli import jobs
from lwcnn.cli.main import build_parser
from lwcnn.system.errors import LwcnnError

WORK = """
import os, time
from lwcnn.system.errors import LwcnnError

def work(options):
    with open(options.cache / "started", "a") as log:
        print(options.name, os.environ["OMP_NUM_THREADS"], os.getpid(), file=log)
    print("epoch 1", flush=True)
    if options.name == "fail":
        raise LwcnnError("no such thing")
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
    assert {path.name for path in (tmp_path / "logs").iterdir()} == {"mnist-a.log", "mnist-b.log"}


def test_paths_reach_other_machines_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist").touch()  # which is no reason to take the name of a data set for its path
    line = ["train", "paper", "--size", "24x32", "--no-mirror", "--results=r", "--dataset"]
    for dataset, path in (("mnist", "mnist"), ("my.npz", str(tmp_path / "my.npz"))):
        options = vars(build_parser().parse_args([*line, dataset]))
        found = {name: jobs._absolute(name, value) for name, value in options.items()}
        paths = {name: tmp_path / options[name] for name in ("results", "cache", "models")}
        assert found == options | paths | {"dataset": path}


@pytest.mark.parametrize("style", ["line", "bar", "none"])
def test_what_fails_is_named_with_its_last_line_and_the_others_are_done(work, tmp_path, capfd, style):
    with pytest.raises(LwcnnError, match="These runs failed, as said above: first$"):
        run(work, tmp_path, {"first": {"name": "fail"}, "second": {}}, 1, style=style)
    assert len(started(tmp_path)) == 2
    out, err = capfd.readouterr()
    assert err == "first: lwcnn: error: no such thing\n"
    assert ("epoch 1" in out) == (style == "line")
    if style == "bar":
        assert "2 runs: 1 done, 0 running, 1 failed" in out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_end_the_processes_and_those_that_wait_never_start(work, tmp_path, number):
    before = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    outside = signal.signal(number, before)  # ignored under nohup; None: a native one, such as Ray's

    def interrupt():
        while not (tmp_path / "started").exists() or len(started(tmp_path)) < 2:
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    sender = threading.Thread(target=interrupt)
    sender.start()
    ending = KeyboardInterrupt if number == signal.SIGINT else SystemExit
    with pytest.raises(ending) as error:
        run(work, tmp_path, {name: {"name": "sleep"} for name in "abcd"})
    sender.join()
    if ending is SystemExit:
        assert error.value.code == 128 + number
    assert len(started(tmp_path)) == 2
    for _, _, pid in started(tmp_path):
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)
    assert signal.getsignal(number) is before
    signal.signal(number, outside or before)
