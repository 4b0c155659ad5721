"""Model cards: a page in Markdown beside each model file, and a list of them, made from the files and the results."""

from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from lwcnn.evaluation.statistics import estimate_accuracy
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.recipes import EXPERIMENT_NAMES, NETWORKS
from lwcnn.experiments.results import DISPLAY_NAMES
from lwcnn.models.description import Description, read_description, read_input_shape
from lwcnn.publication.claims.measurement import Measurement, accuracy, or_missing, percent
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.names import display_name
from lwcnn.publication.tables.calibration import measure
from lwcnn.publication.tables.table import Cell, Table
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import write_atomically

INDEX = "README.md"

CARD = Path(__file__).with_name("card.md").read_text("utf-8")


def make_cards(folders: Folders) -> dict[Path, str]:
    """Returns the text of each model's card and of the list of all models, by path."""
    evidence, told = Evidence(folders.results), {}
    for path in sorted(Path(folders.models).glob("*.keras")):
        if (description := read_description(path)) is None:
            raise LwcnnError(f"Train the model by `lwcnn train`: the file does not name its run. Received: {path}")
        told[path] = description
    cards = {path.with_suffix(".md"): model_card(path, one, evidence) for path, one in told.items()}
    return cards | {Path(folders.models) / INDEX: _index(told)}


def write_cards(folders: Folders) -> list[Path]:
    """Writes every card and the list, and returns their paths."""
    cards = make_cards(folders)
    for path, text in cards.items():
        write_atomically(path, text.encode())
    return list(cards)


def model_card(path: Path, told: Description, evidence: Evidence) -> str:
    """Returns the card of a model, given its path, its description and the results that its run belongs to."""
    runs = evidence.select(told.dataset, told.experiment, told.preset)
    run = runs[runs["seed"] == told.seed].iloc[0].to_dict()
    name, correct = network_name(told.experiment), evidence.correct(told.dataset, told.experiment, told.preset)
    shape = read_input_shape(path)
    if shape is None:
        raise LwcnnError(f"Give a model of one image size. Received: {path}")
    is_shipped = name in NETWORKS and told.dataset in DISPLAY_NAMES
    seeds = " ".join(str(seed) for seed in runs["seed"])
    return CARD.format(
        title=display_name(told.experiment),
        data=DISPLAY_NAMES.get(told.dataset, told.dataset),
        file=path.name,
        stem=path.stem,
        told=told,
        run=run,
        color="color" if shape[2] >= 3 else "gray",
        height=shape[0],
        width=shape[1],
        num_classes=len(told.class_names),
        classes=", ".join(told.class_names),
        num_test=correct.shape[1],
        phases=_phases(told),
        command=f" `lwcnn train {name} --dataset {told.dataset} --preset {told.preset} --seeds {seeds}` repeats it."
        if told.experiment in EXPERIMENT_NAMES and told.dataset in DISPLAY_NAMES
        else "",
        minutes=run["train_seconds"] / 60,
        results=_results(told, run, evidence, correct),
        calibration=_calibration(told, run, evidence),
        hardest=_hardest(told, run),
        load=f'lwcnn.create_model("{name}", pretrained="{told.dataset}")'
        if is_shipped
        else f'lwcnn.load_model("{path.name}")',
        export=f"lwcnn export {name if is_shipped else path.name} --dataset {told.dataset}",
    )


def network_name(experiment: str) -> str:
    """Returns the name of an experiment's network, such as "wren"; that of the experiment if it has no other."""
    return next((name for name, named in NETWORKS.items() if named == experiment), experiment)


