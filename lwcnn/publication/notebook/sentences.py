"""Sentences and tables on models and runs, computed from them; those of the figures are in `lwcnn.publication.notebook.captions`."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from lwcnn.data import Dataset
from lwcnn.evaluation import MeanInterval, mean_and_interval
from lwcnn.models.cost import count_macs
from lwcnn.models.merge import MergeCheck
from lwcnn.publication.claims.claims import CLAIMS, PAPER
from lwcnn.publication.claims.literature import published
from lwcnn.publication.figures.architecture import Box
from lwcnn.publication.figures.inputs import MissingInput
from lwcnn.publication.tables.tables import PAPER_ACCURACY, percent
from lwcnn.system.files import read_json

ROUNDING = 1e-5  # of the largest value: some hundred roundings of float32
_CLAIMED_COUNTS = {(28, 28, 1): "parameters, MNIST", (32, 32, 3): "parameters, CIFAR-10"}


def describe_classes(data: Dataset) -> str:
    """How many training images the classes have."""
    counts = np.bincount(data.y_train, minlength=data.num_classes)
    spread = f"{counts.min():,}" if counts.min() == counts.max() else f"{counts.min():,} to {counts.max():,}"
    return (
        f"A training image of each class, as models get them: 0 to 255, here {data.x_train.min()} to "
        f"{data.x_train.max()}, scaled inside the model. Each class has {spread} training images."
    )


def count_table(models: Sequence[keras.Model]) -> str:
    """Parameters of models."""
    rows = [f"| {model.name} | {model.count_params():,} |" for model in models]
    return "\n".join(["| model | parameters |", "|---|---|", *rows])


def compare_count(merged: keras.Model) -> str:
    """The merged model's parameters beside the paper's claim, if it has one for such images."""
    params, what = merged.count_params(), _CLAIMED_COUNTS.get(tuple(merged.input_shape[1:]))
    if what is None or merged.output_shape[-1] != 10:
        return f"The merged model has {params:,} parameters; the paper gives no count for such images."
    claimed = next(one.claimed for one in CLAIMS if (one.system, one.what) == (PAPER, what))
    number = int(claimed.split()[-1].replace(",", ""))
    holds = params < number if claimed.startswith("less than") else params == number
    verdict = "holds" if holds else "does not hold"
    return f"The merged model has {params:,} parameters; the paper claims {claimed} ({what}), which {verdict}."


def describe_layers_of(boxes: Sequence[Box]) -> str:
    """Where the parameters of a merged model are."""
    total = sum(box.params for box in boxes)
    largest = max(boxes, key=lambda box: box.params)
    converted = sum(box.params for box in boxes if box.name.endswith("_dense_as_conv"))
    return (
        f"The largest layer, `{largest.name}`, has {100 * largest.params / total:.0f} % of the {total:,} parameters; "
        f"the dense layers that became 1x1 convolutions have {100 * converted / total:.0f} % together."
    )


def describe_branches(record: dict) -> str:
    """How the submodels end stage 1, on un-augmented validation images."""
    epoch = record["history"][record["best_epoch"] - 1]
    ending = "_logits_val_accuracy"
    found = {key.removesuffix(ending): value for key, value in epoch.items() if key.endswith(ending)}
    shown = ", ".join(f"`{name}` {100 * value:.1f} %" for name, value in found.items())
    best, worst = max(found, key=found.get), min(found, key=found.get)
    return (
        f"After epoch {record['best_epoch']} of {record['epochs']}, whose weights are kept, the submodels recognise of "
        f"the un-augmented validation images: {shown}. `{best}` is ahead by "
        f"{100 * (found[best] - found[worst]):.1f} points."
    )


def describe_merge(checks: Sequence[MergeCheck]) -> str:
    """Whether the merge is exact: a table, and what it shows."""
    lines = ["| branch | same weights | largest difference of logits | largest logit |", "|---|---|---|---|"]
    lines += [
        f"| {one.name} | {'yes, to the bit' if one.same_weights else 'no'} | {one.largest_difference:.1e} | "
        f"{one.largest_logit:.1f} |"
        for one in checks
    ]
    relative = max(one.largest_difference / max(one.largest_logit, 1e-30) for one in checks)
    exact = all(one.same_weights for one in checks) and relative <= ROUNDING
    verdict = "the merge is exact, but for the rounding of float32" if exact else "the merge is not exact"
    return "\n".join([*lines, "", f"The logits differ by {relative:.1e} of the largest at most: {verdict}."])


def unfreezing_table(run: dict, merged: keras.Model) -> str:
    """What each phase after the merge trains."""
    lines = ["| phase | trains | parameters | epochs | validation accuracy |", "|---|---|---|---|---|"]
    for phase in run["history"][1:]:
        params = sum(merged.get_layer(name).count_params() for name in phase["trains"])
        everything = params == merged.count_params()
        names = "everything" if everything else ", ".join(f"`{name}`" for name in phase["trains"])
        lines.append(
            f"| {phase['name']} | {names} | {params:,} | {phase['epochs']} | {100 * phase['best_val_accuracy']:.2f} % |"
        )
    return "\n".join(lines)


def describe_unfreezing(run: dict) -> str:
    """What the last phase adds, and the end on the test images beside the paper's figure."""
    before, last = run["history"][-2:]
    gain = 100 * (last["best_val_accuracy"] - before["best_val_accuracy"])
    paper = PAPER_ACCURACY.get(run["dataset"])
    beside = f"the paper says {100 * paper:.0f} %" if paper else "the paper has no figure for these images"
    signs = "; ".join(run["warnings"])
    return (
        f"Phase `{last['name']}` changes the validation accuracy by {gain:+.2f} points. Of the test images the run of "
        f"seed {run['seed']} (preset `{run['preset']}`) recognises {100 * run['test_accuracy']:.2f} %; {beside}. "
        f"{f'Signs of trouble: {signs}.' if signs else 'None of the signs of trouble that the paper lists shows.'}"
    )


