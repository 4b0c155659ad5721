"""Model cards: a Markdown page beside each model file, and a list of them, generated from files and results."""

import math
from pathlib import Path

import pandas as pd
from scipy.stats import binomtest

from lwcnn.data.known import DATASET_NAMES
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.recipes import EXPERIMENT_NAMES, NETWORKS, get_experiment
from lwcnn.experiments.recipes.paper import CHANGES
from lwcnn.experiments.results import DISPLAY_NAMES, MissingInput
from lwcnn.experiments.shipped import shipped_file
from lwcnn.export.run import MAX_INT8_DROP
from lwcnn.models.description import Description, model_checksum, read_archive, read_description, read_input_shape
from lwcnn.publication.evidence import Evidence, Network, planned_phases, where
from lwcnn.publication.measurement import or_missing, percent
from lwcnn.publication.names import command_name, dataset_name, display_name, named
from lwcnn.publication.tables.networks import mean_accuracy, temperatures
from lwcnn.publication.tables.table import Columns, table_of
from lwcnn.system.errors import wrong
from lwcnn.system.files import read_text, write_atomically

INDEX = "README.md"
CARD = Path(__file__).with_name("card.md").read_text("utf-8")
USE = (
    "Intended for teaching, for comparing lightweight networks and for small devices, not for decisions about people "
    "or safety."
)
COMPARISON = "Published for comparison with the other networks, not for use."
OWN = "Trained on images of your own: where you publish it, state what it is for and what it must not decide."


def make_cards(folders: Folders) -> dict[Path, str]:
    """Returns the text of each model's card and of the list of all models, by path."""
    evidence, told = Evidence(folders.results), {}
    for path in sorted(folders.models.glob("*.keras")):
        if (description := read_description(path)) is None:
            raise wrong("Train the model with `lwcnn train`: the file does not name its run", path)
        told[path] = description
    cards = {path.with_suffix(".md"): model_card(path, one, evidence) for path, one in told.items()}
    return cards | {folders.models / INDEX: _index(told, evidence)}


def require_place(folders: Folders) -> None:
    """Checks that the list of models would not replace another page."""
    index = folders.models / INDEX
    if index.exists() and not read_text(index).startswith("# Models\n"):
        raise wrong("Put the models into a separate folder: their list would replace another page", f"{index}")


def write_cards(folders: Folders) -> list[Path]:
    """Writes every card and the list, and returns their paths."""
    require_place(folders)
    cards = make_cards(folders)
    for path, text in cards.items():
        write_atomically(path, text.encode())
    return list(cards)


def model_card(path: Path, told: Description, evidence: Evidence) -> str:
    """Returns the card of a model, given its path, its description and the results that its run belongs to."""
    network = evidence.network(told.dataset, told.experiment, told.preset)
    run = network.runs.set_index("seed").loc[told.seed].to_dict()
    name, title, shape = command_name(told.experiment), _title(told.experiment), read_input_shape(path)
    if shape is None:
        raise wrong("Give a model of one image size", path)
    (num_seeds, num_test), mean = network.correct.shape, network.accuracy  # for the interval
    low, high = binomtest(round(told.test_accuracy * num_test), num_test).proportion_ci(method="wilson")
    average = percent(network.runs["test_accuracy"].mean(), interval=(100 * mean.low, 100 * mean.high))
    is_known = told.experiment in EXPERIMENT_NAMES
    is_shipped = name in NETWORKS and path.resolve() == shipped_file(name, told.dataset)
    is_best = told.val_accuracy == network.runs["val_accuracy"].max()
    again = f" To repeat it, run `{network.command}`."
    images = told.dataset if told.dataset in DATASET_NAMES else "path/to/images"
    shipped = f'lwcnn.create_model("{name}", pretrained="{told.dataset}")'
    return CARD.format(
        title=title[0].upper() + title[1:],
        data=dataset_name(told.dataset),
        path=path,
        question=f" ({get_experiment(told.experiment).question})" if is_known else "",
        told=told,
        run=run,
        color="color" if shape[2] >= 3 else "gray",
        shape=shape,
        num_classes=len(told.class_names),
        classes=", ".join(told.class_names),
        num_test=num_test,
        choice=f"the released seed is {'the best one' if is_best else 'not the best one'} on them",
        start=f"Started with the weights of `{told.config['start']}`, then t" if "start" in told.config else "T",
        phases=_phases(told, run["num_train_images"]),
        teacher=_teacher(told.config),
        purpose=OWN if images != told.dataset else COMPARISON if is_known and name not in NETWORKS else USE,
        command=again if is_known and told.dataset in DISPLAY_NAMES else "",
        minutes=run["train_seconds"] / 60,
        test_accuracy=percent(told.test_accuracy, interval=(100 * low, 100 * high)),
        mean_accuracy=f"| test accuracy, mean of all seeds ({num_seeds}) | {average} |\n" if num_seeds > 1 else "",
        bootstrapped=", bootstrapped over seeds and images for the mean" if num_seeds > 1 else "",
        million_macs=run["macs"] / 1e6,
        int8=_int8(path, told, evidence),
        calibration=_calibration(told, run, network),
        macro=f"| mean of the classes' accuracies | {macro:.2%} |\n"
        if (macro := run.get("test_macro_accuracy", 0)) > 0
        else "",
        hardest=_hardest(told, run),
        warnings="".join(f"- Warning: {warning}.\n" for warning in run.get("warnings") or []),
        alone=", after `import lwcnn`" if b"lwcnn>" in read_archive(path)["config.json"] else " alone",
        load=shipped if is_shipped else f'lwcnn.load_model("{path.name}")',
        export=f"lwcnn export {name if is_shipped else path.name} --dataset {images}",
        limit=_limit(network),
    )