def _phases(told: Description) -> str:
    """Returns a table of the phases found anywhere in the settings."""
    rows: list[list[Cell]] = []

    def add(settings: object) -> None:
        if isinstance(settings, dict) and isinstance(settings.get("optimizer"), dict):
            optimizer = settings["optimizer"]
            rate, decay = (f"{optimizer[key] or 0:g}" for key in ("learning_rate", "weight_decay"))
            sizes = (str(settings[key]) for key in ("epochs", "batch_size"))
            rows.append([settings["name"], optimizer["name"], rate, decay, *sizes])
        elif isinstance(settings, (dict, list)):
            for part in settings.values() if isinstance(settings, dict) else settings:
                add(part)

    add(told.config)
    return Table(["phase", "optimizer", "learning rate", "weight decay", "epochs at most", "batch"], [rows]).markdown()


def _results(told: Description, run: dict, evidence: Evidence, correct: np.ndarray) -> str:
    num_test = correct.shape[1]
    low, high = binomtest(round(told.test_accuracy * num_test), num_test).proportion_ci(method="wilson")
    mean = estimate_accuracy(list(correct))
    rows: list[list[Cell]] = [
        ["test accuracy of this file", percent(told.test_accuracy, low=100 * low, high=100 * high)],
        [f"test accuracy, mean of all seeds ({len(correct)})", accuracy(mean, interval=True)],
        ["validation accuracy of this file", percent(told.val_accuracy)],
        ["parameters", f"{run['params']:,}"],
        ["multiply-accumulates per image", f"{run['macs'] / 1e6:.2f} million"],
    ]
    if told.int8_bytes:
        export = evidence.export(told.dataset, told.experiment, "litert-int8")
        rows.append(["int8, test accuracy", percent(export["accuracy_exported"])])
        rows.append(["int8, file", f"{told.int8_bytes:,} bytes"])
    if told.int8_ms:
        rows.append(["int8, latency", f"{told.int8_ms:.3f} ms, one thread of {told.int8_device}"])
    return Table(["quantity", "value"], [rows]).markdown()


def _calibration(told: Description, run: dict, evidence: Evidence) -> str:
    found = or_missing(measure, evidence, told.dataset, told.experiment)
    if isinstance(found, Measurement):
        return f"Expected calibration error {percent(run['ece'])}; no temperature was fitted."
    temperatures = " to ".join(dict.fromkeys(f"{t:.2f}" for t in (min(found.temperatures), max(found.temperatures))))
    origin = "validation images" if found.on_validation else "the other half of the test images"
    own = f" That of this file is {told.temperature:.3f}." if told.temperature else ""
    return (
        f"Expected calibration error {percent(found.ece)}; {percent(found.ece_scaled)} after division of the logits by "
        f"a temperature of {temperatures}, fitted on {origin} (seeds: {found.num_seeds}).{own}"
    )


def _hardest(told: Description, run: dict) -> str:
    """Names the class with the lowest accuracy and the class that it is most often confused with."""
    shares = {name: share for name, share in run["per_class_accuracy"].items() if share is not None}
    hardest = min(shares, key=lambda name: shares[name])
    text = f"The class recognized least is {hardest}, with {percent(shares[hardest])}"
    if not isinstance(run["confusion_matrix"], list) or shares[hardest] == 1:
        return f"{text}."
    label = told.class_names.index(hardest)
    row = [count if i != label else -1 for i, count in enumerate(run["confusion_matrix"][label])]
    return f"{text}; it is taken for {told.class_names[int(np.argmax(row))]} most often."


def _index(told: dict[Path, Description]) -> str:
    rows: list[list[Cell]] = [
        [
            f"[{path.stem}]({path.with_suffix('.md').name})",
            display_name(one.experiment),
            DISPLAY_NAMES.get(one.dataset, one.dataset),
            *(one.preset, f"{one.params:,}", f"{100 * one.test_accuracy:.2f}"),
            *(f"{one.int8_bytes:,}" if one.int8_bytes else "", one.license),
        ]
        for path, one in told.items()
    ]
    head = ["card", "network", "data", "preset", "parameters", "test %", "int8 bytes", "license"]
    table = Table(head, [rows]).markdown()
    return f"# Models\n\nThe seed of each experiment that is best on validation images.\n\n{table}\n"