def compare_runs(runs: Sequence[dict], committed: MeanInterval | None) -> str:
    """The runs made here beside the committed ones of the same preset."""
    shown = ", ".join(f"seed {run['seed']} {100 * run['test_accuracy']:.2f} %" for run in runs)
    if committed is None:
        return f"Test accuracy: {shown}."
    spread = f" ± {100 * committed.std:.2f}" if committed.std is not None else ""
    here = float(np.mean([run["test_accuracy"] for run in runs]))
    return (
        f"Test accuracy: {shown}. The committed runs of this preset have {100 * committed.mean:.2f}{spread} % "
        f"({committed.num_values} seed{'s' if committed.num_values > 1 else ''}); the runs here lie "
        f"{100 * (here - committed.mean):+.2f} points from their mean."
    )


def describe_kfold(results: Path, dataset: str, fallback: str = "mnist") -> str:
    """What the K-fold assessments of a data set say, or, where it has none, those of another.

    Raises:
        MissingInput: neither has any.
    """
    for name in (dataset, fallback):
        found = [read_json(path) for path in sorted((Path(results) / name).glob("*/*/kfold*.json"))]
        if found:
            break
    else:
        raise MissingInput(f"no K-fold assessment. Received: {dataset!r}")
    texts = []
    for one in found:
        text = f"`{one['experiment']}` ({one['preset']}) on {one['dataset']}, {len(one['accuracies'])} folds: "
        text += f"{percent(one['accuracies'])} %"
        if one["leaking"]:
            test = 100 * one["test_accuracy"]
            text += f" with a model that is never reset, {100 * one['leak']:+.2f} points beside its test accuracy, "
            text += f"{test:.2f} %"
        else:
            spread = 100 * (max(one["accuracies"]) - min(one["accuracies"]))
            text += f" with every fold from scratch, the folds at most {spread:.2f} points apart"
        texts.append(text)
    own = "" if name == dataset else f"There is none of {dataset} (`lwcnn kfold paper --dataset {dataset}` makes one). "
    return f"{own}{'; '.join(texts)}."


