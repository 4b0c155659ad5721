"""Plain names of experiments, datasets and budgets; code names appear in commands, captions and result files."""

import re
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from lwcnn.experiments.recipes import NETWORKS
from lwcnn.experiments.recipes.ablation import PARTS_EXPERIMENTS
from lwcnn.experiments.recipes.family import VARIANTS
from lwcnn.experiments.recipes.techniques import TITLES
from lwcnn.experiments.results import DISPLAY_NAMES

HEADLINE = "wren_30k"
"""The network of tables and figures with one network: the best with fewer than 30,000 parameters and no teacher."""

_NAMES = pd.read_csv(Path(__file__).with_name("names.csv"), index_col="experiment")["name"].to_dict()
_PRESETS = {"full": "full budget", "medium": "medium budget", "quick": "quick budget", "smoke": "smoke test"}

_SETTINGS = (
    ("^epochs1$", "1 epoch"),
    ("^epochs(.+)", r"\1 epochs"),
    ("^batch(.+)", r"batches of \1"),
    ("^rate", "rate "),
)


def dataset_name(dataset: str) -> str:
    """Returns the plain name of a dataset; of other than known ones, the name as it is."""
    return DISPLAY_NAMES.get(dataset, dataset)


def split_epochs(experiment: str) -> tuple[str, str]:
    """Returns a recipe's name and the epochs that `with_settings` added; "" if it added none, or other settings too."""
    name, _, epochs = experiment.partition("-epochs")
    return (name, epochs) if epochs.isdigit() else (experiment, "")


def display_name(experiment: str) -> str:
    """Returns the plain name of an experiment with its settings; without a plain name, underscores become spaces."""
    name, *settings = re.split(r"-(?=(?:epochs|batch|rate)\d|balanced(?:-|$))", experiment)
    for pattern, words in _SETTINGS:
        settings = [re.sub(pattern, words, one) for one in settings]
    return ", ".join([_NAMES.get(name, name.replace("_", " ")), *settings])


def named(experiment: str) -> str:
    """Returns the plain name and, for commands and result files, the code name: "Wren (`residual_se_muon`)"."""
    return f"{display_name(experiment)} (`{experiment}`)"


def command_name(experiment: str) -> str:
    """Returns the name of an experiment in commands: its network's name, if there is one."""
    return next((name for name, trained in NETWORKS.items() if trained == experiment), experiment)


def budget(preset: str) -> str:
    return _PRESETS.get(preset, preset)


def list_seeds(seeds: Collection[int]) -> str:
    """Returns seeds in words, such as "seed 0" or "seeds 0, 1"."""
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def is_part(experiment: str) -> bool:
    """Returns whether an experiment is a variant of another, of parts or techniques, which have their own tables."""
    return split_epochs(experiment)[0] in {*PARTS_EXPERIMENTS, *TITLES, *VARIANTS}
