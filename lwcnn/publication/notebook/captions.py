"""A sentence for each figure of `lwcnn.publication.figures.catalogue`, computed from what the figure is made from.

Each holds for whatever numbers there are; what the figure lacks, its sentence lacks, too (`MissingInput`).
"""

from collections.abc import Callable

import numpy as np

from lwcnn.evaluation import mean_and_interval
from lwcnn.experiments.recipes.ablation import BASELINE as PARTS_BASELINE
from lwcnn.experiments.recipes.ablation import PARTS, WHOLE, left_out, only
from lwcnn.experiments.recipes.paper import EXPERIMENTS
from lwcnn.publication.claims.literature import published
from lwcnn.publication.figures.confusion import most_confused_pairs, row_percent
from lwcnn.publication.figures.from_results import LATENCY_RUNTIMES
from lwcnn.publication.figures.inputs import BASELINE_EXPERIMENT, Inputs, MissingInput
from lwcnn.publication.notebook import output_captions
from lwcnn.publication.tables.parts_table import compare_experiments
from lwcnn.publication.tables.tables import PAPER_ACCURACY, percent


def training_curves(inputs: Inputs) -> str:
    run = _shown_run(inputs, BASELINE_EXPERIMENT)
    reached = ", ".join(f"{100 * phase['best_val_accuracy']:.1f} % after `{phase['name']}`" for phase in run["history"])
    gap = 100 * (run["train_accuracy"] - run["test_accuracy"])
    return (
        f"On validation images the run of seed {run['seed']} has {reached}. At the end it recognises "
        f"{100 * run['train_accuracy']:.1f} % of its training images, {abs(gap):.1f} points "
        f"{'more' if gap >= 0 else 'less'} than of the test images."
    )


def confusion(inputs: Inputs) -> str:
    names, classes = inputs.compared(), inputs.class_names
    matrices = [inputs.confusion_matrix(name) for name in names]
    shares = [row_percent(matrix, classes) for matrix in matrices]
    parts = []
    for name, matrix, share in zip(names, matrices, shares):
        pairs = most_confused_pairs(matrix, 1)
        if pairs:
            label, taken = pairs[0]
            parts.append(f"`{name}` takes {share[label, taken]:.1f} % of *{classes[label]}* for *{classes[taken]}*")
    change = np.diag(shares[1]) - np.diag(shares[0])
    best, worst = int(change.argmax()), int(change.argmin())
    return (
        f"Most often {', '.join(parts) or 'nothing is mistaken'}. From `{names[0]}` to `{names[1]}` the share of right "
        f"answers changes most favourably for *{classes[best]}* ({change[best]:+.1f} points) and least so for "
        f"*{classes[worst]}* ({change[worst]:+.1f})."
    )


def accuracy_bars(inputs: Inputs) -> str:
    means = {key: _mean(runs) for key, runs in inputs.groups.items()}
    if not means:
        raise MissingInput(f"there are no results of it. Received: {inputs.dataset!r}")
    (experiment, preset), highest = max(means.items(), key=lambda item: item[1])
    text = f"Of {len(means)} experiments `{experiment}` ({preset}) is highest, with {100 * highest:.2f} %"
    paper = PAPER_ACCURACY.get(inputs.dataset)
    if paper is None:
        return f"{text}; the paper gives no figure for these images."
    count = sum(mean >= paper for mean in means.values())
    return f"{text}; {count} of them are at or above the paper's {100 * paper:.0f} %."


def per_class_accuracy(inputs: Inputs) -> str:
    parts = []
    for name in inputs.shown():
        by_class = {c: np.mean([run["per_class_accuracy"][c] for run in inputs.runs(name)]) for c in inputs.class_names}
        low, high = min(by_class, key=by_class.get), max(by_class, key=by_class.get)
        parts.append(f"`{name}` is best at *{high}* ({100 * by_class[high]:.1f} %), worst at *{low}* "
                     f"({100 * by_class[low]:.1f} %)")  # fmt: skip
    return "; ".join(parts) + "."


def ablation(inputs: Inputs) -> str:
    found = _compared_with_paper(inputs)
    if not found:
        raise MissingInput(f"no runs of `paper` and another. Received: {inputs.dataset!r}")
    low, high = min(found, key=lambda n: found[n].mean), max(found, key=lambda n: found[n].mean)
    text = (
        f"Lowest beside `paper` is `{low}` ({100 * found[low].mean:+.2f} points), highest `{high}` "
        f"({100 * found[high].mean:+.2f})"
    )
    intervals = {name: mean_and_interval(one.by_seed) for name, one in found.items() if len(one.by_seed) > 1}
    if not intervals:
        return f"{text}; one seed each gives no interval."
    worse = [name for name, one in intervals.items() if one.high < 0]
    better = [name for name, one in intervals.items() if one.low > 0]
    return (
        f"{text}. The interval drawn, of the mean over seeds, lies wholly below nought for {_listed(worse)}; wholly "
        f"above it for {_listed(better)}."
    )


