"""The report's sentences that depend on results: made so that they hold whichever way the numbers fall."""

from collections.abc import Callable

from lwcnn.publication.report.evidence import Evidence
from lwcnn.publication.report.sentences import deployment, errors, improved, reproduction, setup

SENTENCES: dict[str, Callable[[Evidence], str]] = {
    **setup.SENTENCES,
    **reproduction.SENTENCES,
    **improved.SENTENCES,
    **deployment.SENTENCES,
    **errors.SENTENCES,
}
