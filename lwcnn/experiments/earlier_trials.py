"""Reads experiments that were trained before as trials of a search space."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution

from lwcnn.experiments.recipes.types import NetworkExperiment
from lwcnn.experiments.results import load_trials
from lwcnn.experiments.spaces import MAX_STAGES, NAMED, Space
from lwcnn.system.settings import plain_settings

_OF_THE_OPTIMIZER = tuple(f"phases.0.optimizer.{name}" for name in ("momentum", "nesterov", "no_weight_decay"))
"""Settings that follow from the optimizer's name."""


def earlier_trials(
    space: Space, base: NetworkExperiment, checksum: str, limit: int | None, results: Path
) -> list[optuna.trial.FrozenTrial]:
    """Returns the finished trials of `results/search` that lie in a space, as trials of Optuna.

    They have the base's number of epochs and other settings, images of this checksum, and parameters within the limit.
    """
    rows = [row for row in load_trials(results).to_dict("records") if row["data_checksum"] == checksum]
    found = [(row, read(space, base, row["config"])) for row in rows if row["epochs"] == base.num_epochs]
    return [
        optuna.create_trial(
            values=[row[name] for name in space.objectives],
            params=parameters,
            distributions=space.parameters,
            user_attrs={"loaded": row["trial"], "params": row["params"]},
            system_attrs={"NSGAIISampler:generation": 0},
        )
        for row, parameters in found
        if parameters is not None and (limit is None or row["params"] <= limit)
    ]


def read(space: Space, base: NetworkExperiment, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the parameters of an experiment that was trained before, given its settings as in its result file.

    Values may lie outside their distributions; None if settings that the space does not vary differ from the base's.
    """
    found, shared = (_opened(settings) for settings in (config, plain_settings(base)))
    parameters = {path: _get(found, path, distribution) for path, distribution in space.parameters.items()}
    varied = ["name", "question", *space.parameters]
    if "phases.0.optimizer.name" in space.parameters:
        varied += _OF_THE_OPTIMIZER
    for path in varied:
        for settings in (found, shared):
            place, key = _place(settings, path)
            place.pop(key, None)
    return parameters if found == shared else None


def _opened(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a copy of settings with `MAX_STAGES` stages."""
    opened = copy.deepcopy(dict(config))
    stages = opened["network"]["stages"]
    stages += [stages[-1] | {"blocks": 0} for _ in range(MAX_STAGES - len(stages))]
    return opened


def _place(config: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    *parents, last = path.split(".")
    node: Any = config
    for part in parents:
        node = node[int(part)] if isinstance(node, list) else node[part]
    return node, last


def _get(config: dict[str, Any], path: str, distribution: BaseDistribution) -> Any:
    """Returns the value at a path; settings that older results lack are off."""
    place, key = _place(config, path)
    value = place.get(key)
    for name, settings in NAMED.items():
        if value == plain_settings(settings):
            return name
    if value is None and None not in getattr(distribution, "choices", ()):
        return False if isinstance(distribution, CategoricalDistribution) else 0
    return value
