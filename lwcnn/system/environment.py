"""Backend-specific calls, process settings, and the identity of machine and software."""

import contextlib
import ctypes
import importlib
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
from types import ModuleType

from lwcnn.system.errors import wrong

MAX_SEED = 2**32 - 1  # the limit of Keras and NumPy
_MEMORY_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # cgroup v2 and v1
_OF_MODULES = {"tensorflow": "tensorflow-cpu", "flatbuffers": "ai-edge-litert"}  # others have their module's name
_PACKAGES = "lwcnn keras tensorflow-cpu tensorflow jax torch numba numpy opencv-python-headless".split()


def install_hint(extra: str) -> str:
    return f"pip install '.[{extra}]' in a checkout of lwcnn"  # which is not on PyPI


def require(module: str, extra: str = "export") -> ModuleType:
    """Imports a module that an extra installs, such as "ai_edge_litert.interpreter" of "export"."""
    name = module.split(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        advice = f"Install the package {_OF_MODULES.get(name, name.replace('_', '-'))}: {install_hint(extra)}"
        raise wrong(advice, f"{type(error).__name__}: {error}") from error


def load_backend() -> None:
    """Imports Keras and its backend, without their log messages."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its advice on retracing is not meant for users
    try:
        with quiet_native_output():
            import keras
    except (ImportError, ValueError) as error:
        raise wrong(
            f"Keras cannot import its backend. Install one ({install_hint('tensorflow')}; or the extra jax or torch) "
            "and set KERAS_BACKEND to it",
            f"KERAS_BACKEND={os.environ.get('KERAS_BACKEND')}, {type(error).__name__}: {' '.join(str(error).split())}",
        ) from error
    if num_processes() > 1 and keras.backend.backend() == "jax":
        import jax

        if not jax.distributed.is_initialized():  # JAX refuses a second time
            keras.distribution.initialize()


def num_processes() -> int:
    """Returns the number of processes, on all hosts, that train one model, from Keras's environment variable."""
    return _whole_number("KERAS_DISTRIBUTION_NUM_PROCESSES", 1)


def process_id() -> int:
    """Returns the index of this process among those that train one model. Process 0 writes the files."""
    return _whole_number("KERAS_DISTRIBUTION_PROCESS_ID", 0)


def _whole_number(variable: str, default: int) -> int:
    value = os.environ.get(variable, str(default))
    if not value.isdecimal():
        raise wrong(f"Set {variable} to a whole number", repr(value))
    return int(value)


@contextlib.contextmanager
def quiet_native_output() -> Iterator[None]:
    """Hides the standard error of native libraries within a block; shows it if the block fails.

    C++ code writes to the file descriptor directly, not through Python's logging.
    """
    with contextlib.ExitStack() as stack:
        try:
            sys.stderr.flush()
            captured = stack.enter_context(tempfile.TemporaryFile())
            stderr = os.dup(2)
        except (AttributeError, OSError, ValueError):  # standard error is closed, or no folder is writable
            yield
            return
        stack.callback(os.close, stderr)
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException:
            captured.seek(0)
            os.write(stderr, captured.read())
            raise
        finally:
            os.dup2(stderr, 2)


def thread_environment(num_threads: int) -> dict[str, str]:
    """Returns environment variables that limit a new process to `num_threads` threads (with JAX, only to one)."""
    names = "OMP_NUM_THREADS MKL_NUM_THREADS OPENBLAS_NUM_THREADS TF_NUM_INTRAOP_THREADS TF_NUM_INTEROP_THREADS"
    environment = dict.fromkeys(names.split(), str(num_threads))
    if num_threads == 1:
        # XLA has only this switch, no thread count.
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false"
        environment["XLA_FLAGS"] = flags.strip()
    return environment


def num_threads() -> int:
    """Returns the number of compute threads: `OMP_NUM_THREADS` if it is positive, else the number of usable cores."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    if allowed.isdecimal() and int(allowed) > 0:
        return int(allowed)
    from joblib import cpu_count  # respects the affinity of the process and the CPU quota of a container

    return cpu_count()


def memory() -> int:
    """Returns the bytes of memory of the machine, or of the container if its limit is lower."""
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in _MEMORY_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # there is no such file, or it says "max"
            found = min(found, int(Path(path).read_text()))
    return found


@cache
def keep_freed_memory() -> bool:
    """Makes glibc reuse freed memory, which saves a sixth of a step's time; returns whether that took effect."""
    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018 - AttributeError without glibc
        # Bytes of free memory above which it is returned (M_TRIM_THRESHOLD, -1), and above which arrays get pages of
        # their own (M_MMAP_THRESHOLD, -3; 2^25 is the maximum). Setting one turns off the adjustment of the other.
        return all(libc.mallopt(ctypes.c_int(what), ctypes.c_int(limit)) for what, limit in ((-1, 2**30), (-3, 2**25)))
    except (AttributeError, OSError, TypeError):
        return False


def device_name() -> str:
    """Returns the name of the compute device, such as "AMD EPYC (family 25, model 17), 2 cores" or "NVIDIA H200"."""
    return accelerator() or f"{processor()}, {os.cpu_count()} cores"


@cache
def accelerator() -> str | None:
    """Returns the name of the backend's accelerator; None on a CPU."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        device = jax.devices()[0]
        return None if device.platform == "cpu" else device.device_kind
    if keras.backend.backend() == "torch":
        import torch

        return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU") if gpus else None


@cache
def has_bfloat16_units() -> bool:
    """Returns whether this machine's CPU multiplies bfloat16 numbers in hardware (AVX512_BF16 or AMX_BF16)."""
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(_cpuinfo().get("flags", "").split())


def num_replicas() -> int:
    """Returns the number of devices that share a batch; 1 outside `Computing.scope`."""
    import keras

    if keras.backend.backend() != "jax":
        return 1
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else distribution.device_mesh.devices.size


def _cpuinfo() -> dict[str, str]:
    """Returns the fields of the first processor in /proc/cpuinfo; an empty dict if there is no such file."""
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def processor() -> str:
    """Returns the CPU's name with family and model: one name can cover generations that differ twofold in speed."""
    found = _cpuinfo()
    name = found.get("model name") or platform.processor() or platform.machine()
    details = [f"{short} {found[key]}" for key, short in (("cpu family", "family"), ("model", "model")) if key in found]
    return f"{name} ({', '.join(details)})" if details else name


def versions(more: Sequence[str] = ()) -> dict[str, str]:
    """Returns the installed versions of Python, of the packages that affect results, and of `more` packages."""
    found = {"python": platform.python_version()}
    for name in dict.fromkeys((*_PACKAGES, *more)):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine(packages: Sequence[str] = ()) -> dict:
    """Returns the device, package versions and commit, to record in files of measurements."""
    return {"device": device_name(), "versions": versions(packages), "commit": commit()}


@cache
def commit() -> str | None:
    """Returns the commit of the library's checkout, with "+" if the package differs; None outside a checkout.

    The result of the first call is kept, because imported code does not change with the checkout.
    """
    root = Path(__file__).resolve().parents[2]
    try:
        if Path(_git(root, "rev-parse", "--show-toplevel")) != root:
            return None
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", "lwcnn")
        return _git(root, "rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
