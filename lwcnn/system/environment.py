"""The few spots that differ by Keras backend, and what identifies the machine and the software."""

import contextlib
import ctypes
import logging
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path

from lwcnn.system.errors import LwcnnError

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


_PACKAGES = (
    "lwcnn",
    "keras",
    "tensorflow-cpu",
    "tensorflow",
    "jax",
    "torch",
    "numba",
    "numpy",
    "opencv-python-headless",
)


def load_backend() -> None:
    """Imports Keras and its backend without the lines that they log meanwhile.

    Raises:
        LwcnnError: The backend is not installed or not known to Keras.
    """
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its advice on retracing is not for users
    try:
        with quiet_native_output():
            import keras

            keras.backend.backend()
    except (ImportError, ValueError) as error:
        wanted = os.environ.get("KERAS_BACKEND")
        raise LwcnnError(
            "Keras cannot import its backend: run pip install 'lwcnn[tensorflow]' (or [jax], [torch]), and set "
            "KERAS_BACKEND to the one you installed. "
            f"Received: {f'KERAS_BACKEND={wanted}' if wanted else 'no KERAS_BACKEND'}, "
            f"{type(error).__name__}: {' '.join(str(error).split())}"
        ) from error


@contextlib.contextmanager
def quiet_native_output() -> Iterator[None]:
    """Hides what native libraries write to standard error, unless the block fails.

    Their C++ code writes to the file descriptor, past Python's logging.
    """
    with contextlib.ExitStack() as stack:
        try:
            sys.stderr.flush()
            said = stack.enter_context(tempfile.TemporaryFile())
            kept = os.dup(2)
        except (AttributeError, OSError, ValueError):  # standard error is closed, or no folder can be written
            yield
            return
        stack.callback(os.close, kept)
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            os.dup2(kept, 2)


def thread_environment(num_threads: int) -> dict[str, str]:
    """Environment variables that keep a new process of any backend to `num_threads` threads."""
    environment = {name: str(num_threads) for name in THREAD_VARIABLES}
    if num_threads == 1:
        # XLA has no thread count, only this switch.
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false"
        environment["XLA_FLAGS"] = flags.strip()
    return environment


def num_threads() -> int:
    """The number of threads this process computes with: `OMP_NUM_THREADS` if it is a number from 1, else its cores."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return int(allowed) if allowed.isdecimal() and int(allowed) > 0 else num_cores()


def num_cores() -> int:
    """The number of cores this process may run on; all of the machine's where the system does not say (macOS)."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return os.cpu_count() or 1


@cache
def keep_freed_memory() -> bool:
    """Lets this process keep the memory that it frees for what it allocates next; whether that could be had.

    A training step allocates and frees maps of megabytes. By glibc's defaults they go back to the system each time and
    come as fresh pages, which took a sixth of a step's time. Other C libraries stay as they are.
    """
    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018 - not glibc where it has none
        # Both: setting one ends glibc's own adaption of the other.
        return all(libc.mallopt(ctypes.c_int(what), ctypes.c_int(limit)) for what, limit in _MALLOC_LIMITS)
    except (AttributeError, OSError, TypeError):
        return False


_MALLOC_LIMITS = ((-1, 2**30), (-3, 2**25))
"""Bytes: M_TRIM_THRESHOLD, free above which memory goes back; M_MMAP_THRESHOLD, from which on an array has pages of its
own, at the most that glibc takes."""


def device_name() -> str:
    """What the models run on, such as "AMD EPYC (family 25, model 17), 2 cores" or "NVIDIA H200"."""
    return accelerator() or f"{_processor()}, {os.cpu_count()} cores"


@cache
def accelerator() -> str | None:
    """The name of the accelerator that the backend computes on; None on a CPU."""
    import keras

    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        device = jax.devices()[0]
        return None if device.platform == "cpu" else device.device_kind
    if backend == "torch":
        import torch

        return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU") if gpus else None
    return None


@cache
def has_bfloat16_units() -> bool:
    """Returns whether this machine's CPU multiplies bfloat16 numbers in hardware (AVX512_BF16 or AMX_BF16)."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return False
    flags = next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), [])
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags)


def device_ids() -> list[str]:
    """What the backend calls the devices that it computes on: the accelerators, else the CPU (one, as a rule)."""
    import keras

    backend = keras.backend.backend()
    if backend == "jax":
        return keras.distribution.list_devices()
    if backend == "tensorflow":
        import tensorflow as tf

        found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return [device.name for device in found]
    return [device_name()]


def num_replicas() -> int:
    """Over how many devices a batch is spread where this is called; 1 outside `Computing.scope`."""
    import keras

    backend = keras.backend.backend()
    if backend == "jax":
        distribution = keras.distribution.distribution()
        return 1 if distribution is None else distribution.device_mesh.devices.size
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.distribute.get_strategy().num_replicas_in_sync
    return 1


def _processor() -> str:
    try:
        return describe_processor(Path("/proc/cpuinfo").read_text())
    except OSError:
        return platform.processor() or platform.machine()


def describe_processor(cpuinfo: str) -> str:
    """Names a processor with its family and model, since one name can cover generations that differ twofold in speed.

    Args:
        cpuinfo: The content of /proc/cpuinfo.
    """
    pairs = [line.partition(":") for line in cpuinfo.splitlines()]
    found = {key.strip(): value.strip() for key, _, value in reversed(pairs)}  # the first processor's
    name = found.get("model name") or platform.machine()
    details = [f"{short} {found[key]}" for key, short in (("cpu family", "family"), ("model", "model")) if key in found]
    return f"{name} ({', '.join(details)})" if details else name


def versions(more: Sequence[str] = ()) -> dict[str, str]:
    """The versions of what the numbers depend on: Python, the library's packages and `more` of them, if there."""
    found = {"python": platform.python_version()}
    for name in dict.fromkeys((*_PACKAGES, *more)):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The commit of the library's own checkout, with "+" if tracked files differ from it; else None."""
    root = Path(__file__).resolve().parents[2]
    try:
        if Path(_git(root, "rev-parse", "--show-toplevel")) != root:
            return None
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", "lwcnn")
        return _git(root, "rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
