"""Plain names of experiments, data sets and budgets; code names appear in commands, captions and result files."""

from pathlib import Path

import pandas as pd

from lwcnn.experiments.recipes.ablation import PARTS_EXPERIMENTS
from lwcnn.experiments.recipes.family import VARIANTS
from lwcnn.experiments.recipes.techniques import TECHNIQUE_EXPERIMENTS

HEADLINE = "wren_30k"
"""The most accurate network of fewer than 30,000 parameters."""

_NAMES = pd.read_csv(Path(__file__).with_name("names.csv"), index_col="experiment")["name"].to_dict()
_PRESETS = {"full": "full budget", "medium": "medium budget", "quick": "quick budget", "smoke": "smoke test"}


def split_epochs(experiment: str) -> tuple[str, str]:
    """Returns the name of a recipe and the epochs that `with_settings` added to it, empty without any."""
    name, _, epochs = experiment.partition("-epochs")
    return name, epochs


def display_name(experiment: str) -> str:
    """Returns the plain name of an experiment; a name without one loses its underscores."""
    name, epochs = split_epochs(experiment)
    shown = _NAMES.get(name, name.replace("_", " "))
    return f"{shown}, {epochs} epoch{'s' * (epochs != '1')}" if epochs else shown


def named(experiment: str) -> str:
    """Returns the plain name and, for commands and result files, the code name: "Wren (`residual_se_muon`)"."""
    return f"{display_name(experiment)} (`{experiment}`)"


def budget(preset: str) -> str:
    return _PRESETS.get(preset, preset)


def is_part(experiment: str) -> bool:
    """Returns whether an experiment is a variant of another, of parts or techniques, which have their own tables."""
    return experiment in PARTS_EXPERIMENTS | TECHNIQUE_EXPERIMENTS | VARIANTS
