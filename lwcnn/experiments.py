"""Every experiment as frozen data, by name, at one of three sizes.

Expected results and durations stand in the README's table, which is made from `results/`. Command:
`lwcnn train EXPERIMENT --dataset cifar10 --preset quick --seeds 0 1 2`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from lwcnn.augment import PAPER_AUGMENTATION, PUBLISHED_AUGMENTATION, Augmentation
from lwcnn.errors import unknown_name
from lwcnn.training.phases import Optimizer, Phase


@dataclass(frozen=True)
class Preset:
    """How long to train.

    Attributes:
        name: "smoke", "quick" or "full".
        dual, head, all: most epochs of the stages of the paper's method; all counts the last phase.
        batch_size: of the experiments for which the paper gives none; 32 is the author's code's.
        tuned_dual, tuned: epochs of the two stages of `paper_tuned`.
        fold: most epochs a fold of the leaking K-fold.
        num_images: training images used, drawn by class; None uses all.
    """

    name: str
    dual: int
    head: int
    all: int
    batch_size: int
    tuned_dual: int
    tuned: int
    fold: int
    num_images: int | None = None

    @property
    def total(self) -> int:
        """The epochs of all stages together, for the experiments that train in one go."""
        return self.dual + self.head + self.all


PRESETS = {
    "smoke": Preset("smoke", dual=1, head=1, all=1, batch_size=64, tuned_dual=1, tuned=2, fold=1, num_images=600),
    "quick": Preset("quick", dual=8, head=4, all=5, batch_size=64, tuned_dual=4, tuned=17, fold=2),
    # 20 epochs of the dual stage and 50 of the last: the author's notebook; 20 of the head: paper.
    "full": Preset("full", dual=20, head=20, all=50, batch_size=32, tuned_dual=15, tuned=60, fold=10),
}

NADAM = Optimizer("nadam", 0.001)  # paper: Nadam; the author's notebook: its defaults
SGD = Optimizer("sgd", 0.001, momentum=0.9)  # paper, stage 3


@dataclass(frozen=True)
class Experiment:
    """One way to train the paper's architecture.

    Attributes:
        name: its name.
        question: what it answers.
        branches: (name, augmentation of its stage-1 images) of each submodel.
        dual: the stage in which the submodels train side by side; None draws the merged model afresh.
        converted: whether the merged model's 1x1 convolutions take over the submodels' dense weights.
        phases: what the merged model goes through.
        dropout: of the merged model's head.
        validation: share (below 1) or number of the training images kept for validation.
    """

    name: str
    question: str
    branches: tuple[tuple[str, Augmentation | None], ...]
    dual: Phase | None
    phases: tuple[Phase, ...]
    converted: bool = True
    dropout: float = 0.5
    validation: float | int = 0.1


def _paper(preset: Preset) -> Experiment:
    batch = preset.batch_size
    return Experiment(
        "paper",
        "the method as the paper describes it",
        branches=(("original", None), ("augmented", PAPER_AUGMENTATION)),
        # paper: Nadam, early stopping on validation accuracy with patience 5
        dual=Phase("dual", NADAM, preset.dual, patience=5, batch_size=batch),
        phases=(
            # paper: all frozen but the last two layers, 20 epochs: the new head, Dense(32) and Dense(10)
            Phase("head", NADAM, preset.head, ("head_*",), patience=5, batch_size=batch),
            # paper: all unfrozen, SGD, until early stopping; the cap and the patience are the author's code's
            Phase("all", SGD, preset.all, patience=10, batch_size=batch),
        ),
    )


def _paper_as_published(preset: Preset) -> Experiment:
    inverted = {"full": 10}.get(preset.name, preset.head)  # the author's notebook: 10 epochs
    sgd = Optimizer("sgd", 0.001, momentum=0.9, nesterov=True, weight_decay=1e-4)
    return Experiment(
        "paper_as_published",
        "what the author's own code does: brightness without effect, the freeze inverted, batch 32",
        branches=(("original", None), ("augmented", PUBLISHED_AUGMENTATION)),
        dual=Phase("dual", NADAM, preset.dual, patience=5, min_delta=0.001, best_per_branch=True, batch_size=32),
        phases=(
            # `layers[-2:]` are frozen there, dropout and output, in place of all the others
            Phase("inverted", NADAM, inverted, except_for=("head_logits",), patience=5, batch_size=32),
            Phase("all", sgd, preset.all, patience=10, batch_size=32),
        ),
        validation=1 / 6,  # MNIST: 10,000 of the 60,000 training images
    )


def _paper_batch64(preset: Preset) -> Experiment:
    paper = _paper(preset)
    dual, *phases = (replace(phase, batch_size=64) for phase in (paper.dual, *paper.phases))
    question = "`paper` full with batch 64, before the batch was changed"
    return replace(paper, name="paper_batch64", question=question, dual=dual, phases=tuple(phases))


def _single(preset: Preset) -> Experiment:
    paper = _paper(preset)
    question = "the augmented branch: one branch, on the original images, through the whole method"
    return replace(paper, name="single", question=question, branches=paper.branches[:1])


def _dual_no_augment(preset: Preset) -> Experiment:
    branches = (("original", None), ("augmented", None))
    question = "the augmentation: both branches on the original images"
    return replace(_paper(preset), name="dual_no_augment", question=question, branches=branches)


def _no_unfreezing(preset: Preset) -> Experiment:
    paper = _paper(preset)
    everything = replace(paper.phases[-1], epochs=preset.head + preset.all)
    question = "progressive unfreezing: straight to the last phase, for the epochs of both"
    return replace(paper, name="no_unfreezing", question=question, phases=(everything,))


def _head_only(preset: Preset) -> Experiment:
    paper = _paper(preset)
    question = "the last phase: only the new head is trained"
    return replace(paper, name="head_only", question=question, phases=paper.phases[:1])


def _fresh_merge(preset: Preset) -> Experiment:
    question = "the conversion: the merged model's 1x1 convolutions are drawn afresh"
    return replace(_paper(preset), name="fresh_merge", question=question, converted=False)


def _nadam_throughout(preset: Preset) -> Experiment:
    paper = _paper(preset)
    last = replace(paper.phases[-1], optimizer=NADAM)
    question = "the switch to SGD: Nadam in the last phase too"
    return replace(paper, name="nadam_throughout", question=question, phases=(*paper.phases[:-1], last))


def _end_to_end(preset: Preset) -> Experiment:
    paper = _paper(preset)
    only = replace(paper.dual, name="all", epochs=preset.total)
    question = "the whole two-stage method: the merged model trained in one go for as many epochs"
    return replace(paper, name="end_to_end", question=question, dual=None, phases=(only,))


def _paper_tuned(preset: Preset, dataset: str) -> Experiment:
    one_cycle = Optimizer("adamw", 0.003, weight_decay=0.01, warmup=0.2, ema=0.999)
    augmentation = _tuned_augmentation(dataset)
    return replace(
        _paper(preset),
        name="paper_tuned",
        question="how far the same architecture and its two stages go with a recipe of ours",
        branches=(("original", augmentation), ("augmented", augmentation)),
        # Begun at random, up to a third of the twenty units between the branches and the head never fire again;
        # begun as a classifier's logits they live: on CIFAR-10, seed 2, 76.2 in place of 72.9 on validation.
        dual=Phase("dual", one_cycle, preset.tuned_dual, batch_size=64),
        phases=(Phase("all", one_cycle, preset.tuned, augmentation=augmentation, batch_size=64),),
        dropout=0.0,
    )


def _paper_tuned_one_go(preset: Preset, dataset: str) -> Experiment:
    question = "what the two stages add to our recipe: the merged model trained in one go from the start"
    tuned, branches = _paper_tuned(preset, dataset), _paper(preset).branches
    return replace(tuned, name="paper_tuned_one_go", question=question, branches=branches, dual=None)


def _tuned_augmentation(dataset: str) -> Augmentation:
    if dataset in ("cifar10", "cifar100"):
        return Augmentation(horizontal_flip=True, crop_padding=2)
    if dataset == "fashion_mnist":
        return Augmentation(horizontal_flip=True, crop_padding=1)
    return Augmentation(rotation=0.03, zoom=0.1, translation=0.08, fill="constant")  # digits keep their side


_BUILDERS: dict[str, Callable[[Preset], Experiment]] = {
    "paper": _paper,
    "paper_batch64": _paper_batch64,
    "paper_as_published": _paper_as_published,
    "single": _single,
    "dual_no_augment": _dual_no_augment,
    "no_unfreezing": _no_unfreezing,
    "head_only": _head_only,
    "fresh_merge": _fresh_merge,
    "nadam_throughout": _nadam_throughout,
    "end_to_end": _end_to_end,
}
_TUNED_BUILDERS = {"paper_tuned": _paper_tuned, "paper_tuned_one_go": _paper_tuned_one_go}
EXPERIMENT_NAMES = (*_BUILDERS, *_TUNED_BUILDERS)


def get_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        LwcnnError: if there is none; the message names the nearest.
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    return PRESETS[name]


def get_experiment(name: str, preset: str = "quick", dataset: str = "cifar10") -> Experiment:
    """The experiment of that name at a preset's size.

    Args:
        name: one of `EXPERIMENT_NAMES`.
        preset: one of `PRESETS`.
        dataset: the data set; only the tuned recipes depend on it (flipping is wrong for digits).

    Raises:
        LwcnnError: if a name is unknown; the message names the nearest.
    """
    size = get_preset(preset)
    if name in _TUNED_BUILDERS:
        return _TUNED_BUILDERS[name](size, dataset)
    if name not in _BUILDERS:
        raise unknown_name("experiment", name, EXPERIMENT_NAMES)
    return _BUILDERS[name](size)
