"""Runs a command several times in parallel, in processes on this machine or (`cluster.py`) on a Ray cluster.

The output of each run goes to its log, `<cache>/logs/<run>.log`, from which progress is read.
"""

import argparse
import contextlib
import hashlib
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from lwcnn.cli import cluster
from lwcnn.cli.execute import ERROR, Command, Job, Submit, run_job
from lwcnn.data.known import DATASET_NAMES
from lwcnn.system.environment import thread_environment
from lwcnn.system.errors import LwcnnError
from lwcnn.system.safe_text import path_part

REFRESH_SECONDS = 1  # and one more per 500 jobs, whose logs may lie on a slow shared folder


def run_jobs(command: Command, runs: Mapping[str, dict[str, Any]], options: argparse.Namespace) -> None:
    """Runs a command once per named run, with the shared options and those of the run, and shows the progress.

    All runs end with this process, however it ends; if one fails, the others are completed first.
    """
    shared = {name: _absolute(name, value) for name, value in vars(options).items()} | {"progress": "line"}
    jobs = [_job(name, command, argparse.Namespace(**shared | own)) for name, own in runs.items()]
    workers = cluster.nodes if options.cluster else processes
    with workers(argparse.Namespace(**shared)) as submit:
        futures = {submit(job): job for job in jobs}
        _follow(futures, options.progress)
    if failed := [job.name for future, job in futures.items() if _has_failed(future)]:
        raise LwcnnError(f"These runs failed (see above): {', '.join(failed)}")


def _absolute(name: str, value: Any) -> Any:
    """Returns the value of an option with paths made absolute, so that it holds in any folder."""
    if name == "dataset" and value not in DATASET_NAMES:
        return os.path.abspath(os.path.expanduser(value))
    return Path(os.path.abspath(value)) if isinstance(value, Path) else value


def _job(name: str, command: Command, options: argparse.Namespace) -> Job:
    settings = {key: str(value) for key, value in sorted(vars(options).items()) if not callable(value)}
    digest = hashlib.sha256(repr(settings).encode(errors="surrogateescape")).hexdigest()  # of all options of the run
    title = path_part(f"{Path(options.dataset).stem} {name}")
    log = options.cache / "logs" / f"{title}-{digest[:6]}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch()
    return Job(name, command, options, log, log.stat().st_size)


@contextlib.contextmanager
def processes(options: argparse.Namespace) -> Iterator[Submit]:
    """Yields a function that runs a job in a process on this machine. An exception in the block ends the processes."""
    variables = os.environ | thread_environment(options.cpus_per_run)
    running: list[subprocess.Popen] = []

    def run(job: Job) -> int:
        start = [sys.executable, "-c", f"from {__name__} import run_process; run_process()"]
        with open(job.log, "ab") as log:
            process = subprocess.Popen(start, env=variables, stdin=subprocess.PIPE, stdout=log, stderr=log)
        running.append(process)
        with process:
            assert process.stdin  # which stays open until the process has ended
            pickle.dump(job, process.stdin)
            process.stdin.flush()
            return process.wait()

    with ThreadPoolExecutor(options.jobs) as pool:
        futures: list[Future[int]] = []

        def submit(job: Job) -> Future[int]:
            futures.append(pool.submit(run, job))
            return futures[-1]

        try:
            yield submit
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in futures):  # one may just be starting
                for process in running:
                    process.terminate()
                time.sleep(0.1)
            raise


def run_process() -> None:
    """Runs the job read from standard input, and ends when the parent process ends."""

    def end_with_the_pool() -> None:
        os.read(0, 1)
        os._exit(1)

    job = pickle.load(sys.stdin.buffer)
    threading.Thread(target=end_with_the_pool, daemon=True).start()
    sys.exit(run_job(job))


def _follow(futures: Mapping[Future[int], Job], style: str) -> None:
    """Shows the progress of jobs until every one has ended."""
    pending = set(futures)
    with contextlib.ExitStack() as stack:
        if style == "bar":
            from rich.live import Live

            live = stack.enter_context(Live(refresh_per_second=1))
        while pending:
            done, pending = wait(pending, REFRESH_SECONDS + len(pending) // 500, FIRST_COMPLETED)
            for future in (*done, *pending):
                for line in futures[future].new_lines():
                    if line.startswith(ERROR):
                        continue  # told below, with the name of the run
                    if style == "line":
                        print(line, flush=True)
                    elif style == "bar" and ", loss " not in line:  # results and warnings stay above the table
                        live.console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)
            if style == "bar":
                live.update(_table(futures))
            for future in done:
                if _has_failed(future):
                    job = futures[future]
                    reason = future.exception() or _reason(job, future.result())
                    print(f"{job.name}: {reason}", file=sys.stderr, flush=True)


def _reason(job: Job, code: int) -> str:
    """Returns the error that a job told or, if it told none, how it ended and where its log is."""
    if job.last_line.startswith(ERROR):
        return job.last_line
    how = f"killed by signal {-code}, perhaps for lack of memory" if code < 0 else f"ended with exit code {code}"
    return f"{how}, see {job.log}: {job.last_line}"


def _has_failed(future: Future[int]) -> bool:
    return future.done() and bool(future.exception() or future.result())


def _table(futures: Mapping[Future[int], Job]):
    """Returns a table of the running jobs, each with the last line of its log; errors are above it."""
    from rich.table import Table

    failed = sum(map(_has_failed, futures))
    running = [job for future, job in futures.items() if job.last_line and not future.done()]
    done = sum(future.done() for future in futures) - failed
    title = f"{len(futures)} runs: {done} done, {len(running)} running, {failed} failed"
    table = Table("run", title=title, expand=True)
    table.add_column("last line", ratio=1, no_wrap=True)
    for job in running:
        table.add_row(job.name, job.last_line)
    return table
