"""What the paper and the systems to reproduce claim, what their code builds, and how it is measured here.

`claimed` is the system's own text; `built` what its code, its layer table or its notebook's output comes to, as far as
it was read. What figures draw of others is in `lwcnn.publication.claims.literature`.
"""

from dataclasses import dataclass

from lwcnn.experiments.recipes.ablation import BASELINE, PARTS, WHOLE, left_out, only
from lwcnn.publication.claims.evidence import (
    Measurement,
    accuracy,
    calibration,
    convolution_share,
    counted,
    difference,
    float_size,
    folds,
    latency,
    submodels_counted,
    together,
    training_time,
)
from lwcnn.publication.claims.literature import PUBLISHED, Published


@dataclass(frozen=True)
class Claim:
    """A claim.

    Attributes:
        system: whose.
        what: it is about.
        claimed: by its text.
        built: by its code; "" where nothing else was read.
        here: measures it here.
    """

    system: str
    what: str
    claimed: str
    built: str
    here: Measurement


PAPER = "paper"  # arXiv 2501.15547 and github.com/Frontman-11/CNN-Complexity-Reduction-Research
REPRODUCTION = "reproduction"  # github.com/Shazer-Nadeem/lightweight-cnn-cifar10
EXTENSION = "extension"  # github.com/Shazer-Nadeem/Improved-lightweight-cnn-cifar10
SE_RESNET, RESNET_4443, NARROW = "SE-ResNet [4,4,3]", "ResNet [4,4,4,3]", "narrow ResNet-18"


def _published(name: str, dataset: str = "cifar10") -> Published:
    return next(one for one in PUBLISHED if (one.name, one.dataset) == (name, dataset))


def _params(name: str) -> str:
    return f"{_published(name).params:,}"


def _percent(name: str, dataset: str = "cifar10") -> str:
    return f"{100 * _published(name, dataset).accuracy:g} %"


