"""Locks: one works, the others wait and say so, and nothing of a lock outlives its process."""

import errno
import fcntl
import signal
import subprocess
import sys
import threading
import time

import pytest

from lwcnn.system.errors import LwcnnError
from lwcnn.system.locking import is_locked, locked

HOLD = """
import sys, time
from pathlib import Path
from lwcnn.system.locking import is_locked, locked
with locked(Path(sys.argv[1]), print):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_worker_waits_says_so_and_finds_what_the_first_made(tmp_path):
    path, events, waiting = tmp_path / "deep" / "result.json", [], threading.Event()

    def second():
        def note(text):
            events.append(text)
            waiting.set()

        with locked(path, note):
            events.append(path.read_text())

    with locked(path, events.append):
        other = threading.Thread(target=second)
        other.start()
        assert waiting.wait(30)
        path.write_text("made by the first")
    other.join(30)
    assert events == [f"another process is working on {path}: waiting for it", "made by the first"]
    assert [file.name for file in path.parent.iterdir()] == ["result.json"]


def test_many_workers_take_turns(tmp_path):
    inside, most, done = [], [], []

    def work(number):
        for _ in range(20):
            with locked(tmp_path / "a", lambda text: None):
                inside.append(number)
                most.append(len(inside))
                time.sleep(0.001)  # without a lock, another would come in here
                inside.remove(number)
        done.append(number)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert len(done) == 6 and max(most) == 1
    assert not list(tmp_path.iterdir())


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "a")], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    finally:
        process.kill()
        process.stdout.close()
    notes = []
    with locked(tmp_path / "a", notes.append):
        assert not notes
    assert not list(tmp_path.iterdir())


def test_an_error_inside_gives_the_lock_back(tmp_path):
    with pytest.raises(RuntimeError), locked(tmp_path / "a", print):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_disk_without_locks_is_told(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    for work in (is_locked, lambda path: locked(path, print).__enter__()):
        with pytest.raises(LwcnnError, match="a disk that has file locks .No locks available.. Received: "):
            work(tmp_path / "run")


def test_a_lock_is_seen_without_waiting(tmp_path):
    path = tmp_path / "run"
    assert not is_locked(path)
    with locked(path, print):
        assert is_locked(path)
    assert not is_locked(path)
