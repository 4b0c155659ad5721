"""Several processes at once: what they are given, what fails, and that signals end them."""

import os
import signal
import sys
import threading
import time
from argparse import Namespace

import pytest

from lwcnn.cli import jobs
from lwcnn.system.errors import LwcnnError

WORKER = """#!/bin/sh
echo "$@" threads "$OMP_NUM_THREADS" >> {log}
case "$3" in fail) exit 1;; sleep) echo $$ >> {pids}; exec sleep 60;; esac
"""


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """Puts a shell script in Python's place; gives the files of its command lines and process ids."""
    script, log, pids = tmp_path / "worker", tmp_path / "log", tmp_path / "pids"
    script.write_text(WORKER.format(log=log, pids=pids))
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    return log, pids


OPTIONS = Namespace(dataset="mnist", data_dir=None)


def test_every_command_gets_the_shared_options_and_one_thread(worker):
    jobs.run_jobs({"a": ["train", "a"], "b": ["train", "b"]}, 2, OPTIONS, ("dataset", "data_dir"))
    lines = sorted(worker[0].read_text().splitlines())
    assert lines == [f"-m lwcnn train {name} --progress line --dataset mnist threads 1" for name in "ab"]


def test_what_fails_is_named_and_the_others_are_done(worker):
    with pytest.raises(LwcnnError, match="These runs failed, as said above: first$"):
        jobs.run_jobs({"first": ["fail"], "second": ["work"]}, 1, OPTIONS, ())
    assert len(worker[0].read_text().splitlines()) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_end_the_processes_and_those_that_wait_never_start(worker, number):
    log, pids = worker
    before = signal.getsignal(number)

    def interrupt():
        while not pids.exists() or len(pids.read_text().splitlines()) < 2:
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    sender = threading.Thread(target=interrupt)
    sender.start()
    ending = KeyboardInterrupt if number == signal.SIGINT else SystemExit
    with pytest.raises(ending) as error:
        jobs.run_jobs({name: ["sleep"] for name in "abcd"}, 2, OPTIONS, ())
    sender.join()
    if ending is SystemExit:
        assert error.value.code == 128 + number
    assert len(log.read_text().splitlines()) == 2
    for pid in pids.read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)
    assert signal.getsignal(number) is before
