"""The file of a search: Optuna's journal, to which several processes and machines append."""

import os
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from lwcnn.system.files import write_errors_told


class Journal(JournalFileBackend):
    """Optuna's journal. A last line that a full disk or a crash cut off is removed before the next one is appended."""

    def __init__(self, path: Path):
        self._path = path.absolute()  # because the lock is a link to it
        super().__init__(str(self._path), _Lock(self._path))

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        with write_errors_told(self._path):
            super().append_logs(logs)


class _Lock(JournalFileSymlinkLock):
    """Optuna's lock of a journal. Whoever takes it to append a line finds a journal of whole lines."""

    def __init__(self, path: Path):
        self._path = path
        super().__init__(str(path))

    def acquire(self) -> bool:
        is_acquired = super().acquire()
        try:
            self._remove_incomplete_line()
        except BaseException:  # Optuna releases only a lock that it got
            self.release()
            raise
        return is_acquired

    def _remove_incomplete_line(self) -> None:
        with self._path.open("rb+") as journal:
            if journal.seek(0, os.SEEK_END):
                journal.seek(-1, os.SEEK_END)
                if journal.read() != b"\n":
                    journal.seek(0)
                    journal.truncate(journal.read().rfind(b"\n") + 1)
