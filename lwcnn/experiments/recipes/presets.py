"""Presets: training lengths, from "smoke" to "full"."""

from dataclasses import dataclass

from lwcnn.system.errors import unknown_name


@dataclass(frozen=True)
class Preset:
    """Training length of every experiment.

    Attributes:
        name: "smoke", "quick", "medium" or "full".
        dual: Maximum number of epochs of stage 1 of the paper's method.
        head: Maximum number of epochs of its phase that trains the head.
        all: Maximum number of epochs of its last phase, which trains all layers.
        batch_size: Number of images per step where the paper does not state it; 32 in the author's code.
        tuned_dual: Number of epochs of stage 1 of `paper_tuned`.
        tuned: Number of epochs of stage 2 of `paper_tuned`.
        fold: Maximum number of epochs per fold of the leaky K-fold.
        network: Number of epochs of single networks.
        repo: Maximum numbers of epochs of the reproduction: of each submodel, then of each unfreezing step.
        num_images: Maximum number of training images, drawn by class. None takes all.
    """

    name: str
    dual: int
    head: int
    all: int
    batch_size: int
    tuned_dual: int
    tuned: int
    fold: int
    network: int
    repo: tuple[int, ...]
    num_images: int | None = None

    @property
    def total(self) -> int:
        """Number of epochs of all stages, for experiments that train the merged model in a single phase."""
        return self.dual + self.head + self.all


PRESETS = {
    "smoke": Preset(
        "smoke",
        dual=1,
        head=1,
        all=1,
        batch_size=64,
        tuned_dual=1,
        tuned=2,
        fold=1,
        network=1,
        repo=(2, 1, 1, 1, 1),
        num_images=600,
    ),
    "quick": Preset(
        "quick", dual=8, head=4, all=5, batch_size=64, tuned_dual=4, tuned=17, fold=2, network=15, repo=(12, 2, 2, 2, 4)
    ),
    # An hour or two on two CPU cores, for networks whose own recipes take 70 to 250 epochs.
    "medium": Preset(
        "medium",
        dual=14,
        head=10,
        all=20,
        batch_size=32,
        tuned_dual=8,
        tuned=30,
        fold=5,
        network=30,
        repo=(20, 3, 3, 3, 6),
    ),
    # dual and all: the author's notebook; head: paper; repo: the reproduction's notebook
    "full": Preset(
        "full",
        dual=20,
        head=20,
        all=50,
        batch_size=32,
        tuned_dual=15,
        tuned=60,
        fold=10,
        network=60,
        repo=(30, 5, 5, 5, 10),
    ),
}


def get_preset(name: str) -> Preset:
    """Returns a preset by name."""
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    return PRESETS[name]
