"""How long the experiments train: one of four sizes."""

from dataclasses import dataclass

from lwcnn.system.errors import unknown_name


@dataclass(frozen=True)
class Preset:
    """How long to train.

    Attributes:
        name: "smoke", "quick", "medium" or "full".
        dual, head, all: most epochs of the stages of the paper's method; all counts the last phase.
        batch_size: of the experiments for which the paper gives none; 32 is the author's code's.
        tuned_dual, tuned: epochs of the two stages of `paper_tuned`.
        fold: most epochs a fold of the leaky K-fold.
        network: epochs of the networks that train in one go.
        repo: most epochs of the reproduction: of each submodel, then of each unfreezing step.
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
    network: int
    repo: tuple[int, ...]
    num_images: int | None = None

    @property
    def total(self) -> int:
        """The epochs of all stages together, for the experiments that train in one go."""
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
        "quick",
        dual=8,
        head=4,
        all=5,
        batch_size=64,
        tuned_dual=4,
        tuned=17,
        fold=2,
        network=15,
        repo=(12, 2, 2, 2, 4),
    ),
    # What two CPU cores train in an hour or two, for the networks whose own recipes take 70 to 250 epochs.
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
    # 20 epochs of the dual stage and 50 of the last: the author's notebook; 20 of the head: paper. Those of `repo`:
    # the reproduction's notebook.
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
    """The preset of that name.

    Raises:
        LwcnnError: if there is none; the message names the nearest.
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    return PRESETS[name]
