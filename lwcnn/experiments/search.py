"""Search for the residual network's shape and recipe with Optuna, by accuracy on validation images.

Two spaces also minimize parameters and MACs. Test images are not used.

A study is a journal, `<results>/studies/<dataset>/<space>-<n>epochs.journal`, to which several processes and machines
add trials. Its first trials are those of `results/search` in its space, and the base: `residual_se_muon`.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.storages import JournalStorage
from optuna.trial import TrialState

from lwcnn.data.datasets import Dataset
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.identity import Run, mixed_computing, provenance
from lwcnn.experiments.journal import Journal
from lwcnn.experiments.pipeline import train_experiment
from lwcnn.experiments.recipes import NetworkExperiment, get_experiment, with_settings
from lwcnn.experiments.recipes.techniques import BASE
from lwcnn.experiments.results import load_trials
from lwcnn.experiments.spaces import SPACES, Direction, Space, build, read
from lwcnn.models.build import build_network
from lwcnn.models.cost import count_macs
from lwcnn.system.errors import Diverged, LwcnnError, require_known, wrong
from lwcnn.system.locking import is_locked, locked
from lwcnn.system.settings import plain_settings
from lwcnn.training.progress import Progress

SIZE_CLASS = 10_000  # parameters: learning curves are compared within a class, so that small networks are not pruned
PRUNER = optuna.pruners.PercentilePruner(75, n_startup_trials=4, n_warmup_steps=3)  # stops the worst quarter
MAX_REJECTED = 500  # networks in a row, two minutes


@dataclass(frozen=True)
class Search:
    """A study and the settings that its trials share; test images are not used."""

    space: str
    data: Dataset
    epochs: int = 12
    limit: int | None = None  # of parameters; larger networks are rejected before training
    folders: Folders = Folders()
    seed: int = 0  # of the sampler, and of initialization, shuffling, augmentation and dropout
    earlier: Path = Path("results")  # with the finished trials of earlier searches
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self):
        require_known("search space", self.space, SPACES)
        optuna.logging.set_verbosity(optuna.logging.WARNING)

    @property
    def path(self) -> Path:
        folder = self.folders.results / "studies" / self.data.name
        return folder / f"{self.space}-{self.epochs}epochs.journal"

    @cached_property
    def study(self) -> optuna.Study:
        """The study, created if it does not exist; one of another space, dataset, base or limit is refused."""
        with locked(self.path, self.progress.note):
            study = self._create("trials", [*self._space.objectives.values()])
            found = study.user_attrs.get("identity")
            if found is None:
                self._begin(study)
                return study
            found["base"].pop("question", None)  # which only describes; older studies have it
            if differing := sorted(key for key, value in self._identity.items() if found.get(key) != value):
                raise LwcnnError(
                    f"{self.path} is another study: use another --results folder, or the options of that study. "
                    f"Received a study that differs in: {', '.join(differing)}"
                )
        return study

    def run(self, num_trials: int) -> None:
        """Runs trials until the study has `num_trials`, counting those of other processes but not the loaded ones.

        The trial of a killed process resumes from its last epoch in the next process that asks for a trial.
        """
        _ = self.study  # created here, because that takes the lock itself
        while True:
            with contextlib.ExitStack() as stack:
                with locked(self.path, self.progress.note):
                    with self._readable():
                        self._requeue_abandoned()
                        if self._count_trials() >= num_trials:
                            return
                    trial, plan = self._ask()
                    stack.enter_context(locked(self._lock(trial.number), self.progress.note))
                self._train(trial, plan)

    def front(self) -> pd.DataFrame:
        """Returns the trials that no other trial beats in every objective, the most accurate first."""
        best = sorted(self.study.best_trials, key=lambda trial: -trial.values[0])
        rows = [{"trial": one.number} | dict(zip(self._space.objectives, one.values)) | one.params for one in best]
        front = pd.DataFrame(rows, columns=["trial", *self._space.objectives, *self._space.parameters])
        return front.convert_dtypes()  # Optuna's values are floats, the number of parameters too

    @property
    def _space(self) -> Space:
        return SPACES[self.space]

    @cached_property
    def _base(self) -> NetworkExperiment:
        base = with_settings(get_experiment(BASE, "quick", self.data.spec), epochs=self.epochs)
        assert isinstance(base, NetworkExperiment)
        return base

    @cached_property
    def _identity(self) -> dict[str, Any]:
        """Settings that all trials of a study share."""
        parameters = {path: optuna.distributions.distribution_to_json(d) for path, d in self._space.parameters.items()}
        return {
            "space": self.space,
            "parameters": parameters,
            "dataset": self.data.name,
            "data_checksum": self.data.checksum,
            "epochs": self.epochs,
            "limit": self.limit,
            "seed": self.seed,
            "base": {key: value for key, value in plain_settings(self._base).items() if key != "question"},
        }

    def _create(self, name: str, directions: Sequence[Direction]) -> optuna.Study:
        with self._readable():
            storage = JournalStorage(Journal(self.path))
            with contextlib.suppress(KeyError):  # if it is new
                return optuna.load_study(study_name=name, storage=storage, pruner=PRUNER)  # writes nothing
            return optuna.create_study(
                storage=storage, study_name=name, directions=directions, pruner=PRUNER, load_if_exists=True
            )

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        """Converts Optuna's errors for a corrupt journal."""
        try:
            yield
        except LwcnnError:
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise wrong(f"The study cannot be read ({error}): move it away", self.path) from error

    def _begin(self, study: optuna.Study) -> None:
        """Adds the finished trials of `results/search` and enqueues the base, unless it is among them."""
        known = self._earlier_trials()
        loaded = {trial.user_attrs.get("loaded") for trial in study.get_trials(deepcopy=False)}
        study.add_trials([one for one in known if one.user_attrs["loaded"] not in loaded])  # else by a killed process
        base = read(self._space, self._base, plain_settings(self._base))
        if base is not None:
            study.enqueue_trial(base, skip_if_exists=True)  # among the finished, or enqueued by a killed process
        study.set_user_attr("identity", self._identity)

    def _earlier_trials(self) -> list[optuna.trial.FrozenTrial]:
        """Returns the trials of `results/search` on these images that differ from the base in the space alone."""
        rows = load_trials(self.earlier)
        rows = rows[(rows["data_checksum"] == self.data.checksum) & (rows["epochs"] == self.epochs)]
        if self.limit is not None:
            rows = rows[rows["params"] <= self.limit]
        trials = []
        for row in rows.to_dict("records"):
            if (parameters := read(self._space, self._base, row["config"])) is None:
                continue
            with contextlib.suppress(ValueError):  # a value lies outside its range, which was narrowed since
                trials.append(
                    optuna.create_trial(
                        values=[row[name] for name in self._space.objectives],
                        params=parameters,
                        distributions=self._space.parameters,
                        user_attrs={"loaded": row["trial"], "params": row["params"]},
                        system_attrs={"NSGAIISampler:generation": 0},
                    )
                )
        return trials

    def _count_trials(self) -> int:
        """Returns the number of the study's own trials that were trained or are in training."""
        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
        trials = self.study.get_trials(deepcopy=False, states=states)
        return sum(not {"loaded", "rejected"} & set(trial.user_attrs) for trial in trials)

    def _ask(self) -> tuple[optuna.Trial, NetworkExperiment]:
        """Returns the next trial whose network can be trained, and its experiment."""
        for _ in range(MAX_REJECTED):
            # Processes draw different trials, and a restarted study the same as an uninterrupted one.
            num_before = sum(trial.state != TrialState.FAIL for trial in self.study.get_trials(deepcopy=False))
            self.study.sampler = self._space.sampler((self.seed * 1_000_003 + num_before) % 2**32)
            trial = self.study.ask(self._space.parameters)
            plan = build(self._base, trial.params)
            try:
                network = build_network(self.data.input_shape, self.data.num_classes, plan.network)
                trial.set_user_attr("params", network.count_params())
                if self.limit is None or network.count_params() <= self.limit:
                    return trial, plan
                reason = f"more than {self.limit} parameters"
            except LwcnnError as error:  # more poolings than the image has room for
                reason = str(error)
            trial.set_user_attr("rejected", reason)
            self.study.tell(trial, state=TrialState.PRUNED)
        raise wrong(
            f"Raise the limit or enlarge the images: none of {MAX_REJECTED:,} networks can be trained "
            f"(the last: {reason})",
            f"--limit {self.limit}",
        )

    def _train(self, trial: optuna.Trial, plan: NetworkExperiment) -> None:
        """Trains a trial and tells the study how it ended."""
        curves = self._create(f"curves-{trial.user_attrs['params'] // SIZE_CLASS}", ["maximize"])
        curve = curves.ask()
        self.progress.note(f"trial {trial.number}: {trial.user_attrs['params']:,} parameters")
        try:
            measured = self._measure(plan, curve)
        except (optuna.TrialPruned, Diverged) as error:
            trial.set_user_attr("stopped", str(error))
            curves.tell(curve, state=TrialState.PRUNED)
            self.study.tell(trial, state=TrialState.PRUNED)
            return
        for name, value in measured.items():
            trial.set_user_attr(name, value)
        self.study.tell(trial, [measured[name] for name in self._space.objectives])
        curves.tell(curve, measured["val_accuracy"])
        self.progress.note(f"trial {trial.number}: {100 * measured['val_accuracy']:.2f}% on validation images")

    def _measure(self, plan: NetworkExperiment, curve: optuna.Trial) -> dict[str, Any]:
        """Trains a network, reporting each epoch's validation accuracy to `curve`, and returns its measurements."""
        progress = _Watched(self.progress, curve)
        sequence = Run(plan, self.data, "full", self.seed, self.folders, progress).begin()
        model = train_experiment(plan, sequence)
        record = sequence.records[0]
        if "diverged" in record:  # the model has the weights of an earlier epoch
            advice = f"The loss is NaN or infinite in epoch {record['diverged']}: lower the learning rate"
            raise Diverged(f"{advice}. Received: learning_rate={record['learning_rate']:g}")
        history = record["history"]
        return {
            "val_accuracy": history[-1]["val_accuracy"],
            "train_accuracy": history[-1]["accuracy"],
            "params": model.count_params(),
            "macs": count_macs(model),
            "train_seconds": sequence.seconds,
            "warnings": mixed_computing(sequence.records),
            "history": history,
            "config": plain_settings(plan),
            **provenance(),
        }

    def _lock(self, number: int) -> Path:
        return self.path.with_suffix(f".trial{number}")

    def _requeue_abandoned(self) -> None:
        """Enqueues the parameters of trials whose process has ended; they resume from their checkpoints."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if not is_locked(self._lock(trial.number)):
                self.study.tell(trial.number, state=TrialState.FAIL)
                self.study.enqueue_trial(trial.params, user_attrs={"resumes": trial.number})


class _Watched(Progress):
    """Reports the epochs of a trial to Optuna, which stops a trial with a poor learning curve."""

    def __init__(self, progress: Progress, curve: optuna.Trial):
        super().__init__(progress.style, progress.title)
        self._curve = curve

    def end_epoch(self, record: Mapping[str, float], accuracies: Sequence[float]) -> None:
        super().end_epoch(record, accuracies)
        self._curve.report(record["val_accuracy"], self.epoch_of_run)
        if self._curve.should_prune():
            raise optuna.TrialPruned(f"poor learning curve in epoch {self.epoch_of_run}")
