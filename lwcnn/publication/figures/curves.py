"""Figures of training curves, of K-fold cross-validation, and of accuracy on corrupted images."""

import itertools
from collections.abc import Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from lwcnn.experiments.results import MissingInput
from lwcnn.publication.evidence import planned_phases
from lwcnn.publication.figures import style
from lwcnn.publication.figures.inputs import Inputs, describe_runs
from lwcnn.publication.figures.style import BASELINE, BEST, BLACK, COLORS, GREEN, Look, new_panels, styled, up_to_100
from lwcnn.publication.names import budget, display_name
from lwcnn.system.errors import wrong

QUANTITIES = {"accuracy": "accuracy, %", "loss": "loss, nats"}
WHOLE = "whole model"
BY_CORRUPTION = ("paper_tuned", "residual_se_muon", "wren_30k_distilled", "wren_100k")  # more would cover each other
TRAINING, VALIDATION = "training images, during the epoch", "validation images, after it"
_PHASE_NAMES = {"dual": "stage 1: both branches", "head": "stage 2: head", "all": "stage 2: all layers"}


@styled(6.5, 3.2)
def plot_training_curves(phases: Sequence[dict], quantity: str = "accuracy", title: str = "", *, ax: Axes):
    """Draws accuracy or loss by epoch, phase after phase of a result's `history`; in stage 1, for each branch.

    Training values (dashed) are means over an epoch, with dropout, augmentation and changing weights. Validation
    values (solid) are of un-augmented images after the epoch; results of earlier versions hold no validation loss.
    """
    if quantity not in QUANTITIES:
        raise wrong(f"quantity must be one of {', '.join(QUANTITIES)}", repr(quantity))
    values = _values(phases, quantity)
    parts = list(values["part"].unique())
    colors = dict(zip([part for part in parts if part != WHOLE], (BASELINE, BEST, GREEN))) | {WHOLE: BLACK}
    sns.lineplot(
        values, x="epoch", y="value", hue="part", style="images", units="phase", estimator=None,
        palette={part: colors[part] for part in parts}, dashes={TRAINING: (3, 1.5), VALIDATION: ""}, ax=ax,
        markers={TRAINING: "X", VALIDATION: "o"} if any(len(phase["history"]) == 1 for phase in phases) else False,
    )  # fmt: skip
    first, names = 1, _PHASE_NAMES if phases[0]["name"] == "dual" else {"all": "all layers"}
    for i, phase in enumerate(phases):
        last = first + len(phase["history"]) - 1
        if i % 2:
            ax.axvspan(first - 0.5, last + 0.5, color="#F2F2F2", zorder=0, linewidth=0)
        name = names.get(phase["name"], phase["name"].replace("_", " "))
        text = "" if len(phases) == 1 else name.replace(": ", "\n")
        where = ((first + last) / 2, 1.01)
        ax.annotate(text, where, xycoords=ax.get_xaxis_transform(), ha="center", va="bottom", fontsize=6.5)
        first = last + 1
    ax.set_xlim(0.5, first - 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    ax.set_ylabel(QUANTITIES[quantity])
    ax.set_title(title, pad=22 if len(phases) > 1 else None)
    handles = {text: handle for handle, text in zip(*ax.get_legend_handles_labels()) if text not in values.columns}
    if len(parts) == 1:
        del handles[WHOLE]
    ax.legend(list(handles.values()), list(handles), loc="center left", bbox_to_anchor=(1.01, 0.5))


def _values(phases: Sequence[dict], quantity: str) -> pd.DataFrame:
    """Returns a row per value: epoch, phase, part of the model, kind of images and value."""
    scale, rows, epoch = (100 if quantity == "accuracy" else 1), [], 0
    for i, phase in enumerate(phases):
        for record in phase["history"]:
            epoch += 1
            for key, value in record.items():
                part, _, measured = key.rpartition("_logits_")
                if measured not in (quantity, f"val_{quantity}"):
                    continue
                if not part and any(name.endswith(f"_logits_{quantity}") for name in record):
                    continue  # sums and means over branches
                images = VALIDATION if measured.startswith("val_") else TRAINING
                rows.append((epoch, i, f"{part} branch" if part else WHOLE, images, scale * value))
    return pd.DataFrame(rows, columns=["epoch", "phase", "part", "images", "value"])


def training_curves(inputs: Inputs) -> Figure:
    """Accuracy, loss and learning rate by epoch of baseline and best."""
    released = [one.released.run for one in inputs.compared]
    figure, axes = new_panels(4.6 * len(released), 6.8, len(released), 3, sharex="col", height_ratios=(3, 3, 2))
    for column, run in enumerate(released):
        (one,) = run.itertuples()
        accuracy, loss, rate = axes[column :: len(released)]
        plot_training_curves(one.history, "accuracy", describe_runs(run), ax=accuracy)
        plot_training_curves(one.history, "loss", ax=loss)
        rates = _learning_rates(one.config, one.history, one.num_train_images)
        rate.plot(range(1, len(rates) + 1), rates, color=BLACK)
        rate.set(xlabel="epoch", ylabel="learning rate", yscale="log", ylim=(min(rates) / 4, 4 * max(rates)))
        rate.yaxis.set_minor_formatter(NullFormatter())
        sns.move_legend(accuracy, "lower right", bbox_to_anchor=(1, 0))
        if legend := loss.get_legend():  # the same as the accuracy's
            legend.remove()
        accuracy.set_xlabel("")
        loss.set_xlabel("")
        if not any("val_loss" in record for phase in one.history for record in phase["history"]):
            loss.set_ylabel("training loss, nats")
    limits = [ax.get_ylim() for ax in axes[: len(released)]]
    for ax in axes[: len(released)]:
        ax.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
    counts = f"{one.num_train_images:,} training and {one.num_val_images:,} validation images"
    figure.suptitle(inputs.title("Training curves", counts))
    return figure


def _learning_rates(config: dict, phases: Sequence[dict], num_images: int) -> list[float]:
    """Returns the learning rate in the middle of each epoch, as scheduled over the planned epochs of its phase."""
    rates = []
    for planned, phase in zip(planned_phases(config, num_images), phases):
        optimizer = planned["optimizer"].build(2 * planned["epochs"])
        for half_epochs in range(1, 2 * len(phase["history"]), 2):
            optimizer.iterations.assign(half_epochs)
            rates.append(float(optimizer.learning_rate))
    return rates


def folds(inputs: Inputs) -> Figure:
    """Accuracy of each fold, and its curves where they were recorded: from scratch, and never reset as published."""
    found = inputs.evidence.folds
    found = found[found["dataset"] == inputs.dataset]
    if found.empty:
        raise MissingInput(f"no K-fold cross-validation was run on it. Received: {inputs.dataset!r}")
    found = found[found["preset"] == found["preset"].iloc[0]]  # the largest
    ways = found["leaky"].map({True: "model never reset, as published", False: "each fold from scratch"})
    procedures = found["experiment"].map(display_name) + ": " + ways
    found = found.assign(procedure=procedures, fold=found["fold"] + 1, accuracy=100 * found["accuracy"])
    recorded = found[found["history"].notna()].groupby("procedure", sort=False)
    figure, axes = new_panels(5.6, 3.0 * (1 + len(recorded)), 1, 1 + len(recorded))
    look = {"hue": "procedure", "style": "procedure", "palette": COLORS[: procedures.nunique()], "s": 40}
    sns.scatterplot(found, x="fold", y="accuracy", ax=axes[0], **look)
    leaky = found[found["leaky"].astype(bool)]
    for test_accuracy in leaky["test_accuracy"].head(1) if len(leaky) else ():  # only these have one
        label = "the model that is never reset, on the test images"
        axes[0].axhline(100 * test_accuracy, color=BLACK, linewidth=0.9, linestyle=(0, (4, 2)), label=label)
    axes[0].set(xlabel="fold", ylabel="accuracy on the fold, %", ylim=up_to_100(*axes[0].get_ylim()))
    if len(axes[0].get_legend_handles_labels()[1]) > 1:
        axes[0].legend(loc="upper center", bbox_to_anchor=(0.5, -0.15))
    else:  # the next panel's title names the only procedure
        axes[0].legend_ = None
    for (name, some), ax in zip(recorded, axes[1:]):
        for fold, phases in zip(some["fold"], some["history"]):
            values = [100 * record["val_accuracy"] for phase in phases for record in phase["history"]]
            ends = [last - 1 for last in itertools.accumulate(len(phase["history"]) for phase in phases)]
            ax.plot(range(1, len(values) + 1), values, "-o", markersize=4, markevery=ends, label=f"fold {fold}")
        ax.set(xlabel="epoch (dot: a phase ends)", ylabel="validation accuracy, %", title=name)
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    for ax in axes:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.suptitle(inputs.title("K-fold cross-validation", budget(found["preset"].iloc[0])))
    return figure


def robustness(inputs: Inputs) -> Figure:
    """Accuracy of the released networks on corrupted test images, by severity and by corruption."""
    if inputs.dataset != "cifar10":
        raise MissingInput(f"it was measured on CIFAR-10. Received: {inputs.dataset!r}")
    measured = inputs.evidence.benchmark("robustness")
    frame = pd.DataFrame(measured["rows"])
    frame["accuracy, %"], frame["network"] = 100 * frame["accuracy"], frame["experiment"].map(display_name)
    figure, axes = new_panels(9.0, 3.4, 2, width_ratios=(1, 1.6), sharey=True)
    looks = dict(zip(frame["network"].unique(), zip(COLORS, style.MARKERS)))
    colors, markers = ({name: look[i] for name, look in looks.items()} for i in (0, 1))
    look: Look = {"y": "accuracy, %", "hue": "network", "palette": colors, "errorbar": None, "markersize": 5}
    look["markeredgewidth"] = 0
    sns.lineplot(frame, x="severity", style="network", markers=markers, dashes=False, ax=axes[0], **look)
    corrupted = frame[frame["severity"] > 0]
    few = corrupted[corrupted["experiment"].isin(BY_CORRUPTION)]
    few = few if len(few) else corrupted
    look["markers"] = [markers[name] for name in few["network"].unique()]
    sns.pointplot(few, x="corruption", linestyle="none", legend=False, ax=axes[1], **look)
    axes[0].set_xlabel("severity (0: not corrupted)")
    axes[1].set_xlabel(f"corruption, mean of severities 1 to 5; {few['network'].nunique()} of {len(looks)} networks")
    axes[1].tick_params(axis="x", labelrotation=45)
    axes[1].legend(*axes[0].get_legend_handles_labels(), loc="center left", bbox_to_anchor=(1.01, 0.5))
    axes[0].legend_ = None
    figure.suptitle(f"Corrupted images\n{measured['images']}, one run each, no intervals")
    return figure
