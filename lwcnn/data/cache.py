"""The folder in which Keras stores data sets, and this library as well."""

import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """Returns the folder in which Keras stores downloaded data sets; it may not exist."""
    home = os.environ.get("KERAS_HOME")
    folder = Path(os.path.expanduser(home)) if home else Path(os.path.expanduser("~")) / ".keras"
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(nearest, os.W_OK):  # Keras uses the temporary folder in this case
        folder = Path(tempfile.gettempdir()) / ".keras"
    return folder / "datasets"
