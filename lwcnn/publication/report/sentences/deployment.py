"""Sizes, latencies and calibration in words."""

import contextlib
from collections.abc import Callable

import numpy as np

from lwcnn.publication.figures.inputs import MissingInput
from lwcnn.publication.report.calibrated import CALIBRATED, measure
from lwcnn.publication.report.evidence import Evidence
from lwcnn.publication.report.latex import code, joined, number_word, percent, whole

INT8_LIMIT = 0.3  # points that an int8 file may lose
MAIN_MODEL = "cifar10-paper"


def int8(evidence: Evidence) -> str:
    """How much the int8 files lose."""
    records = [record for (_, kind), record in evidence.exports.items() if kind == "litert-int8"]
    if not records:
        raise MissingInput("no model was exported as int8")
    within = sum(record["drop_points"] <= INT8_LIMIT for record in records)
    worst = max(records, key=lambda record: record["drop_points"])
    count = f"all {len(records)}" if within == len(records) else f"{within} of {len(records)}"
    return (
        f"{count} exported models lose at most {INT8_LIMIT} points in int8; the most is "
        f"{worst['drop_points']:.2f} ({code(worst['model'].removesuffix('.keras'))})"
    )


BUSY_LOAD = 1.5  # load average; the benchmark itself is one process


def latency(model: str, runtime: str, digits: int) -> Callable[[Evidence], str]:
    """Median milliseconds of a model."""
    return lambda evidence: f"{evidence.latency(model, runtime):.{digits}f}"


def load(evidence: Evidence) -> str:
    """How busy the machine of the benchmark was."""
    machine = evidence.measured("bench")["machine"]
    before, after = (machine[f"load_average_{when}"] for when in ("before", "after"))
    state = "busy with other work" if max(before, after) > BUSY_LOAD else "otherwise idle"
    return f"{state} (load average {before:.1f} before and {after:.1f} after)"


def calibration_claim(evidence: Evidence) -> str:
    """Whether the extension's network is better calibrated than the reproduction's."""
    improved, baseline = (
        float(np.mean([run["ece"] for run in evidence.runs("cifar10", name)]))
        for name in ("repo_residual_se", "repo_baseline")
    )
    verdict = "holds" if improved < baseline else "does not hold"
    return f"{verdict} (ECE {percent(improved)}\\,\\% against {percent(baseline)}\\,\\%, means over seeds)"


def scaling(evidence: Evidence) -> str:
    """For how many networks temperature scaling lowers the ECE."""
    found = []
    for dataset, name in CALIBRATED:
        with contextlib.suppress(MissingInput):  # the table says which
            found.append(measure(evidence, dataset, name))
    if not found:
        raise MissingInput("the calibration of no network was measured")
    lower = sum(one.ece_scaled < one.ece for one in found)
    return f"{number_word(lower)} of the {number_word(len(found))} networks measured"


def shrinking(evidence: Evidence) -> str:
    """What the pruned networks of others reach at no more bytes than the improved network has."""
    rows = evidence.measured("shrink")["rows"]
    small = next((row for row in rows if row["experiment"] == "residual_se"), None)
    pruned = [row for row in rows if row["sparsity"] and small and row["int8_gzip_bytes"] <= small["int8_gzip_bytes"]]
    if not pruned:
        raise MissingInput("no pruned network comes to the bytes of `residual_se`")
    best = max(pruned, key=lambda row: row["int8_accuracy"])
    return (
        f"the best of {number_word(len(pruned))} pruned networks that take no more bytes after gzip "
        f"({code(best['experiment'])}, {100 * best['sparsity']:.0f}\\,\\% of its weights zero) has "
        f"{percent(best['int8_accuracy'])}\\,\\%, {code('residual_se')} {percent(small['int8_accuracy'])}\\,\\%"
    )


def training_speed(evidence: Evidence) -> str:
    """A training step here against plain Keras and native PyTorch."""
    rows = evidence.measured("train_step")["rows"]
    texts = []
    for workload in dict.fromkeys(row["workload"] for row in rows):
        threads = sorted({row["threads"] for row in rows if row["workload"] == workload})
        found = [
            {row["contender"]: row["median"] for row in rows if (row["workload"], row["threads"]) == (workload, count)}
            for count in threads
        ]
        ours, *others = (
            f"{joined([f'{median[name]:.1f}' for median in found], 'and')} {title}".strip()
            for name, title in {"lwcnn": "seconds", **_CONTENDERS}.items()
            if all(name in median for median in found)
        )
        texts.append(
            f"{ours} for {code(workload)} on {joined([str(t) for t in threads], 'and')} threads ({', '.join(others)})"
        )
    return "; ".join(texts)


_CONTENDERS = {"keras": "in plain Keras", "torch": "in PyTorch, channels last"}


def calibration_images(evidence: Evidence) -> str:
    """How many training images int8 files were calibrated on."""
    counts = {record["num_calibration_images"] for (_, kind), record in evidence.exports.items() if "int8" in kind}
    if not counts:
        raise MissingInput("no model was exported as int8")
    return joined([whole(count) for count in sorted(counts)], "or")


SENTENCES: dict[str, Callable[[Evidence], str]] = {
    "int8": int8,
    "calibration images": calibration_images,
    "latency int8": latency(MAIN_MODEL, "litert-int8", 3),
    "latency float": latency(MAIN_MODEL, "litert", 3),
    "latency predict": latency(MAIN_MODEL, "keras predict", 0),
    "benchmark load": load,
    "scaling lowers": scaling,
    "calibration claim": calibration_claim,
    "shrinking": shrinking,
    "training speed": training_speed,
}
