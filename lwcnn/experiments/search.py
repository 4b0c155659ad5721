"""Search for the residual network's architecture and recipe, by validation accuracy alone.

Each trial makes one change to the base, or combines changes ("one_resolution+rate_0.012"), with the same number of
epochs and at most as many parameters. Result: `results/search/<dataset>/<epochs>epochs/<trial>-seed<k>.json`. Test
images are never used. Command: `lwcnn search --dataset cifar10 --epochs 12`.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras

from lwcnn.data import Dataset, ImageSpec
from lwcnn.data.augment import Augmentation, ColorJitter, Cutout, MixUpCutMix, RandAugment
from lwcnn.experiments.finished import check_finished
from lwcnn.experiments.pipeline import PhaseCache, train_method
from lwcnn.experiments.recipes import get_preset
from lwcnn.experiments.recipes.augmentation import augmentation
from lwcnn.experiments.recipes.types import NetworkExperiment
from lwcnn.experiments.run import mixed_computing, provenance, split_images
from lwcnn.models.configs import ResidualSEConfig, Stage
from lwcnn.models.cost import count_macs
from lwcnn.system.errors import unknown_name
from lwcnn.system.files import write_json
from lwcnn.system.locking import locked
from lwcnn.system.settings import plain_settings
from lwcnn.training.checkpoint import current_computing
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Phase
from lwcnn.training.progress import Progress

BASE_NETWORK = ResidualSEConfig(stem=32, stages=(Stage(32, 2), Stage(40, 2)))  # 29,362 parameters
BASE_OPTIMIZER = OptimizerConfig(
    "adamw", 0.006, weight_decay=0.05, warmup=0.2, ema=0.998, no_weight_decay=("bias", "gamma", "beta")
)

SGD = OptimizerConfig("sgd", 0.1, 0.9, True, weight_decay=5e-3, warmup=0.2, ema=0.998)
RMSPROP = OptimizerConfig("rmsprop", 0.002, warmup=0.2, ema=0.998)

# Second round: combinations of changes that helped.
SECOND_ROUND = (
    "one_resolution+rate_0.012",
    "one_resolution_kernel_3+rate_0.012",
    "late_pooling_kernel_3+rate_0.012",
    "rate_0.012+smoothing_0",
)
# Third round: one change to the recipe chosen in the second.
CHOSEN = "rate_0.02+smoothing_0"
THIRD_ROUND = (
    CHOSEN,
    *(
        f"{change}+{CHOSEN}"
        for change in (
            "one_resolution",
            "late_pooling",
            "three_stages_late",
            "wide_and_shallow",
            "kernel_7",
            "stem_48",
            "no_se",
            "se_4",
            "relu",
            "batch_64",
            "decay_0.1",
            "ema_batch_norm",
        )
    ),
)
# Fourth round: the statistics of batch normalization are averaged like the weights. Otherwise a better training could
# score worse, because averaged weights are evaluated with statistics that do not match them.
AVERAGED = f"ema_batch_norm+{CHOSEN}"
FOURTH_ROUND = (
    *(
        f"{change}+{AVERAGED}"
        for change in (
            "one_resolution",
            "late_pooling",
            "stem_48",
            "head_64",
            "expansion_3",
            "batch_64",
            "batch_256",
            "decay_0.02",
            "decay_0.1",
            "warmup_0.05",
            "crop_2",
            "cutout_8",
            "randaugment",
            "mixup_ramped",
            "stochastic_depth",
            "nadam",
        )
    ),
    *(
        f"{optimizer}+ema_batch_norm+smoothing_0"
        for optimizer in ("rate_0.03", "sgd_0.03", "sgd", "sgd_0.4", "rmsprop_0.0005", "rmsprop", "rmsprop_0.01")
    ),
)
# Fifth round: combinations of the fourth round's best changes, and Muon for the 1x1 convolutions.
FIFTH_ROUND = (
    *(
        f"{change}+{AVERAGED}"
        for change in (
            "one_resolution+nadam",
            "one_resolution+nadam+batch_64",
            "one_resolution+batch_64",
            "one_resolution_stem_40+nadam",
            "one_resolution_kernel_7+nadam",
            "muon",
            "one_resolution+muon",
            "one_resolution_stem_40+muon",
            "one_resolution_kernel_7+muon",
            "one_resolution+muon+batch_64",
            "stem_48+muon",
        )
    ),
    *(f"muon+{rate}+ema_batch_norm+smoothing_0" for rate in ("rate_0.01", "rate_0.04", "rate_0.08")),
)


def _networks() -> dict[str, ResidualSEConfig]:
    """Returns the networks by the name of their change."""
    base = BASE_NETWORK

    def both(**changes) -> ResidualSEConfig:
        return replace(base, stages=tuple(replace(stage, **changes) for stage in base.stages))

    return {
        "base": base,
        "kernel_3": both(kernel_size=3),
        "kernel_7": replace(base, stages=(Stage(32, 2, 7, 1.75), Stage(40, 2, 7, 1.6))),
        "kernel_7_then_5": replace(base, stages=(Stage(32, 2, 7, 1.75), Stage(40, 2, 5))),
        "relu": replace(base, activation="relu"),
        "no_se": replace(base, se_reduction=None),
        "se_4": replace(base, se_reduction=4, stages=(Stage(32, 2, 5, 1.75), Stage(40, 2, 5, 1.8))),
        "no_residual": replace(base, residual=False),
        "stem_16": replace(base, stem=16),
        "stem_48": replace(base, stem=48, stages=(Stage(32, 2), Stage(40, 2, 5, 1.6))),
        "one_resolution": replace(base, stages=(Stage(32, 5),)),
        "one_resolution_stem_40": replace(base, stem=40, stages=(Stage(32, 5),)),
        "one_resolution_kernel_7": replace(base, stages=(Stage(32, 5, 7, 1.75),)),
        "one_resolution_kernel_3": replace(base, stages=(Stage(32, 6, 3, 1.85),)),
        "one_resolution_narrow": replace(base, stem=24, stages=(Stage(24, 9, 5, 1.9),)),
        "late_pooling_kernel_3": replace(base, stages=(Stage(32, 4, 3, 2), Stage(40, 1, 3, 2))),
        "three_stages_late": replace(base, stem=24, stages=(Stage(24, 3, 3), Stage(32, 2, 3), Stage(40, 1, 3))),
        "late_pooling": replace(base, stages=(Stage(32, 4, 5, 1.75), Stage(40, 1))),
        "early_pooling": replace(base, stages=(Stage(24, 1), Stage(40, 3, 5, 1.8))),
        "equal_widths": replace(base, stages=(Stage(32, 2), Stage(32, 3))),
        "narrow_and_deep": replace(base, stem=24, stages=(Stage(24, 4), Stage(32, 3, 5, 1.75))),
        "wide_and_shallow": replace(base, stages=(Stage(40, 1), Stage(56, 1, 5, 2.15))),
        "three_stages": replace(base, stem=24, stages=(Stage(24, 2), Stage(32, 2), Stage(40, 1))),
        "expansion_1": replace(base, stages=(Stage(40, 2, 5, 1), Stage(48, 2, 5, 1.17))),
        "expansion_3": replace(base, stages=(Stage(24, 2, 5, 3), Stage(32, 2, 5, 3.5))),
        "expansion_4": replace(base, stem=24, stages=(Stage(24, 2, 5, 4), Stage(32, 2, 5, 3))),
        "head_64": replace(base, stages=(Stage(32, 2), Stage(40, 2, 5, 1.6)), head=64),
        "stochastic_depth": replace(base, drop_rate=0.1),
    }


def _recipes() -> dict[str, Callable[[Phase], Phase]]:
    """Returns the recipe's changes by name; each maps a phase to a changed phase, so they can be combined."""

    def optimized(**changes) -> Callable[[Phase], Phase]:
        return lambda phase: replace(phase, optimizer=replace(phase.optimizer, **changes))

    def augmented(**changes) -> Callable[[Phase], Phase]:
        def change(phase: Phase) -> Phase:
            assert phase.augmentation is not None  # trials that change it start from the base
            return replace(phase, augmentation=replace(phase.augmentation, **changes))

        return change

    def phased(**changes) -> Callable[[Phase], Phase]:
        return lambda phase: replace(phase, **changes)

    return {
        "rate_0.003": optimized(learning_rate=0.003),
        "rate_0.012": optimized(learning_rate=0.012),
        "rate_0.02": optimized(learning_rate=0.02),
        "rate_0.03": optimized(learning_rate=0.03),
        "decay_0": optimized(weight_decay=0.0),
        "decay_0.02": optimized(weight_decay=0.02),
        "decay_0.1": optimized(weight_decay=0.1),
        "decay_0.2": optimized(weight_decay=0.2),
        "decay_everything": optimized(no_weight_decay=()),
        "warmup_0.05": optimized(warmup=0.05),
        "warmup_0.4": optimized(warmup=0.4),
        "no_ema": optimized(ema=None),
        "ema_0.9995": optimized(ema=0.9995),
        "ema_batch_norm": optimized(ema_batch_norm=True),
        "sgd": phased(optimizer=SGD),
        "sgd_0.03": phased(optimizer=replace(SGD, learning_rate=0.03)),
        "sgd_0.4": phased(optimizer=replace(SGD, learning_rate=0.4)),
        "adam": phased(optimizer=OptimizerConfig("adam", 0.006, warmup=0.2, ema=0.998)),
        "rmsprop": phased(optimizer=RMSPROP),
        "rmsprop_0.0005": phased(optimizer=replace(RMSPROP, learning_rate=0.0005)),
        "rmsprop_0.01": phased(optimizer=replace(RMSPROP, learning_rate=0.01)),
        "nadam": phased(optimizer=OptimizerConfig("nadam", 0.006, warmup=0.2, ema=0.998)),
        "muon": optimized(name="muon"),
        "rate_0.01": optimized(learning_rate=0.01),
        "rate_0.04": optimized(learning_rate=0.04),
        "rate_0.08": optimized(learning_rate=0.08),
        "batch_64": phased(batch_size=64),
        "batch_256": phased(batch_size=256),
        "smoothing_0": phased(label_smoothing=0.0),
        "smoothing_0.1": phased(label_smoothing=0.1),
        "no_augmentation": phased(augmentation=None),
        "flip": phased(augmentation=Augmentation(horizontal_flip=True)),
        "crop_2": augmented(crop_padding=2),
        "crop_constant": augmented(fill="constant"),
        "cutout_8": augmented(cutout=Cutout(8)),
        "jitter": augmented(color_jitter=ColorJitter(0.2, 0.2, 0.2, 0.02)),
        "randaugment": augmented(rand_augment=RandAugment(1, 5)),
        "mixup": phased(mixing=MixUpCutMix(0.2, 0.0)),
        "cutmix": phased(mixing=MixUpCutMix(0.0, 1.0, probability=0.5)),
        "mixup_or_cutmix": phased(mixing=MixUpCutMix(0.2, 1.0)),
        "mixup_ramped": phased(mixing=MixUpCutMix(0.5, 0.0, ramp=1.0)),
        "dropout_schedule": phased(dropout=(0.4, 0.2)),
    }


