"""Several runs at once, in processes of one thread each: on a CPU that does more than one run with many threads."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from lwcnn.backend import thread_environment
from lwcnn.errors import LwcnnError


def run_jobs(options) -> None:
    """Trains every experiment and seed of a `train` command line in a process of its own, `options.jobs` at once.

    Raises:
        LwcnnError: if any of them failed; the others are done all the same.
    """
    runs = [(name, seed) for name in options.experiments for seed in options.seeds]
    environment = os.environ | thread_environment(1)
    processes: list[subprocess.Popen] = []

    def train(run: tuple[str, int]) -> int:
        name, seed = run
        command = [sys.executable, "-m", "lwcnn", "train", name, "--seeds", str(seed), "--no-release"]
        for option in ("dataset", "preset", "results", "cache", "models"):
            command += [f"--{option}", str(getattr(options, option))]
        if options.data_dir:
            command += ["--data-dir", str(options.data_dir)]
        process = subprocess.Popen([*command, "--progress", "line"], env=environment)
        processes.append(process)
        return process.wait()

    with ThreadPoolExecutor(options.jobs) as pool:
        try:
            codes = list(pool.map(train, runs))
        except BaseException:  # Ctrl-C: the children got it too; the runs not yet begun must not begin
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()
            raise
    failed = [f"{name} seed {seed}" for (name, seed), code in zip(runs, codes) if code]
    if failed:
        raise LwcnnError(f"These runs failed, as said above: {', '.join(failed)}")