def describe_improved(runs: Sequence[dict], baseline: Sequence[dict]) -> str:
    """An improved model's runs beside those of the paper's and the extension's claim."""
    params, mean = runs[0]["params"], mean_and_interval([run["test_accuracy"] for run in runs]).mean
    base = mean_and_interval([run["test_accuracy"] for run in baseline]).mean
    name, seeds = runs[0]["experiment"], f"{len(runs)} seed{'s' if len(runs) > 1 else ''}"
    text = (
        f"`{name}` ({runs[0]['preset']}, {seeds}): {params:,} parameters, "
        f"{percent([r['test_accuracy'] for r in runs])} % of the test images, {100 * (mean - base):+.2f} points beside "
        f"`{baseline[0]['experiment']}` ({baseline[0]['preset']}) with {baseline[0]['params']:,}."
    )
    rerun = [one for one in published(runs[0]["dataset"], "params") if one.name == "residual SE rerun"]
    if rerun:
        verdict = "above" if mean > rerun[0].accuracy else "not above"
        text += f" That is {verdict} the extension's {100 * rerun[0].accuracy:g} % with {rerun[0].params:,}."
    return text + _signs(runs[0])


def _signs(run: dict) -> str:
    signs = "; ".join(run.get("warnings", ()))
    return f" Signs of trouble: {signs}." if signs else ""


def describe_search(found: dict[str, dict], num_trials: int) -> str:
    """What the trials of the search say, on validation images.

    Args:
        found: each finished trial's result by name, `base` among them.
        num_trials: how many there are in all.
    """
    best = max(found, key=lambda name: found[name]["val_accuracy"])
    above = sum(one["val_accuracy"] > found["base"]["val_accuracy"] for one in found.values())
    return (
        f"{len(found)} of {num_trials} trials are done, {found['base']['epochs']} epochs each, at most "
        f"{max(one['params'] for one in found.values()):,} parameters. The base reaches "
        f"{100 * found['base']['val_accuracy']:.2f} % of the validation images, {above} of the others more, "
        f"and `{best}` most, {100 * found[best]['val_accuracy']:.2f} %. Each has one seed: a few tenths say "
        "nothing."
    )


def describe_audit(rows: Sequence) -> str:
    """How many claims could be held against a measurement."""
    measured = sum(row.measured for row in rows)
    systems = len({row.system for row in rows})
    return (
        f"{len(rows)} claims of {systems} systems; {measured} are held against a measurement or a count of ours here, "
        f"{len(rows) - measured} still lack a run, whose command stands in their row."
    )


def describe_network(network: keras.Model, merged: keras.Model) -> str:
    """The size of a network beside that of the paper's merged model."""
    params = [model.count_params() for model in (network, merged)]
    macs = [count_macs(model) for model in (network, merged)]
    return (
        f"It has {params[0] / params[1]:.2f} times the parameters of the paper's merged model ({params[0]:,} beside "
        f"{params[1]:,}), moving statistics included, and {macs[0] / macs[1]:.1f} times its multiply-accumulates."
    )


def describe_own(data: Dataset, result: dict) -> str:
    """A run on the user's own data."""
    return (
        f"`{data.name}`: {len(data.x_train):,} training images of {data.num_classes} classes; `{result['experiment']}` "
        f"with {result['params']:,} parameters recognises {100 * result['test_accuracy']:.1f} % of "
        f"{len(data.x_test):,} test images after {result['train_seconds']:.0f} s of training."
        f"{_signs(result)}"
    )


def describe_predictions(predicted: np.ndarray, labels: np.ndarray) -> str:
    """How many of some predictions are right."""
    return f"{int(np.sum(predicted == labels))} of these {len(labels)} predictions are right."
