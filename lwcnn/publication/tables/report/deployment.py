"""What the networks cost to run, how they grow with the image, and how well they are calibrated."""

from collections.abc import Callable, Sequence

from lwcnn.publication.report.calibrated import CALIBRATED, measure
from lwcnn.publication.report.evidence import Counts, Evidence
from lwcnn.publication.report.latex import DISPLAY_NAMES, NOT_RUN, code, percent, signed, tabular, whole

SHIPPED = (
    ("mnist", "paper"),
    ("mnist", "residual_se"),
    ("fashion_mnist", "residual_se"),
    ("cifar10", "paper"),
    ("cifar10", "residual_se_small"),
    ("cifar10", "residual_se"),
    ("cifar10", "residual_se_distilled"),
    ("cifar10", "residual_se_muon"),
    ("cifar10", "repo_residual_se"),
    ("cifar10", "repo_baseline"),
)
SIDES = (32, 64, 96, 224)
RUNTIMES = ("litert", "litert-int8", "onnx")


def efficiency(evidence: Evidence) -> str:
    """Parameters, multiply-accumulates, int8 file and latency of the networks that one would ship."""
    groups: dict[str, list[list[str]]] = {}
    for dataset, name in SHIPPED:
        model, counted = f"{dataset}-{name}", evidence.counts(dataset, name)
        exported = _cells(evidence, _exported, model, ("size_bytes", "gzip_bytes", "drop_points"))
        times = _cells(evidence, _latency, model, RUNTIMES)
        row = [
            DISPLAY_NAMES[dataset],
            code(name),
            whole(counted.params),
            f"{counted.macs / 1e6:.2f}",
            *exported,
            *times,
        ]
        groups.setdefault(dataset, []).append(row)
    head = ["data", "network", "parameters", "MACs, M", "int8, bytes", "gzip", "points", "LiteRT", "int8", "ONNX"]
    return tabular("@{}llrrrrrrrr@{}", head, list(groups.values()))


def _cells(evidence: Evidence, make: Callable[..., str], model: str, keys: Sequence[str]) -> list[str]:
    """What a function makes of each key; where the first is "not run", dashes for the others."""
    first = evidence.or_not_run(make, evidence, model, keys[0])
    if first == NOT_RUN:
        return [first, *["--"] * (len(keys) - 1)]
    return [first, *(evidence.or_not_run(make, evidence, model, key) for key in keys[1:])]


def _exported(evidence: Evidence, model: str, key: str) -> str:
    """A figure of the int8 file; what it loses becomes what it gains."""
    found = evidence.export(model, "litert-int8")[key]
    return signed(-found) if key == "drop_points" else whole(found)


def _latency(evidence: Evidence, model: str, runtime: str) -> str:
    return f"{evidence.latency(model, runtime):.3f}"


def image_sizes(evidence: Evidence) -> str:
    """Parameters and multiply-accumulates of two networks for larger images."""
    rows = []
    for side in SIDES:
        cells = []
        for name in ("paper", "residual_se"):
            counted: Counts = evidence.counts("cifar10", name, side)
            cells += [whole(counted.params), f"{counted.macs / 1e6:.1f}"]
        rows.append([rf"${side}\times{side}$", *cells])
    head = ["image", "merged, parameters", "MACs, M", code("residual_se") + ", parameters", "MACs, M"]
    return tabular("@{}lrrrr@{}", head, [rows])


def calibration(evidence: Evidence) -> str:
    """ECE and loss of each network, before and after temperature scaling."""
    groups: dict[str, list[list[str]]] = {}
    for dataset, name in CALIBRATED:
        shown = evidence.or_not_run(_calibrated, evidence, dataset, name)
        if shown == NOT_RUN:
            shown = " & ".join([shown, *["--"] * 6])
        groups.setdefault(dataset, []).append([DISPLAY_NAMES[dataset], code(name), shown])
    head = ["data", "network", "ECE", "scaled", "loss", "scaled", "temperature", "fitted on", "seeds"]
    return tabular("@{}lllllllll@{}", head, list(groups.values()))


def _calibrated(evidence: Evidence, dataset: str, name: str) -> str:
    found = measure(evidence, dataset, name)
    temperatures = [f"{t:.2f}" for t in (min(found.temperatures), max(found.temperatures))]
    cells = [
        percent(found.ece),
        percent(found.ece_scaled),
        f"{found.loss:.3f}",
        f"{found.loss_scaled:.3f}",
        "--".join(dict.fromkeys(temperatures)),
        "validation" if found.on_validation else "other half",
        str(found.num_seeds),
    ]
    return " & ".join(cells)
