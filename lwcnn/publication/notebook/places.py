"""Where the committed results are, whatever the working directory."""

import os
from pathlib import Path

import lwcnn
from lwcnn.experiments.folders import Folders
from lwcnn.system.errors import LwcnnError

RESULTS_VARIABLE = "LWCNN_RESULTS"
OWN_FOLDERS = Folders()
"""What the notebook itself trains: under the working directory, as `lwcnn run` has it."""


def committed_folders() -> Folders | None:
    """The committed results and the released models beside them: LWCNN_RESULTS, else those of the library's checkout.

    Returns:
        The folders; None where the library was installed without them.

    Raises:
        LwcnnError: LWCNN_RESULTS names no folder.
    """
    given = os.environ.get(RESULTS_VARIABLE)
    results = Path(os.path.expanduser(given)) if given else Path(lwcnn.__file__).resolve().parents[1] / "results"
    if not results.is_dir():
        if given:
            raise LwcnnError(f"{RESULTS_VARIABLE} must name a folder of results, or be left away. Received: {given!r}")
        return None
    return Folders(results, OWN_FOLDERS.cache, models=results.parent / "models")
