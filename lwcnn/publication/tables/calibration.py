"""Tables of calibration, before and after temperature scaling."""

from typing import NamedTuple

from lwcnn.evaluation.metrics import brier_score, cross_entropy, expected_calibration_error, scale_cross_fitted
from lwcnn.experiments.results import DATASET_ORDER, DISPLAY_NAMES, MissingInput
from lwcnn.publication.evidence import Evidence, Network
from lwcnn.publication.measurement import or_missing
from lwcnn.publication.names import named
from lwcnn.publication.tables.networks import SHIPPED
from lwcnn.publication.tables.table import Cell, Table

_PAPER = [(dataset, name) for dataset in DATASET_ORDER for name in ("paper", "paper_tuned")]
FAMILY = (
    "paper", "paper_tuned", "residual_se_small", "residual_se_muon",
    "wren_fast", "wren_5k", "wren_10k", "wren_20k", "wren_30k", "wren_30k_distilled", "wren_100k",
)  # fmt: skip
CALIBRATED = sorted(dict.fromkeys((*_PAPER, *SHIPPED)), key=lambda pair: DATASET_ORDER.index(pair[0]))


class Calibrated(NamedTuple):
    """Calibration of a network on test images, before and after temperature scaling of the same seeds.

    Temperatures were fitted on validation images, one per seed, or for each half of the test images on the other.
    """

    ece: float
    ece_scaled: float
    loss: float
    loss_scaled: float
    temperatures: tuple[float, ...]
    num_seeds: int
    on_validation: bool

    def ends(self) -> list[str]:
        """Returns the lowest and the highest temperature; one of them if they look the same."""
        return list(dict.fromkeys(f"{t:.2f}" for t in (min(self.temperatures), max(self.temperatures))))


def measure(network: Network) -> Calibrated:
    """Measures calibration on the runs scaled on validation images; without any, on the released run."""
    runs = network.runs
    scaled = runs[runs["ece_scaled"].notna()] if "ece_scaled" in runs else runs.iloc[:0]
    if len(scaled):
        ece, ece_scaled, loss, loss_scaled = scaled[["ece", "ece_scaled", "test_loss", "test_loss_scaled"]].mean()
        return Calibrated(ece, ece_scaled, loss, loss_scaled, tuple(scaled["temperature"]), len(scaled), True)
    one = network.released
    fitted, temperatures = scale_cross_fitted(one.logits, one.labels)
    both = one.logits, fitted
    ece, ece_scaled = (expected_calibration_error(logits, one.labels) for logits in both)
    loss, loss_scaled = (cross_entropy(logits, one.labels) for logits in both)
    return Calibrated(ece, ece_scaled, loss, loss_scaled, temperatures, 1, False)


def calibration(evidence: Evidence) -> Table:
    """ECE and loss of each network, before and after temperature scaling, on the same seeds."""
    groups: dict[str, list[list[Cell]]] = {}
    for dataset, name in CALIBRATED:
        cells = _cells(or_missing(measure, evidence.network(dataset, name)))
        groups.setdefault(dataset, []).append([DISPLAY_NAMES[dataset], named(name), *cells])
    head = ["data", "network", "ECE", "ECE scaled", "loss", "loss scaled", "temperature", "fitted on", "seeds"]
    return Table(head, list(groups.values()))


def _cells(found: Calibrated | MissingInput) -> list[Cell]:
    if isinstance(found, MissingInput):
        return [found, *[""] * 6]
    eces, losses = (f"{100 * ece:.2f}" for ece in found[:2]), (f"{loss:.3f}" for loss in found[2:4])
    origin = "validation" if found.on_validation else "other half"
    return [*eces, *losses, "–".join(found.ends()), origin, str(found.num_seeds)]


def family_calibration(evidence: Evidence) -> Table:
    """Three measures of calibration of the released networks, before and after temperature scaling."""
    cells: list[list[Cell]] = []
    for name in FAMILY:
        one = evidence.network("cifar10", name).released
        run = one.run.iloc[0]
        eces = [f"{100 * run[key]:.2f}" for key in ("ece", "ece_scaled")]
        losses = [f"{run[key]:.3f}" for key in ("test_loss", "test_loss_scaled")]
        briers = [f"{brier_score(one.logits / scale, one.labels):.4f}" for scale in (1, run["temperature"])]
        cells.append([named(name), f"{run['temperature']:.2f}", *eces, *losses, *briers])
    head = ["network", "temperature", "ECE %", "ECE scaled %", "loss", "loss scaled", "Brier", "Brier scaled"]
    return Table(head, [cells])
