"""Trains phases one after the other; each is saved under a name that depends on everything that determines it."""

import contextlib
import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lwcnn.data.images import Split
from lwcnn.models.cost import trainable_params
from lwcnn.system import environment
from lwcnn.system.locking import locked
from lwcnn.system.settings import plain_settings
from lwcnn.training.checkpoint import Checkpoint, PhaseState
from lwcnn.training.devices import Computing
from lwcnn.training.distillation import Teaching
from lwcnn.training.loop import Branches, train_phase
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Phase
from lwcnn.training.progress import Progress

MIN_STEPS, MIN_BATCH = 50, 8


def fit_to_images(batch_size: int, optimizer: OptimizerConfig, num_images: int) -> tuple[int, OptimizerConfig]:
    """Returns batch size and optimizer for a number of training images.

    With few images, batches shrink, so that an epoch has `MIN_STEPS` steps. A peak learning rate after a warm-up is
    then scaled with the fourth root of the batch size. With Wren's rate for batches of 128, batches of 8 may learn
    nothing; with the square root (arXiv 2205.10287), a few hundred steps are too few. Learning rates without a warm-up,
    such as the paper's, are low enough for small batches.
    """
    fitting = min(batch_size, max(MIN_BATCH, num_images // MIN_STEPS))
    if not optimizer.warmup:
        return fitting, optimizer
    return fitting, replace(optimizer, learning_rate=optimizer.learning_rate * (fitting / batch_size) ** 0.25)


@dataclass
class PhaseSequence:
    """A run's training: its images, seed and checkpoints, and a record of each phase so far.

    Checkpoints are files in `cache`; if it is None, there are none. `data_key`, such as the checksum of the dataset,
    identifies the images in their names.
    """

    split: Split
    num_classes: int
    seed: int
    cache: Path | None = None
    data_key: str = ""
    progress: Progress = field(default_factory=Progress)
    computing: Computing = Computing()
    records: list[dict] = field(default_factory=list, init=False)

    def __post_init__(self):
        indices = [part.indices for part in self.split]
        subsets = [one if one is None else hashlib.sha256(one.tobytes()).hexdigest()[:16] for one in indices]
        versions = keras.backend.backend(), keras.version()
        self._determinants: list = [self.data_key, subsets, *versions, self.seed, self.image_shape, self.num_classes]
        if special := plain_settings(self.computing):
            self._determinants.append(special)
        keras.utils.set_random_seed(self.seed)
        environment.commit()  # now: in hours, another commit may be checked out

    @property
    def seconds(self) -> float:
        return round(sum(record["seconds"] for record in self.records), 2)

    @property
    def image_shape(self) -> tuple[int, ...]:
        return self.split.training.images.shape[1:]

    def depends_on(self, settings: Any) -> None:
        """Makes the names of all further phases depend on settings of the model."""
        self._determinants.append(settings)

    def seed_model(self) -> None:
        """Seeds the initialization of a new model, which then does not depend on whether a phase was loaded."""
        keras.utils.set_random_seed(self._phase_seed())

    def train(
        self, model: keras.Model, phase: Phase, branches: Branches | None = None, teaching: Teaching | None = None
    ) -> None:
        """Trains a model through the next phase, or loads the phase from its checkpoint."""
        size, optimizer = fit_to_images(phase.batch_size, phase.optimizer, len(self.split.training))
        if size < phase.batch_size:
            self.progress.note(
                f"{phase.name}: batches of {size} images, not {phase.batch_size}, because there are few images"
            )
        phase = replace(phase, batch_size=size, optimizer=optimizer)
        self.depends_on([plain_settings(phase), plain_settings(branches)])
        key = hashlib.sha256(json.dumps(self._determinants).encode()).hexdigest()[:16]
        path = Path(self.cache) / f"seed{self.seed}-{phase.name}-{key}.npz" if self.cache else None
        with locked(path, self.progress.note) if path else contextlib.nullcontext():
            checkpoint = Checkpoint(path) if path else None
            state = train_phase(
                model,
                phase,
                self.split,
                self._phase_seed(),
                branches=branches,
                checkpoint=checkpoint,
                progress=self.progress,
                teaching=teaching,
            )
        self.records.append(phase_record(model, phase, state))

    def _phase_seed(self) -> int:
        """Returns a seed for the next phase that is independent of those of other phases and runs."""
        return int(np.random.SeedSequence((self.seed, len(self.records))).generate_state(1)[0])


def phase_record(model: keras.Model, phase: Phase, state: PhaseState) -> dict:
    """Returns the record of a phase in the `history` of a result."""
    history = [{name: round(value, 6) for name, value in epoch.items()} for epoch in state.history]
    best_epoch = state.best_epoch[-1]
    keeps_best = phase.patience is not None or bool(state.diverged)
    final = history[(best_epoch if keeps_best else state.epoch) - 1]["val_accuracy"]
    if keeps_best and phase.best_per_branch and len(state.best) > 1:
        final = float(np.mean(state.best[:-1]))
    return {
        "name": phase.name,
        "trainable_params": trainable_params(model),
        "epochs": state.epoch,
        "best_epoch": best_epoch,
        "best_val_accuracy": history[best_epoch - 1]["val_accuracy"],
        "final_val_accuracy": final,
        "seconds": round(state.seconds, 2),
        **({"diverged": state.diverged, "learning_rate": phase.optimizer.learning_rate} if state.diverged else {}),
        "history": history,
        "computing": state.computing,
    }
