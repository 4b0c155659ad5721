"""Runs a command in this process. An error is printed as one line; the output of a job goes to its log."""

import argparse
import contextlib
import sys
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from lwcnn.system import interrupts
from lwcnn.system.errors import LwcnnError

ERROR = "lwcnn: error: "
"""The start of the line in which an error is told; it ends a command."""
RESUMABLE = ("run", "train", "finetune", "kfold", "search")
"""The commands that resume after the last completed epoch."""

Command = Callable[[argparse.Namespace], int | None]


@dataclass
class Job:
    """A command to run in the background: its function, its options (with absolute paths) and its log file."""

    name: str  # for the user, such as "paper seed 0"
    command: Command
    options: argparse.Namespace
    log: Path
    offset: int = 0  # of the first byte of the log that was not read
    last_line: str = ""

    def new_lines(self) -> list[str]:
        """Returns the complete lines added to the log since the last call."""
        with open(self.log, "rb") as stream:
            stream.seek(self.offset)
            whole, newline, _ = stream.read().rpartition(b"\n")
        self.offset += len(whole) + len(newline)
        lines = whole.decode(errors="replace").splitlines()
        for line in lines:
            if not self.last_line.startswith(ERROR):  # a library may log more as the process exits
                self.last_line = line
        return lines


Submit = Callable[[Job], Future[int]]


def run_job(job: Job) -> int:
    """Runs a job in this process, which prints to the job's log, and returns its exit code."""
    with open(job.log, "a", buffering=1, errors="backslashreplace") as stream:
        with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
            return execute(job.command, job.options)


def execute(command: Command, options: argparse.Namespace) -> int:
    """Runs a command and returns its exit code; an error becomes a line."""
    try:
        with interrupts.recorded():
            return command(options) or 0
    except LwcnnError as error:
        return _fail(str(error))
    except BrokenPipeError:
        raise
    except OSError as error:
        return _fail(f"{error}. Free some disk space, or check the path and its permissions.")
    except MemoryError as error:
        return _fail(f"Not enough memory ({error}): give fewer or smaller images, or smaller batches")
    except KeyboardInterrupt:
        is_training = getattr(options, "command", None) in RESUMABLE
        text = ". Only the current epoch is lost: run the same command again to resume." if is_training else ""
        print(f"\nlwcnn: interrupted{text}", file=sys.stderr)
        return 130


def _fail(message: str) -> int:
    print(f"{ERROR}{' '.join(message.split())}", file=sys.stderr)
    return 1
