"""The README's tables, and writing text between two marks of a file."""

from pathlib import Path

import pandas as pd

from lwcnn.experiments.recipes.ablation import BASELINE
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.tables.ablations import ABLATION_PRESET, method, parts
from lwcnn.publication.tables.accuracies import results
from lwcnn.publication.tables.costs import references
from lwcnn.publication.tables.folds import folds
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import StrPath, write_atomically

BEGIN, END = "<!-- results: made by `lwcnn table --write` -->", "<!-- end of results -->"


def all_tables(folder: StrPath = "results") -> str:
    """The tables of a results folder in Markdown, and what the runs were made on."""
    evidence = Evidence(folder)
    made = [results(evidence).markdown()]
    made += [method(evidence, datasets, ABLATION_PRESET).markdown()] if (datasets := _with(evidence, "paper")) else []
    made += [parts(evidence, dataset).markdown() for dataset in _with(evidence, BASELINE)]
    made += [folds(evidence).markdown(), references(evidence).markdown(), _machines(evidence.runs)]
    return "\n\n".join(text for text in made if text)


def _with(evidence: Evidence, experiment: str) -> list[str]:
    """Data sets on which an experiment was run for the ablations."""
    runs = evidence.runs[(evidence.runs["experiment"] == experiment) & (evidence.runs["preset"] == ABLATION_PRESET)]
    return list(runs["dataset"].unique())


def _machines(runs: pd.DataFrame) -> str:
    """What the runs were made on."""
    found = {
        f"{run.device}, {run.num_threads} thread{'s' if run.num_threads > 1 else ''} per run, "
        f"Keras {run.versions['keras']} on {run.backend}"
        for run in runs.itertuples()
    }
    return f"Made on: {'; '.join(sorted(found))}." if found else "No results yet."


def write_tables(readme: Path, folder: StrPath = "results") -> None:
    """Writes the tables into a file between its two marks.

    Raises:
        LwcnnError: If the file can't be read or lacks the marks.
    """
    write_between(readme, BEGIN, END, all_tables(folder))


def write_between(path: Path, begin: str, end: str, text: str) -> None:
    """Replaces what stands between two marks of a file, each on a line of its own.

    Raises:
        LwcnnError: If the file can't be read or lacks the marks.
    """
    try:
        old = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise LwcnnError(f"Can't read {path}: {error.strerror}") from error
    before, found, rest = old.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise LwcnnError(f"{path} must hold the marks {begin!r} and {end!r}, in this order.")
    write_atomically(path, f"{before}{begin}\n{text}\n{end}{after}".encode())
