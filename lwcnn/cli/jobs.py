"""Jobs: command lines of lwcnn that run side by side in a pool: on this machine, or (`cluster.py`) on a Ray cluster.

What a job prints goes to its log, `<cache>/logs/<job>.log`; progress is read from there.
"""

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lwcnn.data.known import DATASET_NAMES
from lwcnn.system.environment import thread_environment
from lwcnn.system.errors import LwcnnError

REFRESH_SECONDS = 1  # and one more per 500 jobs, whose logs may lie on a slow shared folder
_NOT_OF_JOBS = {"command", "experiments", "seeds", "no_model", "progress", "show"}
_NOT_OF_JOBS |= {"jobs", "cluster", "cpus_per_run", "gpus_per_run"}


@dataclass(frozen=True)
class Job:
    """A command line of lwcnn, its name for the user, such as "paper seed 0", and the file for what it prints."""

    name: str
    arguments: list[str]
    log: Path


def make_jobs(commands: Mapping[str, list[str]], options: argparse.Namespace) -> list[Job]:
    """Returns jobs by their arguments; they take over the options of this command line, with absolute paths."""
    shared = ["--progress", "line"]
    for name, value in vars(options).items():
        if name not in _NOT_OF_JOBS:
            shared += _arguments(name.replace("_", "-"), absolute(name, value))
    logs = Path(os.path.abspath(options.cache)) / "logs"
    prefix = Path(options.dataset).stem
    return [
        Job(name, [*arguments, *shared], logs / (re.sub(r"\W+", "-", f"{prefix} {name}") + ".log"))
        for name, arguments in commands.items()
    ]


def absolute(name: str, value: Any) -> Any:
    """Returns the value of an option with paths made absolute, so that it holds in any folder."""
    is_path = isinstance(value, Path) or (name == "dataset" and value not in DATASET_NAMES)
    return os.path.abspath(os.path.expanduser(value)) if is_path else value


def _arguments(name: str, value: Any) -> list[str]:
    """Returns an option as it is written on a command line; nothing for None and for a flag that is not set."""
    if value is None or (value is False and name != "mirror"):
        return []
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", "x".join(map(str, value)) if isinstance(value, tuple) else str(value)]


def run_jobs(jobs: Sequence[Job], pool: Any, style: str) -> None:
    """Runs jobs and shows their progress. Ctrl-C, SIGTERM and SIGHUP end them; if any fails, the others are done first.

    `pool` is a `LocalPool` or `RayPool`; `style` is "bar" for a table, "line" for every line that they print, or
    "none".
    """
    logs = [_Log(job.log) for job in jobs]  # before anything is written to them
    with _exit_on_signals(), pool:
        futures = {pool.submit(job): (job.name, log) for job, log in zip(jobs, logs, strict=True)}
        failed = _follow(futures, style)
    if failed:
        raise LwcnnError(f"These runs failed, as said above: {', '.join(failed)}")


class LocalPool:
    """Processes of this machine, with a number of threads each.

    On a CPU many processes of one thread do more than one process with many. Leaving its block by an exception ends
    every job.
    """

    def __init__(self, processes: int, threads: int = 1):
        self._environment = os.environ | thread_environment(threads)
        self._pool = ThreadPoolExecutor(processes)
        self._running: list[subprocess.Popen] = []
        self._lock = threading.Lock()
        self._ended = False

    def submit(self, job: Job) -> Future[int]:
        return self._pool.submit(self._run, job)

    def _run(self, job: Job) -> int:
        with self._lock:
            if self._ended:
                return 1
            job.log.parent.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, "-m", "lwcnn", *job.arguments]
            with open(job.log, "ab") as log:
                process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=subprocess.STDOUT)
            self._running.append(process)
        return process.wait()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_) -> None:
        if kind:
            with self._lock:
                self._ended = True
                for process in self._running:
                    process.terminate()
        self._pool.shutdown()


class _Log:
    """The lines that a log gains."""

    def __init__(self, path: Path):
        self._path = path
        self._offset = path.stat().st_size if path.is_file() else 0
        self.last = ""

    def read(self) -> list[str]:
        """Returns the new whole lines."""
        if not self._path.is_file():
            return []
        with open(self._path, "rb") as stream:
            stream.seek(self._offset)
            whole, newline, _ = stream.read().rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        lines = whole.decode(errors="replace").splitlines()
        self.last = lines[-1] if lines else self.last
        return lines


_Futures = Mapping[Future[int], tuple[str, _Log]]
"""Names and logs of jobs by their exit codes."""


def _follow(futures: _Futures, style: str) -> list[str]:
    """Shows progress until every job has ended, and returns the names of those that failed."""
    pending = set(futures)
    with contextlib.ExitStack() as stack:
        if style == "bar":
            from rich.live import Live

            live = stack.enter_context(Live(refresh_per_second=1))
        while pending:
            done, pending = wait(pending, REFRESH_SECONDS + len(pending) // 500, FIRST_COMPLETED)
            for future in (*done, *pending):
                for line in futures[future][1].read():
                    if style == "line":
                        print(line, flush=True)
            if style == "bar":
                live.update(_table(futures))
            for future in done:
                if _has_failed(future):
                    name, log = futures[future]
                    print(f"{name}: {future.exception() or log.last}", file=sys.stderr, flush=True)
    return [name for future, (name, _) in futures.items() if _has_failed(future)]


def _has_failed(future: Future[int]) -> bool:
    return future.done() and bool(future.exception() or future.result())


def _table(futures: _Futures):
    """Returns the jobs that run or failed, each with the last line of its log."""
    from rich.table import Table

    bad = [future for future in futures if _has_failed(future)]
    running = [future for future, (_, log) in futures.items() if log.last and not future.done()]
    done = sum(future.done() for future in futures) - len(bad)
    title = f"{len(futures)} runs: {done} done, {len(running)} running, {len(bad)} failed"
    table = Table("run", title=title, expand=True)
    table.add_column("last line", ratio=1, no_wrap=True)
    for future in (*bad, *running):
        name, log = futures[future]
        table.add_row(name, log.last, style="red" if future in bad else None)
    return table


@contextlib.contextmanager
def _exit_on_signals() -> Iterator[None]:
    """Raises SystemExit at SIGTERM and SIGHUP inside, unless they are ignored or Python code handles them already.

    A handler of native code, such as Ray's, for which Python returns None, would end the process at once.
    """

    def leave(number: int, frame) -> None:
        raise SystemExit(128 + number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) in (signal.SIG_DFL, None):
                before[number] = signal.signal(number, leave) or signal.SIG_DFL
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
