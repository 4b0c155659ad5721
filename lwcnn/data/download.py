"""Downloads data sets through Keras, with timeouts and without leaving partial files."""

import contextlib
import errno
import queue
import shutil
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

from lwcnn.data.cache import cache_folder
from lwcnn.data.checks import Splits
from lwcnn.data.sources import DATA_DIR_VARIABLE
from lwcnn.system.errors import LwcnnError

PROBE_SECONDS = 6.0  # timeout of the network check
STALL_SECONDS = 20.0  # timeout of a single read

_FASHION_FILES = tuple(
    f"fashion-mnist/{part}-ubyte.gz"
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
)
_KERAS_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
# URLs that Keras downloads from, and the files that it writes into its cache.
_ORIGINS = {
    "mnist": f"{_KERAS_URL}mnist.npz",
    "fashion_mnist": f"{_KERAS_URL}train-labels-idx1-ubyte.gz",
    "cifar10": "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    "cifar100": "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
}
_WRITTEN = {
    "mnist": ("mnist.npz",),
    "fashion_mnist": _FASHION_FILES,
    "cifar10": ("cifar-10-batches-py-target_archive", "cifar-10-batches-py-target"),
    "cifar100": ("cifar-100-python-target_archive", "cifar-100-python-target"),
}


def download_splits(name: str) -> Splits:
    """Downloads a named data set into Keras's cache; Keras verifies the checksum.

    Args:
        name: "mnist", "fashion_mnist", "cifar10" or "cifar100".

    Returns:
        Splits as loaded by Keras, channels last.

    Raises:
        LwcnnError: If the server does not answer within `PROBE_SECONDS`, the download is interrupted, or its checksum
            is wrong. Partial files are removed.
    """
    if not server_answers(_ORIGINS[name]):
        raise LwcnnError(
            f"Connect to the network to download {name} ({_ORIGINS[name]} does not answer), or {offline_hint(name)}. "
            f"Received: {name!r}"
        )
    if name == "fashion_mnist":
        discard_download(name)  # Keras has no checksums for these files and would keep a broken one
    try:
        with _socket_timeout(STALL_SECONDS):
            import keras  # not at the top: finding and reading data needs no backend

            (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, name).load_data()
            if x_train.ndim == 4 and keras.config.image_data_format() == "channels_first":
                x_train, x_test = x_train.transpose(0, 2, 3, 1), x_test.transpose(0, 2, 3, 1)
    except Exception as error:  # Keras raises a bare Exception if a download fails
        discard_download(name)
        raise _download_failed(name, error) from error
    except BaseException:  # Ctrl-C
        discard_download(name)
        raise
    return Splits(x_train, y_train, x_test, y_test)


def server_answers(url: str, seconds: float | None = None) -> bool:
    """Returns whether a server sends any response within the time limit.

    The request runs in its own thread, because a DNS lookup has no timeout. It uses `urllib` like the download, and
    hence the same proxy.

    Args:
        url: URL to request.
        seconds: Time limit in seconds. If None, `PROBE_SECONDS` is used.
    """
    seconds = PROBE_SECONDS if seconds is None else seconds
    answers: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds).close()
        except urllib.error.HTTPError:
            answers.put(True)  # an error status is a response; the download reports it
        except Exception:
            answers.put(False)
        else:
            answers.put(True)

    threading.Thread(target=ask, daemon=True, name="lwcnn-network-probe").start()
    try:
        return answers.get(timeout=seconds)
    except queue.Empty:
        return False


def discard_download(name: str) -> None:
    """Removes the files of a data set's download from Keras's cache."""
    for written in _WRITTEN[name]:
        path = cache_folder() / written
        with contextlib.suppress(OSError):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def offline_hint(name: str) -> str:
    """Returns advice on getting a data set without a download, as a clause for error messages."""
    return (
        f"put {name}.npz (keys x_train, y_train, x_test, y_test) or the extracted official archive into a folder and "
        f"set {DATA_DIR_VARIABLE} to it, or use 'digits', which needs no file"
    )


def _download_failed(name: str, error: Exception) -> LwcnnError:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = f"Free disk space for Keras's cache ({cache_folder()}) and try again"
    elif "corrupted" in str(error) or "checksum" in str(error):
        advice = f"Try again later, because the checksum is wrong, or {offline_hint(name)}"
    else:
        advice = f"Try again, or {offline_hint(name)}"
    return LwcnnError(
        f"{advice}; the download of {name} failed ({type(error).__name__}: {error}) and partial files were removed. "
        f"Received: {name!r}"
    )


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
