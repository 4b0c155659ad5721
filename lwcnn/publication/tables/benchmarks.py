"""Tables of the measurements by the scripts in benchmarks/, and of the int8 exports."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lwcnn.publication.claims.measurement import Measurement
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.names import display_name, named
from lwcnn.publication.tables.table import Cell, Table

_ORDER = ("paper", "residual_se", "lwcnn", "lwcnn_jax", "keras", "torch")


def train_step(rows: Sequence[dict]) -> Table:
    """A training step of the engine, Keras and PyTorch; ratios compare rows measured under the same conditions."""

    def place(row: dict) -> tuple[int, ...]:
        return row["threads"], *(_ORDER.index(row[key]) for key in ("workload", "contender"))

    cells = []
    for row in sorted(rows, key=place):
        alike = {
            other["contender"]: other["median"]
            for other in rows
            if all(other[key] == row[key] for key in ("threads", "workload", "timed_images"))
        }
        ratios = [f"{alike[name] / row['median']:.2f}" if name in alike else "" for name in ("keras", "torch")]
        span = f"{min(row['seconds']):.1f} to {max(row['seconds']):.1f}"
        images, median = f"{row['timed_images']:,}", f"{row['median']:.1f}"
        cells.append([str(row["threads"]), f"`{row['workload']}`", row["contender"], images, median, span, *ratios])
    head = ["threads", "network", "contender", "images timed", "median s", "range", "times `keras`", "times `torch`"]
    return Table(head, [cells])


def averaging(rows: Sequence[dict]) -> Table:
    """Validation accuracy of the latest weights and of their averages, for one training each."""
    cells = [
        [
            f"`{row['experiment']}`",
            f"{row['num_train_images']:,}",
            str(row["epochs"]),
            *(f"{100 * row['val_accuracy'][key]:.2f}" for key in ("latest", "fixed_decay", "warm_up")),
        ]
        for row in rows
    ]
    head = ["network", "training images", "epochs", "no average, %", "fixed decay, %", "decay with warm-up, %"]
    return Table(head, [cells])


def mlperf_tiny(rows: Sequence[dict]) -> Table:
    """MLPerf Tiny's own ResNet-8 files beside those of Wren, in one run."""
    cells = [
        [
            *(row["network"], row["precision"], f"{row['size_bytes']:,}"),
            *(f"{100 * row[key]:.{digits}f}" for key, digits in (("accuracy", 2), ("ece", 1))),
            f"{row['p50_ms']:.3f} ({row['p90_ms']:.3f})",
        ]
        for row in rows
    ]
    return Table(["network", "file", "bytes", "test %", "ECE %", "ms (p90)"], [cells])


def growth(rows: Sequence[dict]) -> Table:
    """The cost of training as one setting grows."""
    cells = [
        [
            *(row["varied"], f"{row[row['varied']]:,}", f"{row['seconds']:.1f}", f"{row['peak_bytes'] / 1e6:,.0f}"),
            *(f"{row['params']:,}", f"{row['macs']:,}"),
        ]
        for row in rows
    ]
    return Table(["what grows", "to", "seconds per epoch", "peak MB", "parameters", "MACs"], [cells])


def shrink(rows: Sequence[dict]) -> Table:
    """Pruned large networks beside small ones, by bytes."""
    cells = [
        [
            *(f"`{row['experiment']}`", f"{100 * row['sparsity']:.0f} %"),
            *(f"{row['params']:,}", f"{row['nonzero_params']:,}"),
            *(f"{100 * row[key]:.2f}" for key in ("accuracy", "int8_accuracy")),
            *(f"{row[key]:,}" for key in ("int8_bytes", "int8_gzip_bytes")),
        ]
        for row in sorted(rows, key=lambda row: row["int8_gzip_bytes"])
    ]
    head = ["model", "pruned", "parameters", "not zero", "float32 %", "int8 %", "int8 bytes", "after gzip"]
    return Table(head, [cells])


