"""Tables of the measurements by the scripts in benchmarks/, and of the int8 exports."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from lwcnn.experiments.results import MissingInput
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.measurement import Measurement
from lwcnn.publication.names import dataset_name, display_name, named
from lwcnn.publication.tables.networks import DEPLOYED
from lwcnn.publication.tables.table import Columns, Table, table_of

_ORDER = {name: i for i, name in enumerate(("paper", "residual_se", "lwcnn", "lwcnn_jax", "keras", "torch"))}
_WEIGHTS = {"random": "random", "trained": "Wren's, from CIFAR-10"}
_ROUNDING = {
    "float32": "float32",
    "post": "int8, not trained further",
    "trained": "int8, trained further without rounding",
    "aware": "int8, trained further with rounding",
}
_CANVAS = {
    "classifier": "merged model as detector, not trained further",
    "unfrozen": "its branches under a new head: the head first, then all layers with SGD",
    "unfrozen_nadam": "the same, but all layers with Nadam",
    "at_once": "the same, all layers at once with Nadam",
    "from_scratch": "the same network from random weights",
    "unet": "U-Net from random weights",
}

COLUMNS: dict[str, Columns] = {
    # A training step of the engine, Keras and PyTorch; ratios compare rows measured under the same conditions.
    "train_step": {
        "network": "`{workload}`",
        "training step": "{contender}",
        "median s": "{median:.1f}",
        "range": lambda row: f"{min(row['seconds']):.1f} to {max(row['seconds']):.1f}",
        "speed relative to `keras`": "{times_keras}",
        "speed relative to `torch`": "{times_torch}",
    },
    # Validation accuracy of the latest weights and of their averages, for one training each.
    "averaging": {
        "network": lambda row: named(row["experiment"]),
        "training images": "{num_train_images:,}",
        "epochs": "{epochs}",
        "no average, %": "{val_accuracy[latest]:.2%}",
        "fixed decay, %": "{val_accuracy[fixed_decay]:.2%}",
        "decay with warm-up, %": "{val_accuracy[warm_up]:.2%}",
    },
    # The cost of training as one setting grows.
    "growth": {
        "what grows": "{varied}",
        "to": lambda row: f"{row[row['varied']]:,}",
        "seconds per epoch": "{seconds:.1f}",
        "peak MB": lambda row: f"{row['peak_bytes'] / 1e6:,.0f}",
        "parameters": "{params:,}",
        "MACs": "{macs:,}",
    },
    # Larger images and more classes: short runs of the paper's network and of one of ours.
    "scalability": {
        "network": lambda row: named(row["experiment"]),
        "data": lambda row: dataset_name(row["dataset"]),
        "pixels": "{size}",
        "parameters": "{params:,}",
        "MACs": "{macs:,}",
        "s per epoch": "{seconds_per_epoch:.1f}",
        "peak MB": lambda row: f"{row['peak_bytes'] / 1e6:,.0f}",
        "test %": "{test_accuracy:.2%}",
    },
    # Pruned large networks beside small ones.
    "shrink": {
        "network": lambda row: named(row["experiment"]),
        "pruned": lambda row: f"{row['sparsity']:.0%}",
        "parameters": "{params:,}",
        "not zero": "{nonzero_params:,}",
        "float32 %": "{accuracy:.2%}",
        "int8 %": "{int8_accuracy:.2%}",
        "int8 bytes": "{int8_bytes:,}",
        "after gzip": "{int8_gzip_bytes:,}",
    },
    # Strong networks with fewer hidden channels, or with fewer weights that are not zero, retrained.
    "prune": {
        "network": lambda row: named(row["experiment"]),
        "removed": "{method}",
        "epochs": "{epochs}",
        "parameters": lambda row: f"{row['before']['params']:,} to {row['params']:,}",
        "MACs": lambda row: f"{row['before']['macs']:,} to {row['macs']:,}",
        "test %, before": "{before[test_accuracy]:.2%}",
        "test %, pruned": "{pruned[test_accuracy]:.2%}",
        "test %, retrained": "{test_accuracy:.2%}",
        "int8 %": lambda row: f"{100 * row['int8_accuracy']:.2f}" if "int8_accuracy" in row else "",
        "after gzip": lambda row: f"{row['int8_gzip_bytes']:,}" if "int8_gzip_bytes" in row else "",
    },
    # MLPerf Tiny's own ResNet-8 files beside those of Wren, in one run.
    "mlperf_tiny": {
        "network": "{network}",
        "file": "{precision}",
        "bytes": "{size_bytes:,}",
        "test %": "{accuracy:.2%}",
        "ECE %": "{ece:.1%}",
        "ms (p90)": "{p50_ms:.3f} ({p90_ms:.3f})",
    },
    # Fine-tuning and training from scratch on few images: means over seeds.
    "finetune": {
        "weights at the start": lambda row: _WEIGHTS[row["weights"]],
        "epochs": "{epochs}",
        "seeds": "{count}",
        "test accuracy, %": "{mean:.2%}",
        "range": lambda row: f"{100 * row['min']:.2f} to {100 * row['max']:.2f}" if row["count"] > 1 else "",
    },
    # What each technique that needs no training changes.
    "after_training": {
        "network": lambda row: display_name(row["experiment"]),
        "technique": lambda row: row["technique"],
        "passes": "{passes}",
        "validation %": lambda row: f"{100 * np.mean(row['val_accuracy']):.2f}",
        "test %": lambda row: f"{100 * np.mean(row['test_accuracy']):.2f}",
        "points": lambda row: "" if row["technique"] == "none" else _points(row),
        "ECE %": "{ece:.2%}",
        "loss": "{loss:.3f}",
        "Brier": "{brier:.4f}",
    },
    # Quantization-aware training against post-training quantization.
    "quantization_aware": {
        "network": lambda row: display_name(row["experiment"]) + (", pruned" if "weights" in row["files"][0] else ""),
        "seeds": lambda row: str(len(row["files"])),
        "file": lambda row: _ROUNDING[row["way"]],
        "validation %": lambda row: f"{100 * np.mean(row['val_accuracy']):.2f}",
        "test %": lambda row: f"{100 * np.mean(row['test_accuracy']):.2f}",
        "points": lambda row: "" if row["way"] == "float32" else _points(row),
    },
    # Test-time augmentation of every trained network.
    "tta": {
        "network": lambda row: named(row["experiment"]),
        "data": lambda row: dataset_name(row["dataset"]),
        "test %": "{none_views[test_accuracy]:.2%}",
        "trained on mirrored images": lambda row: "yes" if row["was_mirrored"] else "no",
        "views": lambda row: "mirror" if "horizontal_flip" in row["few"] else "image twice, blur",
        "points": lambda row: _points(row["few_views"]),
        "validation": lambda row: (
            f"{100 * (row['few_views']['val_accuracy'] - row['none_views']['val_accuracy']):+.2f}"
        ),
        "ECE %": "{none_views[ece]:.1%}",
        "with TTA": "{few_views[ece]:.1%}",
        "all five, points": lambda row: _points(row["all_views"]),
    },
    # Int8 files in TensorFlow Lite Micro beside LiteRT, and the arena measured beside its estimate.
    "microcontroller": {
        "model": "{model}",
        "Micro %": "{accuracy_micro:.1%}",
        "LiteRT %": "{accuracy_litert:.1%}",
        "same class %": "{same_class_as_litert:.1%}",
        "same bits as reference %": "{same_outputs_as_reference:.1%}",
        "bytes": "{size_bytes:,}",
        "activation bytes, estimated": "{arena_bytes_estimated:,}",
        "measured": "{arena_bytes_head:,}",
        "arena bytes": "{arena_bytes_total:,}",
    },
    # Accuracy on corrupted images by severity, mean over corruptions.
    "robustness": {
        "network": lambda row: named(row["experiment"]),
        "clean": "{s0:.2%}",
        **{f"severity {severity}": f"{{s{severity}:.2%}}" for severity in range(1, 6)},
        "mean of 1 to 5": "{mean:.2%}",
    },
    # Digits on a canvas: the merged model as detector and segmenter, means over seeds.
    "canvas": {
        "network": lambda row: _CANVAS[row["model"]],
        "parameters": "{parameters:,}",
        "seeds": "{count}",
        "mean IoU of pixels %": lambda row: "" if np.isnan(row["mean_iou"]) else f"{100 * row['mean_iou']:.1f}",
        "average precision %": "{average_precision:.1%}",
    },
}

_INT8: Columns = {
    "model": lambda row: row["model"].removesuffix(".keras"),
    "Keras %": "{accuracy_keras:.2%}",
    "int8 %": "{accuracy_exported:.2%}",
    "points": lambda row: f"{0 - row['drop_points']:+.2f}",
    "same class %": "{agreement:.2%}",
    "bytes": "{size_bytes:,.0f}",
    "after gzip": "{gzip_bytes:,.0f}",
    "activation bytes": "{arena_bytes_estimated:,.0f}",
}


def _of(runtime: str, fill: Callable[[dict], str]) -> Callable[[dict], str]:
    """Returns a function that shows a measurement of a model in a runtime; `lwcnn bench` measures chosen formats."""

    def show(model: dict) -> str:
        if runtime not in model:
            raise MissingInput(f"`lwcnn bench` has not measured {model['model']} in {runtime}")
        return fill(model[runtime])

    return show


def _megabytes(row: dict) -> str:
    return f"{row['peak_memory_bytes'] / 1e6:.0f}"


_KERAS, _INT8_RUNTIME = "keras function", "litert-int8"
# Milliseconds are medians for one image.
_BENCH: Columns = {
    "model": lambda row: row["model"].removesuffix(".keras"),
    **{
        f"`{name}` ms": _of(name, "{batch1[p50_ms]:.3f}".format_map)
        for name in ("keras predict", _KERAS, "onnx", "litert")
    },
    f"`{_INT8_RUNTIME}` ms (p90)": _of(_INT8_RUNTIME, "{batch1[p50_ms]:.3f} ({batch1[p90_ms]:.3f})".format_map),
    "images/s": _of(_INT8_RUNTIME, "{images_per_second:,.0f}".format_map),
    "peak MB": _of(_INT8_RUNTIME, _megabytes),
    "peak MB of Keras": _of(_KERAS, _megabytes),
}


def benchmark_table(name: str, rows: Sequence[dict]) -> Table:
    """Returns the table of the rows that benchmarks/<name>.py measured."""
    return table_of(COLUMNS[name], _PREPARED.get(name, list)(rows))


def measured(name: str, evidence: Evidence) -> Table:
    """Returns the table of results/<name>.json."""
    return benchmark_table(name, evidence.benchmark(name)["rows"])


def int8(evidence: Evidence) -> Table:
    """The int8 files of the best-known networks: accuracy before and after, and size."""
    rows = evidence.int8_files.to_dict("records")
    return table_of(_INT8, [row for row in rows if (row["dataset"], row["experiment"]) in DEPLOYED])


def bench(evidence: Evidence) -> Table:
    """Latency, throughput and memory of the networks for deployment, by format."""
    models = evidence.benchmark("bench")["models"]
    return table_of(_BENCH, [{"model": one["model"]} | {row["name"]: row for row in one["rows"]} for one in models])


def _with_ratios(rows: Sequence[dict]) -> list[dict]:
    """Returns the rows in order, each with its speed relative to rivals measured under the same conditions."""
    frame, conditions = pd.DataFrame(rows), ["threads", "workload", "timed_images"]
    medians = frame.pivot(index=conditions, columns="contender", values="median")
    medians = medians.reindex(columns=["keras", "torch"])  # where one was not measured, its column is empty
    for rival in medians:
        theirs = medians[rival].reindex(pd.MultiIndex.from_frame(frame[conditions])).to_numpy()
        frame[f"times_{rival}"] = [f"{ratio:.2f}" if ratio > 0 else "" for ratio in theirs / frame["median"]]
    order = frame.sort_values(["threads", "workload", "contender"], key=lambda column: column.replace(_ORDER))
    return order.to_dict("records")


def _points(row: Mapping) -> Measurement:
    return Measurement(row["points"], interval=(row["low"], row["high"]), signed=True)


def _by_weights_and_epochs(rows: Sequence[dict]) -> list[dict]:
    groups = pd.DataFrame(rows).groupby(["weights", "epochs"], sort=False)["test_accuracy"]
    return groups.agg(["mean", "min", "max", "count"]).sort_values("mean").reset_index().to_dict("records")


def _by_severity(rows: Sequence[dict]) -> list[dict]:
    means = pd.DataFrame(rows).pivot_table("accuracy", "experiment", "severity", sort=False).add_prefix("s")
    return means.assign(mean=means.drop(columns="s0").mean(axis=1)).reset_index().to_dict("records")


def _by_model(rows: Sequence[dict]) -> list[dict]:
    groups = pd.DataFrame(rows).groupby(["model", "parameters"], sort=False)
    means = groups[["mean_iou", "average_precision"]].mean()
    return means.assign(count=groups.size()).reset_index().to_dict("records")


_PREPARED: dict[str, Callable[[Sequence[dict]], list[dict]]] = {
    "train_step": _with_ratios,
    "shrink": lambda rows: sorted(rows, key=lambda row: row["int8_gzip_bytes"]),
    "scalability": lambda rows: sorted(rows, key=lambda row: row["experiment"]),
    "finetune": _by_weights_and_epochs,
    "robustness": _by_severity,
    "canvas": _by_model,
}
