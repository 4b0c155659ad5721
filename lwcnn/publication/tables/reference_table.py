"""The table of the reference and comparison networks: what they cost, what was claimed, what was trained here.

Costs are from `results/networks/<network>.json`, each written by
`lwcnn summary NETWORK --json results/networks/NETWORK.json`; latencies from `results/bench_networks.json`, written by
`lwcnn bench NETWORK... --formats litert --json results/bench_networks.json`.
"""

from dataclasses import dataclass
from pathlib import Path

from lwcnn.evaluation import mean_and_interval
from lwcnn.system.files import read_json

PRESETS_BY_SIZE = ("full", "quick")


@dataclass(frozen=True)
class Row:
    """A network of the table.

    Attributes:
        network: its name as an experiment.
        experiment: the one that trains it as it was claimed, or at its best.
        preset: of the command in the table.
        claimed: what its own text claims for CIFAR-10, in percent; "" where there is no such claim.
    """

    network: str
    experiment: str
    preset: str
    claimed: str


ROWS = (  # the claims are those of the systems' own texts: see lwcnn/models/baselines/resnet.py
    Row("se_resnet", "se_resnet", "full", "94 (validation)"),
    Row("resnet_4443", "resnet_4443_twice", "full", "94.65"),
    Row("narrow_resnet18", "narrow_resnet18", "full", "95.53"),
    Row("mobilenet_v2", "mobilenet_v2_momentum", "quick", ""),
    Row("efficientnet_b0", "efficientnet_b0", "quick", ""),
)


def reference_table(results: Path = Path("results"), dataset: str = "cifar10") -> str:
    """A row for each network whose costs are known; "" without any.

    Nothing claimed elsewhere stands in the column of what was trained here.
    """
    lines, latencies = [], _latencies(Path(results) / "bench_networks.json")
    for row in ROWS:
        path = Path(results) / "networks" / f"{row.network}.json"
        if not path.exists():
            continue
        costs = read_json(path)
        cells = [
            f"`{row.network}`",
            f"{costs['params']:,}",
            f"{costs['macs'] / 1e6:,.1f}",
            f"{costs['float32_bytes'] / 1e6:.1f}",
            f"{costs['memory_mb']['total']:.1f}",
            latencies.get(row.network, "not measured"),
            row.claimed,
            _trained(Path(results) / dataset / row.experiment),
            f"`lwcnn train {row.experiment} --dataset {dataset} --preset {row.preset} --no-release`",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    if not lines:
        return ""
    head = [
        "| network | parameters | MACs, M | float32 MB | memory MB | LiteRT ms | claimed %, not ours | test % here "
        "| trained by |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join(head + lines)


def percent(accuracies: list[float]) -> str:
    """Mean and, of several, sample standard deviation, in percent."""
    interval = mean_and_interval(accuracies)
    spread = "" if interval.std is None else f" ± {100 * interval.std:.2f}"
    return f"{100 * interval.mean:.2f}{spread}"


def _latencies(path: Path) -> dict[str, str]:
    """Median milliseconds of one image on one CPU thread, by network."""
    models = read_json(path)["models"] if path.exists() else []
    return {Path(one["model"]).stem: f"{one['rows'][0]['batch1']['p50_ms']:.2f}" for one in models}


def _trained(folder: Path) -> str:
    for preset in PRESETS_BY_SIZE:
        accuracies = [read_json(path)["test_accuracy"] for path in sorted((folder / preset).glob("seed*.json"))]
        if accuracies:
            return f"{percent(accuracies)} ({preset})"
    return "not trained here"