def finetune(rows: Sequence[dict]) -> Table:
    """Fine-tuning and training from scratch on few images: means over seeds, lowest first."""
    means = (
        pd.DataFrame(rows)
        .groupby(["weights", "epochs"], sort=False)
        .agg(
            mean=("test_accuracy", "mean"),
            lowest=("test_accuracy", "min"),
            highest=("test_accuracy", "max"),
            seeds=("seed", "count"),
        )
        .sort_values("mean")
    )
    cells: list[list[Cell]] = [
        [
            {"random": "random", "trained": "Wren's, of CIFAR-10"}[weights],
            *(str(epochs), str(row["seeds"]), f"{100 * row['mean']:.2f}"),
            f"{100 * row['lowest']:.2f} to {100 * row['highest']:.2f}" if row["seeds"] > 1 else "",
        ]
        for (weights, epochs), row in zip(means.index, means.to_dict("records"))
    ]
    head = ["weights at the start", "epochs", "seeds", "test accuracy, %", "range"]
    return Table(head, [cells])


def after_training(rows: Sequence[dict]) -> Table:
    """What each technique that needs no training changes, a group per network."""
    scores = (("ece", 100, 2), ("loss", 1, 3), ("brier", 1, 4))
    groups: dict[str, list[list[Cell]]] = {}
    for row in rows:
        gain = Measurement(row["points"], low=row["low"], high=row["high"], signed=True)
        cells: list[Cell] = [
            *(display_name(row["experiment"]), row["technique"], str(row["passes"])),
            *(f"{100 * np.mean(row[key]):.2f}" for key in ("val_accuracy", "test_accuracy")),
            "" if row["technique"] == "none" else gain,
            *(f"{scale * row[key]:.{digits}f}" for key, scale, digits in scores),
        ]
        groups.setdefault(row["experiment"], []).append(cells)
    head = ["network", "technique", "passes", "validation %", "test %", "points", "ECE %", "loss", "Brier"]
    return Table(head, list(groups.values()))


def microcontroller(rows: Sequence[dict]) -> Table:
    """Int8 files in TensorFlow Lite Micro beside LiteRT, and the arena measured beside its estimate."""
    shares = ("accuracy_micro", "accuracy_litert", "same_class_as_litert", "same_outputs_as_reference")
    sizes = ("size_bytes", "arena_bytes_estimated", "arena_bytes_head", "arena_bytes_total")
    cells = [
        [row["model"], *(f"{100 * row[key]:.1f}" for key in shares), *(f"{row[key]:,}" for key in sizes)]
        for row in rows
    ]
    head = ["model", "Micro %", "LiteRT %", "same class %", "same bits as reference %"]
    return Table([*head, "bytes", "activations, estimated", "measured", "whole arena"], [cells])


def robustness(rows: Sequence[dict]) -> Table:
    """Accuracy on corrupted images by severity, mean over corruptions."""
    frame = pd.DataFrame(rows)
    means = 100 * frame.pivot_table("accuracy", "experiment", "severity", sort=False)
    means["mean"] = means.drop(columns=0).mean(axis=1)
    cells = [[named(name), *(f"{value:.2f}" for value in row)] for name, row in zip(means.index, means.to_numpy())]
    return Table(["network", "clean", *(f"severity {s}" for s in range(1, 6)), "mean of 1 to 5"], [cells])


def int8(evidence: Evidence) -> Table:
    """Every exported int8 model: accuracy before and after, and its size."""
    records = evidence.exports[evidence.exports["format"] == "litert-int8"]
    rows: list[list[Cell]] = [
        [
            record.model.removesuffix(".keras"),
            *(f"{100 * share:.2f}" for share in (record.accuracy_keras, record.accuracy_exported)),
            Measurement(0 - record.drop_points, signed=True),
            f"{100 * record.agreement:.2f}",
            *(f"{record.size_bytes:,.0f}", f"{record.gzip_bytes:,.0f}", f"{record.arena_bytes_estimated:,.0f}"),
        ]
        for record in records.itertuples()
    ]
    head = ["model", "Keras %", "int8 %", "points", "same class %", "bytes", "after gzip", "arena bytes, estimated"]
    return Table(head, [rows])
