"""Tables of others' networks: reference networks that are built and trained here, and published results."""

from typing import NamedTuple

from lwcnn.experiments.recipes import get_experiment
from lwcnn.experiments.results import load_networks
from lwcnn.publication.claims.literature import PUBLISHED
from lwcnn.publication.claims.measurement import mean_and_spread
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.names import named
from lwcnn.publication.tables.networks import Network
from lwcnn.publication.tables.table import Table, table_of


class Reference(NamedTuple):
    """A reference or comparison network, and the experiment that trains it as claimed or at its best.

    `claimed` is the accuracy in its own text, in percent; `epochs` that of our training where it is shorter.
    """

    network: str
    experiment: str
    preset: str
    claimed: str
    epochs: int | None = None


REFERENCES = (  # claims are those of the systems' own texts, see lwcnn/models/baselines/resnet.py
    Reference("se_resnet", "se_resnet", "full", "94 (validation)", 30),
    Reference("resnet_4443", "resnet_4443", "full", "94.65", 60),
    Reference("narrow_resnet18", "narrow_resnet18", "full", "95.53", 100),
    Reference("resnet18", "resnet18", "medium", ""),
    Reference("resnet8", "resnet8", "medium", ""),
    Reference("mobilenet_v2", "mobilenet_v2_momentum", "quick", ""),
    Reference("efficientnet_b0", "efficientnet_b0", "quick", ""),
)


def references(evidence: Evidence, dataset: str = "cifar10") -> Table:
    """Reference and comparison networks: size, cost, the claimed accuracy and that of our own runs."""
    costs = load_networks(evidence.folder).set_index("model")

    def trained(one: Reference) -> str:
        run = f"{one.experiment}-epochs{one.epochs}" if one.epochs else one.experiment
        length = f"{get_experiment(one.experiment, one.preset).num_epochs} epochs"
        length = f"{one.epochs} of {length}" if one.epochs else length
        return f"{mean_and_spread(evidence.select(dataset, run)['test_accuracy']).bare()} ({length})"

    def command(one: Reference) -> str:
        epochs = f" --epochs {one.epochs}" if one.epochs else ""
        return f"`lwcnn train {one.experiment} --dataset {dataset} --preset {one.preset}{epochs}`"

    columns = {
        "network": lambda one: named(one.network),
        "parameters": lambda one: f"{costs['params'][one.network]:,}",
        "MACs, M": lambda one: f"{costs['macs'][one.network] / 1e6:,.1f}",
        "float32 MB": lambda one: f"{costs['float32_bytes'][one.network] / 1e6:.1f}",
        "memory MB": lambda one: f"{costs['memory_mb'][one.network]['total']:.1f}",
        "LiteRT ms": lambda one: Network(evidence, "", one.network).latency("litert", 2),
        "claimed %, not ours": lambda one: one.claimed,
        "test % here": trained,
        "trained by": command,
    }
    return table_of(columns, [one for one in REFERENCES if one.network in costs.index])


def published(evidence: Evidence) -> Table:
    """Published results shown in the figures, each with its source."""
    columns = {
        "data": lambda one: one.dataset,
        "network": lambda one: one.name,
        "parameters": lambda one: f"{one.params:,}",
        "reported %": lambda one: f"{100 * one.accuracy:.2f}",
        "source": lambda one: one.source,
    }
    groups = [rows.itertuples() for _, rows in PUBLISHED.groupby("dataset", sort=False)]
    return table_of(columns, *groups)