_CLAIMS_OF_THE_PAPER = (
    Claim(PAPER, "parameters, MNIST", "14,862", "14,862", counted("paper", "mnist")),
    Claim(PAPER, "parameters of the dual model, MNIST", "13,860", "13,860", submodels_counted("mnist")),
    Claim(PAPER, "parameters, CIFAR-10", "less than 20,000", "19,622", counted("paper")),
    Claim(
        PAPER,
        "size, MNIST",
        "0.17 MB",
        "weights with two optimiser slots",
        together(float_size("paper", "mnist"), float_size("paper", "mnist", 3)),
    ),
    Claim(PAPER, "MNIST", _percent("Isong 2025", "mnist"), "98.98 %", accuracy("paper", "mnist")),
    Claim(PAPER, "Fashion-MNIST", _percent("Isong 2025", "fashion_mnist"), "", accuracy("paper", "fashion_mnist")),
    Claim(PAPER, "CIFAR-10", _percent("Isong 2025"), "", accuracy("paper")),
    Claim(
        PAPER,
        "freezing after the merge",
        "all frozen but the last two layers",
        "inverted: dropout and output frozen, the rest trains",
        together(
            difference("paper_as_published", "paper"),
            difference("paper_as_published", "paper", "mnist"),
            names=("as published minus as described: CIFAR-10", "MNIST"),
        ),
    ),
    Claim(
        PAPER,
        "augmentation",
        "rotation, zoom, brightness, translation",
        "brightness has factor 0: no effect",
        together(difference("paper", "dual_no_augment"), names=("with minus without augmentation, CIFAR-10:",)),
    ),
    Claim(
        PAPER,
        "second branch",
        "regularises",
        "not ablated",
        together(difference("paper", "single"), names=("two branches minus one, CIFAR-10:",)),
    ),
    Claim(
        PAPER,
        "dense layers to 1x1 convolutions",
        "keeps weights and locality",
        "a kernel as large as the map: the same function, on images of one size",
        together(difference("paper", "fresh_merge"), names=("converted minus drawn afresh, CIFAR-10:",)),
    ),
    Claim(
        PAPER,
        "progressive unfreezing",
        "stabilises, improves",
        "not ablated",
        together(difference("paper", "no_unfreezing"), names=("with minus without, CIFAR-10:",)),
    ),
    Claim(
        PAPER,
        "Nadam, then SGD",
        "finer control",
        "not ablated",
        together(difference("paper", "nadam_throughout"), names=("SGD minus Nadam to the end, CIFAR-10:",)),
    ),
    Claim(PAPER, "inference", "fast, low latency", "no figure", latency("paper", "litert-int8")),
    Claim(
        PAPER,
        "six folds, MNIST",
        "the final assessment",
        "99.4 %, test 98.8 to 99.0 %: the model is not reset between folds",
        together(
            folds("paper", "mnist"),
            folds("paper_as_published", "mnist", leaking=True),
            names=("from scratch:", "not reset:"),
        ),
    ),
)
_CLAIMS_OF_THE_REPRODUCTION = (
    Claim(
        REPRODUCTION,
        "accuracy",
        "about 70 %",
        "69.5, 68.8 and 70.2 %",
        together(accuracy("repo_baseline_frozen"), accuracy("repo_baseline"), names=("as it ran:", "really unfrozen:")),
    ),
    Claim(REPRODUCTION, "parameters", "about 20,000", _params("dual-model rerun"), counted("repo_baseline")),
    Claim(
        REPRODUCTION,
        "progressive unfreezing",
        "last layer, last 2, last 3, all",
        "the convolutions never trained in stage 2",
        together(difference("repo_baseline", "repo_baseline_frozen"), names=("really unfrozen minus as it ran:",)),
    ),
    Claim(
        REPRODUCTION,
        "dense to 1x1 convolution",
        "as per the paper",
        "defined, not used in the trained model",
        together(difference("paper", "fresh_merge"), names=("converted minus drawn afresh, the paper's model:",)),
    ),
    Claim(
        REPRODUCTION,
        "parameters in convolutions",
        "about 70 %",
        "1.3 % (4,200 of 334,706)",
        convolution_share("repo_baseline"),
    ),
    Claim(REPRODUCTION, "size", "less than 2 MB", "1.26 MB", float_size("repo_baseline")),
    Claim(
        REPRODUCTION,
        "training time",
        "",
        "814 + 1,151 + 779 s (another CPU); every second epoch of the augmented branch is a single batch",
        training_time("repo_baseline_frozen"),
    ),
    Claim(
        REPRODUCTION,
        "latency",
        "about 1 ms on a GPU",
        "72 to 160 ms on a CPU through `predict`; no GPU run",
        latency("paper"),
    ),
)
_BUILT_PARTS = {
    "smoothing": "not measured alone; the dropout stays at 0.4: its rate is changed after compilation, without effect"
}
_CLAIMS_OF_THE_EXTENSION = (
    Claim(EXTENSION, "accuracy", "the highest", "78.3 and 78.2 %", accuracy("repo_residual_se")),
    Claim(
        EXTENSION,
        "parameters",
        "less than 30,000",
        _params("residual SE rerun"),
        together(
            counted("repo_residual_se"),
            counted("residual_se"),
            counted("residual_se_distilled"),
            names=("its network:", "ours:", "ours, deeper:"),
        ),
    ),
    Claim(
        EXTENSION,
        "the promise: under 30,000, above the baseline",
        "kept",
        "not kept",
        together(
            accuracy("residual_se"),
            accuracy("residual_se_small"),
            accuracy("residual_se_distilled"),
            accuracy("residual_se_muon"),
            names=("ours:", "ours, small:", "ours, deeper and taught:", "ours, deeper, by Muon:"),
        ),
    ),
    Claim(EXTENSION, "size", "less than 2 MB", "0.32 MB", float_size("repo_residual_se")),
    Claim(
        EXTENSION,
        "calibration",
        "better",
        "never measured",
        together(
            calibration("repo_residual_se"),
            calibration("repo_baseline_frozen"),
            calibration("residual_se"),
            names=("its network:", "baseline as it ran:", "ours:"),
        ),
    ),
    *(
        Claim(
            EXTENSION,
            f"gain of {part.title}",
            f"{part.claim} points",
            _BUILT_PARTS.get(key, "not measured alone"),
            together(
                difference(only(key), BASELINE),
                difference(WHOLE, left_out(key)),
                names=("alone:", "in the whole:"),
            ),
        )
        for key, part in PARTS.items()
        if part.claim
    ),
)
_CLAIMS_OF_THE_RESNETS = (
    Claim(
        SE_RESNET,
        "parameters",
        _params("SE-ResNet [4,4,3]"),
        "its component table fits no layout of these widths; its notebook's layout gives the sum",
        counted("se_resnet", trainable=True),
    ),
    Claim(SE_RESNET, "accuracy", "94 % on validation", "88 % elsewhere; 82 % on shifted data", accuracy("se_resnet")),
    Claim(
        RESNET_4443,
        "parameters",
        "4.87M by a formula",
        "4,754,218 trainable; the formula's terms sum to 5,090,656",
        counted("resnet_4443", trainable=True),
    ),
    Claim(
        RESNET_4443,
        "accuracy",
        _percent("ResNet [4,4,4,3]"),
        "85.4 % on shifted data; two runs of 100 epochs, not one",
        accuracy("resnet_4443"),
    ),
    Claim(NARROW, "parameters", "2,797,610", "2,797,610 trainable", counted("narrow_resnet18", trainable=True)),
    Claim(NARROW, "accuracy", _percent("narrow ResNet-18"), "", accuracy("narrow_resnet18")),
)
CLAIMS = (
    *_CLAIMS_OF_THE_PAPER,
    *_CLAIMS_OF_THE_REPRODUCTION,
    *_CLAIMS_OF_THE_EXTENSION,
    *_CLAIMS_OF_THE_RESNETS,
)
