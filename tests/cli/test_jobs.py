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

WORKER = """#!/bin/sh
echo "$@" threads "$OMP_NUM_THREADS" >> {log}
echo "epoch 1"
case "$3" in fail) echo "lwcnn: error: no such thing" >&2; exit 1;; sleep) echo $$ >> {pids}; exec sleep 60;; esac
"""


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """Puts a shell script in Python's place; gives the files of its command lines and process ids."""
    script, log, pids = tmp_path / "worker", tmp_path / "log", tmp_path / "pids"
    script.write_text(WORKER.format(log=log, pids=pids))
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    return log, pids


OPTIONS = Namespace(dataset="mnist", data_dir=None, cache=Path("cache"))


def run(folder, commands, processes=2, style="line", threads=1):
    """Runs command lines in a local pool, their logs in `folder`."""
    options = Namespace(dataset="mnist", data_dir=None, cache=folder / "cache")
    jobs.run_jobs(jobs.make_jobs(commands, options), jobs.LocalPool(processes, threads), style)


def test_every_command_gets_the_shared_options_and_its_threads(worker, tmp_path):
    run(tmp_path, {"a": ["train", "a"], "b": ["train", "b"]}, threads=3)
    lines = sorted(worker[0].read_text().splitlines())
    shared = f"--progress line --dataset mnist --cache {tmp_path / 'cache'} threads 3"
    assert lines == [f"-m lwcnn train {name} {shared}" for name in "ab"]


def test_paths_reach_other_machines_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist").touch()  # which is no reason to take the name of a data set for its path
    assert "mnist" in jobs.make_jobs({"a": []}, OPTIONS)[0].arguments
    options = Namespace(cache=Path("cache"), dataset="my.npz", results=Path("results"), seeds=[0, 1], jobs=2)
    (job,) = jobs.make_jobs({"paper seed 0": ["train"]}, options)
    assert job.arguments[-4:] == ["--dataset", str(tmp_path / "my.npz"), "--results", str(tmp_path / "results")]
    assert job.log == tmp_path / "cache/logs/my-paper-seed-0.log"


@pytest.mark.parametrize(
    "line",
    [
        ["search", "--space=recipe", "--limit=20000", "--epochs=3", "--seed=1", "--jobs=2"],
        [
            "train",
            "paper",
            "--seeds",
            "0",
            "1",
            "--batch-size=9",
            "--tensorboard=/b",
            "--cluster=a",
        ],
    ],
)
def test_jobs_get_every_option_of_this_command(line):
    """All but those that say which runs there are, and where; a new option needs no word in `jobs`."""
    images = ["--size", "24x32", "--no-mirror", "--data-dir=/data", "--dataset=/my.npz", "--cache=/c", "--results=/r"]
    options = build_parser().parse_args([*line, *images])
    (job,) = jobs.make_jobs({"job": [line[0], *(["paper"] if line[0] == "train" else [])]}, options)
    again = vars(build_parser().parse_args(job.arguments))
    differing = {name for name, value in vars(options).items() if again[name] != value}
    assert differing <= {"seeds", "jobs", "cluster", "models"} and again["progress"] == "line"


@pytest.mark.parametrize("style", ["line", "bar", "none"])
def test_what_fails_is_named_with_its_last_line_and_the_others_are_done(worker, tmp_path, capfd, style):
    with pytest.raises(LwcnnError, match="These runs failed, as said above: first$"):
        run(tmp_path, {"first": ["fail"], "second": ["work"]}, 1, style=style)
    assert len(worker[0].read_text().splitlines()) == 2
    out, err = capfd.readouterr()
    assert err == "first: lwcnn: error: no such thing\n"
    assert ("epoch 1" in out) == (style == "line")
    if style == "bar":
        assert "2 runs: 1 done, 0 running, 1 failed" in out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_end_the_processes_and_those_that_wait_never_start(worker, tmp_path, number):
    log, pids = worker
    before = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    outside = signal.signal(number, before)  # ignored under nohup; None: a native one, such as Ray

    def interrupt():
        while not pids.exists() or len(pids.read_text().splitlines()) < 2:
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    sender = threading.Thread(target=interrupt)
    sender.start()
    ending = KeyboardInterrupt if number == signal.SIGINT else SystemExit
    with pytest.raises(ending) as error:
        run(tmp_path, {name: ["sleep"] for name in "abcd"})
    sender.join()
    if ending is SystemExit:
        assert error.value.code == 128 + number
    assert len(log.read_text().splitlines()) == 2
    for pid in pids.read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)
    assert signal.getsignal(number) is before
    signal.signal(number, outside or before)
