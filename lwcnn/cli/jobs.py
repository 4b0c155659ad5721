"""Several runs at once, in processes of one thread each: on a CPU that does more than one run with many threads."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from lwcnn.system.environment import thread_environment
from lwcnn.system.errors import LwcnnError


def run_jobs(commands: dict[str, list[str]], jobs: int, options, option_names: Sequence[str]) -> None:
    """Runs every command of lwcnn in a process of its own, `jobs` at once.

    Ctrl-C, SIGTERM and SIGHUP end the processes as well.

    Args:
        commands: Arguments by name.
        jobs: How many processes at once.
        options: The command line that asked for them.
        option_names: Options that they take over from it.

    Raises:
        LwcnnError: Any of them failed; the others are done all the same.
        SystemExit: A signal ended this process.
    """
    environment = os.environ | thread_environment(1)
    shared = ["--progress", "line"]
    for name in option_names:
        shared += _arguments(name.replace("_", "-"), getattr(options, name))
    children = _Children()

    def run(arguments: list[str]) -> int:
        return children.run([sys.executable, "-m", "lwcnn", *arguments, *shared], environment)

    with _exit_on_signals(), ThreadPoolExecutor(jobs) as pool:
        try:
            codes = list(pool.map(run, commands.values()))
        except BaseException:
            children.end()
            raise
    failed = [name for name, code in zip(commands, codes, strict=True) if code]
    if failed:
        raise LwcnnError(f"These runs failed, as said above: {', '.join(failed)}")


def _arguments(name: str, value) -> list[str]:
    """Returns an option as it is written on a command line; nothing for None."""
    if value is None:
        return []
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", "x".join(map(str, value)) if isinstance(value, tuple) else str(value)]


class _Children:
    """Processes that can be ended together; none starts after that."""

    def __init__(self):
        self._processes: list[subprocess.Popen] = []
        self._lock = threading.Lock()
        self._ended = False

    def run(self, command: list[str], environment: dict[str, str]) -> int:
        """Starts a process, waits for it and returns its exit code."""
        with self._lock:
            if self._ended:
                return 1
            process = subprocess.Popen(command, env=environment)
            self._processes.append(process)
        return process.wait()

    def end(self) -> None:
        """Terminates every process that runs."""
        with self._lock:
            self._ended = True
            for process in self._processes:
                process.terminate()


@contextlib.contextmanager
def _exit_on_signals() -> Iterator[None]:
    """Raises SystemExit at SIGTERM and SIGHUP inside, unless they are ignored or handled already."""

    def leave(number: int, frame) -> None:
        raise SystemExit(128 + number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
