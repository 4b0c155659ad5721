"""Search spaces as data: Optuna distributions by the path of the setting that they vary in an experiment.

"network.stages.1.blocks" is a path in a `NetworkExperiment`, and in the `config` of a result. Every space has
`MAX_STAGES` stages of the network; a stage of 0 blocks does not exist. Every parameter has a value in every trial, as
NSGA-II's crossover needs it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from lwcnn.data.augment import MixUpCutMix
from lwcnn.experiments.recipes.types import NetworkExperiment
from lwcnn.models.configs import ResidualSEConfig, Stage

Direction = Literal["maximize", "minimize"]
MAX_STAGES = 3
NAMED = {"ramped mixup": MixUpCutMix(0.5, 0.0, ramp=1.0)}
"""Settings that are no number or name, by their name in a space."""


@dataclass(frozen=True)
class Space:
    """Search space: the distribution of each parameter by its path, and the direction of each objective by its name."""

    parameters: dict[str, BaseDistribution]
    objectives: dict[str, Direction]

    def smallest(self) -> dict[str, Any]:
        """Returns the lowest value of each number and the first choice of each other parameter."""
        return {path: getattr(one, "choices", [getattr(one, "low", None)])[0] for path, one in self.parameters.items()}


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
    plan = _with_stages(base, lambda stages: stages + (replace(stages[-1], blocks=0),) * (MAX_STAGES - len(stages)))
    for path, value in parameters.items():
        plan = _set(plan, path.split("."), NAMED.get(value, value) if isinstance(value, str) else value)
    if parameters.get("phases.0.optimizer.name") == "sgd":
        for name, value in (("momentum", 0.9), ("nesterov", True)):
            plan = _set(plan, ["phases", "0", "optimizer", name], value)
    return _with_stages(plan, lambda stages: tuple(stage for stage in stages if stage.blocks))


def _with_stages(
    plan: NetworkExperiment, change: Callable[[tuple[Stage, ...]], tuple[Stage, ...]]
) -> NetworkExperiment:
    assert isinstance(plan.network, ResidualSEConfig)
    return replace(plan, network=replace(plan.network, stages=change(plan.network.stages)))


def _set(node: Any, path: list[str], value: Any) -> Any:
    """Returns dataclasses and tuples with the value at a path replaced."""
    if not path:
        return value
    first, *rest = path
    if isinstance(node, tuple):
        index = int(first)
        return (*node[:index], _set(node[index], rest, value), *node[index + 1 :])
    return replace(node, **{first: _set(getattr(node, first), rest, value)})
