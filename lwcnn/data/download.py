"""Keras's own download of a data set, kept from hanging and from leaving half a file behind."""

import contextlib
import errno
import queue
import shutil
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

from lwcnn.data.checks import Splits
from lwcnn.data.sources import DATA_DIR_VARIABLE, keras_cache
from lwcnn.system.errors import LwcnnError

PROBE_SECONDS = 6.0  # for the whole question whether there is a network
STALL_SECONDS = 20.0  # for a single read, once there is one

_FASHION_FILES = tuple(
    f"fashion-mnist/{part}-ubyte.gz"
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
)
_KERAS_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
# Where Keras fetches from, and what it writes into its cache.
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
    """A named data set by Keras's download, which compares the file's checksum and keeps it in Keras's cache.

    Args:
        name: "mnist", "fashion_mnist", "cifar10" or "cifar100".

    Returns:
        The splits as Keras gives them, channels last.

    Raises:
        LwcnnError: No answer from the server within `PROBE_SECONDS`, a download that broke off, or one that
            failed its checksum. What had arrived is removed.
    """
    if not server_answers(_ORIGINS[name]):
        raise LwcnnError(
            f"{name} is not on this machine and there is no network to fetch it ({_ORIGINS[name]} does not "
            f"answer). {remedy_without_network(name)} Received: {name!r}"
        )
    if name == "fashion_mnist":
        discard_download(name)  # Keras has no checksum for these, and would keep a broken file for ever
    try:
        with _socket_timeout(STALL_SECONDS):
            import keras  # here, so that naming and reading data needs no backend

            (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, name).load_data()
            if x_train.ndim == 4 and keras.config.image_data_format() == "channels_first":
                x_train, x_test = x_train.transpose(0, 2, 3, 1), x_test.transpose(0, 2, 3, 1)
    except Exception as error:  # Keras raises a bare Exception for a failed fetch
        discard_download(name)
        raise _download_failed(name, error) from error
    except BaseException:  # Ctrl-C
        discard_download(name)
        raise
    return Splits(x_train, y_train, x_test, y_test)


def server_answers(url: str, seconds: float | None = None) -> bool:
    """Whether a server answers a request at all, whatever it says, within a time that nothing can stretch.

    The question is asked in a thread of its own, since no timeout reaches into a name look-up. It goes
    through `urllib` like the download, and so through the same proxy.

    Args:
        url: What to ask for.
        seconds: How long to wait at most, in seconds; None takes `PROBE_SECONDS`.
    """
    seconds = PROBE_SECONDS if seconds is None else seconds
    answers: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds).close()
        except urllib.error.HTTPError:
            answers.put(True)  # a refusal is an answer; the download will say more
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
    """Removes what a download of this data set has left in Keras's cache."""
    for written in _WRITTEN[name]:
        path = keras_cache() / written
        with contextlib.suppress(OSError):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def remedy_without_network(name: str) -> str:
    """What to do about a data set that is not on this machine, as a sentence."""
    return (
        f"Put {name}.npz (keys x_train, y_train, x_test, y_test) or the extracted official archive into a "
        f"folder and set {DATA_DIR_VARIABLE} to it, or use 'digits', which needs no file."
    )


def _download_failed(name: str, error: Exception) -> LwcnnError:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = f"The disk with Keras's cache ({keras_cache()}) is full: free some space and try again."
    elif "corrupted" in str(error) or "checksum" in str(error):
        advice = f"What arrived has the wrong checksum: try again later. {remedy_without_network(name)}"
    else:
        advice = f"Try again. {remedy_without_network(name)}"
    return LwcnnError(
        f"The download of {name} failed ({type(error).__name__}: {error}) and what had arrived was removed. "
        f"{advice} Received: {name!r}"
    )


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