def parts(inputs: Inputs) -> str:
    alone, whole = {}, {}
    for key, part in PARTS.items():
        folder, preset = inputs.folders.results / inputs.dataset, inputs.ablation_preset
        for found, names in ((alone, (only(key), PARTS_BASELINE)), (whole, (WHOLE, left_out(key)))):
            if difference := compare_experiments(folder, preset, *names):
                found[part.title] = difference
    texts = []
    for found, place in ((alone, "alone on the baseline"), (whole, "in the whole")):
        if found:
            best = max(found, key=lambda title: found[title].mean)
            sure = sum(one.low > 0 for one in found.values())
            texts.append(
                f"{place} {best} is worth most ({100 * found[best].mean:+.2f} points), and {sure} of {len(found)} "
                "parts gain with their whole interval"
            )
    if not texts:
        raise MissingInput(f"no runs of `{PARTS_BASELINE}` and a part. Received: {inputs.dataset!r}")
    text = "; ".join(texts)
    return f"{text[0].upper()}{text[1:]}."


def parameters(inputs: Inputs) -> str:
    best, runs = inputs.best_experiment, inputs.runs(inputs.best_experiment)
    text = f"`{best}` reaches {percent([r['test_accuracy'] for r in runs])} % with {runs[0]['params']:,} parameters"
    known = published(inputs.dataset, "params")
    if not known:
        return f"{text}; no published system is known here for these images."
    others = [one for one in known if one.accuracy > _mean(runs)]
    if not others:
        return f"{text}; no published system drawn here is more accurate."
    smallest = min(others, key=lambda one: one.params)
    return (
        f"{text}; the smallest published system drawn here that is more accurate, {smallest.name}, "
        f"has {smallest.params:,} ({100 * smallest.accuracy:g} %)."
    )


def training_time(inputs: Inputs) -> str:
    return _cost(inputs, lambda runs: float(np.mean([run["train_seconds"] for run in runs])), "{:,.0f} s of training")


def macs(inputs: Inputs) -> str:
    return _cost(inputs, lambda runs: runs[0]["macs"], "{:,} multiply-accumulates an image")


def int8_bytes(inputs: Inputs) -> str:
    records = inputs.exported_int8()
    sizes = [record["size_bytes"] for record in records.values()]
    drops = {name: record["drop_points"] for name, record in records.items() if record.get("drop_points") is not None}
    text = f"The {len(records)} int8 files take {min(sizes):,} to {max(sizes):,} bytes"
    if not drops:
        return f"{text}."
    worst = max(drops, key=drops.get)
    return f"{text}; the least favourable change of accuracy is {-drops[worst]:+.2f} points (`{worst}`)."


def latency(inputs: Inputs) -> str:
    for runtime in LATENCY_RUNTIMES:
        try:
            times = inputs.latencies(runtime)
        except MissingInput as error:
            missing = error
            continue
        low, high = min(times, key=times.get), max(times, key=times.get)
        return (
            f"By {runtime} one image takes {times[low]:.3g} ms (`{low}`) to {times[high]:.3g} ms (`{high}`): medians "
            "on one CPU thread."
        )
    raise missing


CAPTIONS: dict[str, Callable[[Inputs], str]] = {
    function.__name__: function
    for function in (
        training_curves, confusion, accuracy_bars, per_class_accuracy, ablation, parts, parameters, training_time, macs,
        int8_bytes, latency, output_captions.roc, output_captions.reliability, output_captions.tsne,
        output_captions.confused_pairs, output_captions.confident_errors, output_captions.gradcam,
    )
}  # fmt: skip


def _cost(inputs: Inputs, cost_of: Callable, text: str) -> str:
    costs = {name: cost_of(runs) for name, runs in inputs.experiments.items()}
    accuracies = {name: _mean(runs) for name, runs in inputs.experiments.items()}
    low, best = min(costs, key=costs.get), max(accuracies, key=accuracies.get)
    cheapest, dearest = (
        f"{text.format(costs[name])} for {100 * accuracies[name]:.2f} % (`{name}`)" for name in (low, best)
    )
    return f"The least is {cheapest}; the most accurate takes {dearest}."


def _compared_with_paper(inputs: Inputs) -> dict:
    folder, preset = inputs.folders.results / inputs.dataset, inputs.ablation_preset
    names = [name for name in EXPERIMENTS if name != BASELINE_EXPERIMENT and (name, preset) in inputs.groups]
    found = {name: compare_experiments(folder, preset, name, BASELINE_EXPERIMENT) for name in names}
    return {name: one for name, one in found.items() if one}


def _shown_run(inputs: Inputs, experiment: str) -> dict:
    """The run that the training curves are of."""
    runs = inputs.runs(experiment)
    return next((run for run in runs if run["weights"]), runs[0])


def _mean(runs: list[dict]) -> float:
    return float(np.mean([run["test_accuracy"] for run in runs]))


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"