def trials(images: ImageSpec, epochs: int) -> dict[str, NetworkExperiment]:
    """Returns every trial by name: the base, then single changes, then the later rounds."""
    phase = Phase(
        "all", BASE_OPTIMIZER, epochs, augmentation=augmentation(images), label_smoothing=0.05, batch_size=128
    )
    networks, recipes = _networks(), _recipes()
    found = {}
    for name in (*networks, *recipes, *SECOND_ROUND, *THIRD_ROUND, *FOURTH_ROUND, *FIFTH_ROUND):
        network, changed = BASE_NETWORK, phase
        for part in name.split("+"):
            if part in networks:
                network = networks[part]
            else:
                changed = recipes[part](changed)
        found[name] = NetworkExperiment(name=name, question=name, network=network, phases=(changed,))
    return found


def run_trial(
    name: str, data: Dataset, epochs: int, results: Path, cache: Path, seed: int = 0, progress: Progress | None = None
) -> dict:
    """Trains a trial, or loads its result if it exists.

    Args:
        name: Name of a trial (`trials`).
        data: Data set. Its test images are not used.
        epochs: Number of epochs.
        results: Folder of the results.
        cache: Folder of the checkpoints.
        seed: Seed for initialization, shuffling, augmentation and dropout.
        progress: Progress display. None shows nothing.

    Returns:
        The content of the result file.

    Raises:
        LwcnnError: The trial does not exist, or the existing result belongs to another configuration or other data.
    """
    known = trials(data.spec, epochs)
    if name not in known:
        raise unknown_name("trial", name, known)
    plan = known[name]
    path = Path(results) / "search" / data.name / f"{epochs}epochs" / f"{name}-seed{seed}.json"
    config = json.loads(json.dumps(plain_settings(plan)))
    progress = progress or Progress("none")
    if not path.exists():
        with locked(path, progress.note):
            if not path.exists():  # else another process has written it in the meantime
                return _train_trial(name, plan, config, data, epochs, path, cache, seed, progress)
    environment = {"backend": keras.backend.backend(), "step": current_computing()["step"]}
    return check_finished(path, config, data, "val_accuracy", environment, progress.note)


def _train_trial(name: str, plan, config: dict, data: Dataset, epochs: int, path, cache, seed, progress) -> dict:
    """Trains a trial and writes its result."""
    trained = train_method(
        plan,
        split_images(data, plan, get_preset("full")),
        data.num_classes,
        seed,
        cache=PhaseCache(Path(cache) / data.name, data.checksum),
        progress=progress,
    )
    history = trained.phases[0]["history"]
    result = {
        "trial": name,
        "dataset": data.name,
        "data_checksum": data.checksum,
        "seed": seed,
        "epochs": epochs,
        "val_accuracy": history[-1]["val_accuracy"],
        "train_accuracy": history[-1]["accuracy"],
        "params": trained.model.count_params(),
        "macs": count_macs(trained.model),
        "train_seconds": trained.train_seconds,
        "warnings": mixed_computing(trained.phases),
        "config": config,
        "history": history,
    } | provenance()
    write_json(path, result)
    return result