def _phases(told: Description, num_images: int) -> str:
    columns: Columns = {
        "phase": "{name}",
        "optimizer": "{optimizer.name}",
        "learning rate": "{optimizer.learning_rate:.3g}",
        "weight decay": lambda phase: f"{phase['optimizer'].weight_decay or 0:g}",
        "epochs at most": "{epochs}",
        "batch": "{batch_size}",
    }
    return table_of(columns, planned_phases(told.config, num_images)).markdown()


def _teacher(config: dict) -> str:
    """Returns the sentence about the teacher of a distilled model."""
    if not (teacher := config.get("teacher")):
        return ""
    seeds, settings = ", ".join(map(str, teacher["seeds"])), config["distillation"]
    return (
        f"The teacher was {named(teacher['experiment'])} with preset `{teacher['preset']}` (seeds: {seeds}), at "
        f"temperature {settings['temperature']:g}; labels have {settings['label_weight']:.0%} of the loss's weight. "
    )


def _int8(path: Path, told: Description, evidence: Evidence) -> str:
    """Returns the result rows of the int8 file, as far as it was exported, checked and timed."""
    text = ""
    if told.int8_bytes:
        # The accuracy of this file on the run's test images: an export may have been checked on other images.
        found, keys = evidence.int8_files, {"model_sha256", "dataset_sha256"}
        if keys <= {*found.columns}:
            found = where(found, model_sha256=model_checksum(path), dataset_sha256=told.data_checksum)
            text += "".join(f"| int8, test accuracy | {share:.2%} |\n" for share in found["accuracy_exported"].head(1))
        text += f"| int8, file | {told.int8_bytes:,} bytes |\n"
    if told.int8_ms:
        text += f"| int8, latency | {told.int8_ms:.3f} ms, one thread of {told.int8_device} |\n"
    return text


def _limit(network: Network) -> str:
    """Returns the option of `lwcnn export` that accepts an int8 file which loses more than the default limit."""
    record = or_missing(lambda: network.int8)
    lost = 0 if isinstance(record, MissingInput) else record["drop_points"]
    return f" --max-drop {math.ceil(10 * lost) / 10:g}" if lost > MAX_INT8_DROP else ""


def _calibration(told: Description, run: dict, network: Network) -> str:
    runs = or_missing(lambda: network.scaled_runs)
    if isinstance(runs, MissingInput) or set(runs["temperature"]) == {1.0}:  # as if all validation images are right
        return f"The expected calibration error of this file is {percent(run['ece'])}; no temperature was fitted."
    own = f" The temperature of this file is {told.temperature:.3f}." if told.temperature else ""
    seeds = f" (mean of {len(runs)} seeds)" if len(runs) > 1 else ""
    return (
        f"The expected calibration error{seeds} is {percent(runs['ece'].mean())}, or "
        f"{percent(runs['ece_scaled'].mean())} after the logits are divided by a temperature of {temperatures(runs)}, "
        f"fitted on validation images.{own}"
    )


def _hardest(told: Description, run: dict) -> str:
    """Names the class with the lowest accuracy and the class that it is most often confused with."""
    shares = pd.Series(run["per_class_accuracy"], dtype=float).dropna()
    hardest = str(shares.idxmin())
    if shares[hardest] == 1:
        return "All test images are classified correctly."
    text = f"The class with the lowest accuracy is {hardest}, with {percent(shares[hardest])}"
    if not isinstance(run["confusion_matrix"], list):
        return f"{text}."
    counts = pd.DataFrame(run["confusion_matrix"], told.class_names, told.class_names)
    return f"{text}; it is most often mistaken for {counts.loc[hardest].drop(hardest).idxmax()}."


def _title(experiment: str) -> str:
    return f"paper's method, {display_name(experiment)}" if experiment in CHANGES else display_name(experiment)


def _index(told: dict[Path, Description], evidence: Evidence) -> str:
    networks = {path: evidence.network(one.dataset, one.experiment, one.preset) for path, one in told.items()}
    columns: Columns = {
        "card": lambda path: f"[{path.stem}]({path.with_suffix('.md').name})",
        "network": lambda path: _title(told[path].experiment),
        "data": lambda path: dataset_name(told[path].dataset),
        "preset": lambda path: told[path].preset,
        "parameters": lambda path: f"{told[path].params:,}",
        "test %": lambda path: f"{100 * told[path].test_accuracy:.2f}",
        "mean %": lambda path: mean_accuracy(networks[path]),
        "seeds": lambda path: str(len(networks[path].runs)),
        "int8 bytes": lambda path: f"{told[path].int8_bytes:,}" if told[path].int8_bytes else "",
    }
    table = table_of(columns, told).markdown()
    chosen = (
        "Each model is one seed of its experiment: the best one on validation images, unless its card says otherwise. "
        "Mean % is the mean and standard deviation over the seeds. Some experiments with `quick` in this list were "
        "also trained at `full`, but those weights were not kept. A card states the license of its model."
    )
    return f"# Models\n\n{chosen}\n\n{table}\n"
