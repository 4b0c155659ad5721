"""Search spaces as data: Optuna distributions by the path of an experiment's setting.

Every parameter has a value in every trial, as NSGA-II's crossover needs it; a stage of 0 blocks does not exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler

from lwcnn.data.augment import MixUpCutMix
from lwcnn.experiments.recipes.types import NetworkExperiment, changed, get
from lwcnn.system.settings import plain_settings

Direction = Literal["maximize", "minimize"]
MAX_STAGES = 3
POPULATION = 10  # of NSGA-II: small, so that a study of 40 trials has several generations
NAMED = {"ramped mixup": MixUpCutMix(0.5, 0.0, ramp=1.0)}
"""Settings that are neither a number nor a name, by the name that spaces use for them."""


@dataclass(frozen=True)
class Space:
    """Search space: the distribution of each parameter by its path, and the direction of each objective by its name."""

    parameters: dict[str, BaseDistribution]
    objectives: dict[str, Direction]

    def sampler(self, seed: int) -> BaseSampler:
        if len(self.objectives) > 1:
            return NSGAIISampler(population_size=POPULATION, seed=seed)
        return TPESampler(seed=seed, constant_liar=True)


def _stages(name: str, distribution: BaseDistribution) -> dict[str, BaseDistribution]:
    return {f"network.stages.{i}.{name}": distribution for i in range(MAX_STAGES)}


WIDTH: dict[str, BaseDistribution] = {
    "network.stem": IntDistribution(16, 64, step=8),
    **_stages("filters", IntDistribution(16, 64, step=8)),
    "network.stages.0.blocks": IntDistribution(1, 6),
    "network.stages.1.blocks": IntDistribution(0, 4),
    "network.stages.2.blocks": IntDistribution(0, 2),
}
NETWORK = WIDTH | {
    **_stages("kernel_size", IntDistribution(3, 7, step=2)),
    **_stages("expansion", FloatDistribution(1, 4)),
    "network.activation": CategoricalDistribution(("hard_silu", "relu")),
    "network.se_reduction": CategoricalDistribution((None, 4, 16)),
    "network.head": CategoricalDistribution((None, 64)),
}
RECIPE: dict[str, BaseDistribution] = {
    "phases.0.optimizer.name": CategoricalDistribution(("adamw", "muon", "nadam", "rmsprop", "sgd")),
    "phases.0.optimizer.learning_rate": FloatDistribution(5e-4, 0.5, log=True),
    "phases.0.optimizer.weight_decay": FloatDistribution(0, 0.2),
    "phases.0.optimizer.warmup": FloatDistribution(0, 0.5),
    "phases.0.optimizer.ema_batch_norm": CategoricalDistribution((False, True)),
    "phases.0.batch_size": CategoricalDistribution((64, 128, 256)),
    "phases.0.label_smoothing": FloatDistribution(0, 0.2),
    "phases.0.mixing": CategoricalDistribution((None, *NAMED)),
}
_ACCURACY: dict[str, Direction] = {"val_accuracy": "maximize"}
_TRADE_OFF: dict[str, Direction] = _ACCURACY | {"params": "minimize", "macs": "minimize"}
SPACES = {
    "width": Space(WIDTH, _TRADE_OFF),
    "network": Space(NETWORK, _TRADE_OFF),
    "recipe": Space(RECIPE, _ACCURACY),
    "all": Space(NETWORK | RECIPE, _ACCURACY),
}


def build(base: NetworkExperiment, parameters: Mapping[str, Any]) -> NetworkExperiment:
    """Returns an experiment with the parameters of a trial, values by path."""
    stages = get(base, "network.stages")
    absent = changed(stages[-1], {"blocks": 0})
    changes = {path: NAMED.get(value, value) if isinstance(value, str) else value for path, value in parameters.items()}
    if parameters.get("phases.0.optimizer.name") == "sgd":
        changes |= {"phases.0.optimizer.momentum": 0.9, "phases.0.optimizer.nesterov": True}
    plan = changed(base, {"network.stages": stages + (absent,) * (MAX_STAGES - len(stages))} | changes)
    return changed(plan, {"network.stages": tuple(stage for stage in get(plan, "network.stages") if stage.blocks)})


_OF_THE_OPTIMIZER = {"momentum": None, "nesterov": None, "weight_decay": None, "no_weight_decay": ()}
"""Optimizer settings that may differ from the base's if the optimizer does, with the values that turn them off."""


def read(space: Space, base: NetworkExperiment, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the parameters of an earlier experiment, given its settings from its result file.

    Values may lie outside their distributions. None if settings that the space does not vary differ from the base's.
    """
    stages = config["network"]["stages"]
    opened = stages + [stages[-1] | {"blocks": 0}] * (MAX_STAGES - len(stages))
    found = {**config, "network": config["network"] | {"stages": opened}}
    parameters = {path: _read(found, path, distribution) for path, distribution in space.parameters.items()}
    taken = {name: config[name] for name in ("name", "question")}
    if "phases.0.optimizer.name" in parameters:
        defaults = {f"phases.0.optimizer.{name}": default for name, default in _OF_THE_OPTIMIZER.items()}
        taken |= {path: get(config, path, default) for path, default in defaults.items()}
    return parameters if plain_settings(changed(build(base, parameters), taken)) == config else None


def _read(config: Mapping[str, Any], path: str, distribution: BaseDistribution) -> Any:
    """Returns the value at a path; settings that older results lack are off."""
    value = get(config, path)
    for name, settings in NAMED.items():
        if value == plain_settings(settings):
            return name
    if isinstance(value, dict):  # settings that have no name in a space
        return None
    if value is None and None not in getattr(distribution, "choices", ()):
        return False if isinstance(distribution, CategoricalDistribution) else 0
    return value
