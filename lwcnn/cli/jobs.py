"""Several runs at once, in processes of one thread each: on a CPU that does more than one run with many threads."""

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lwcnn.system.environment import thread_environment
from lwcnn.system.errors import LwcnnError


def run_jobs(commands: dict[str, list[str]], jobs: int, options, option_names: Sequence[str]) -> None:
    """Runs every command of lwcnn in a process of its own, `jobs` at once.

    Args:
        commands: under the name of each, its arguments.
        jobs: how many at once.
        options: the command line that asked for them.
        option_names: of the options that they take over from it.

    Raises:
        LwcnnError: if any of them failed; the others are done all the same.
    """
    environment = os.environ | thread_environment(1)
    processes: list[subprocess.Popen] = []
    shared = ["--progress", "line"]
    for name in option_names:
        if getattr(options, name) is not None:
            shared += [f"--{name.replace('_', '-')}", str(getattr(options, name))]

    def run(arguments: list[str]) -> int:
        process = subprocess.Popen([sys.executable, "-m", "lwcnn", *arguments, *shared], env=environment)
        processes.append(process)
        return process.wait()

    with ThreadPoolExecutor(jobs) as pool:
        try:
            codes = list(pool.map(run, commands.values()))
        except BaseException:  # Ctrl-C: the children got it too; the runs not yet begun must not begin
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()
            raise
    failed = [name for name, code in zip(commands, codes) if code]
    if failed:
        raise LwcnnError(f"These runs failed, as said above: {', '.join(failed)}")
