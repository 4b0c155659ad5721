"""Claims of arXiv 2501.15547 and of its code, github.com/Frontman-11/CNN-Complexity-Reduction-Research."""

from lwcnn.publication.claims.claim import Claim, measured

PAPER = "paper"
NOT_ABLATED = "not ablated"

CLAIMS = (
    Claim(PAPER, "parameters, MNIST", "14,862", "14,862", measured("mnist/paper:params")),
    Claim(PAPER, "parameters of the dual model, MNIST", "13,860", "13,860", measured("submodels mnist")),
    Claim(PAPER, "parameters, CIFAR-10", "less than 20,000", "19,622", measured("cifar10/paper:params")),
    Claim(
        PAPER,
        "size, MNIST",
        "0.17 MB",
        "weights with two optimizer slots",
        (("weights alone", "mnist/paper:MiB"), ("with two slots", "mnist/paper:MiB with two slots")),
    ),
    Claim(PAPER, "accuracy, MNIST", "99 %", "98.98 %", measured("mnist/paper:spread")),
    Claim(PAPER, "accuracy, Fashion-MNIST", "89 %", "no code for it", measured("fashion_mnist/paper:spread")),
    Claim(PAPER, "accuracy, CIFAR-10", "65 %", "no code for it", measured("cifar10/paper:spread")),
    Claim(
        PAPER,
        "dense layers of both branches to convolutions",
        "both converted, weights kept",
        "the second branch's weights are read and never set: that convolution stays random (cell 17)",
        (("its code minus both set, MNIST", "mnist/paper_as_published gain over mnist/paper_both_converted"),),
    ),
    Claim(
        PAPER,
        "conversion to 1x1 convolutions",
        "keeps weights and locality",
        "a kernel as large as the map: the same function, on images of one size",
        (("converted minus redrawn, CIFAR-10", "cifar10/paper gain over cifar10/reinit_merge"),),
    ),
    Claim(
        PAPER,
        "freezing after the merge",
        "all frozen but the last two layers",
        "inverted: dropout and output frozen, the rest trains",
        (
            (
                "with the unset branch, minus as described: CIFAR-10",
                "cifar10/paper_as_published gain over cifar10/paper",
            ),
            ("MNIST", "mnist/paper_as_published gain over mnist/paper"),
        ),
    ),
    Claim(
        PAPER,
        "early stopping",
        "until validation stops improving",
        "begins after epoch 3 (`start_from_epoch=3`); stage 1 ends when either branch stops improving",
    ),
    Claim(
        PAPER,
        "augmentation",
        "rotation, zoom, brightness, translation",
        "brightness has factor 0: no effect",
        (("with minus without augmentation, CIFAR-10", "cifar10/paper gain over cifar10/dual_no_augment"),),
    ),
    Claim(
        PAPER,
        "second branch",
        "regularizes",
        NOT_ABLATED,
        (("two branches minus one, CIFAR-10", "cifar10/paper gain over cifar10/single"),),
    ),
    Claim(
        PAPER,
        "progressive unfreezing",
        "stabilizes, improves",
        NOT_ABLATED,
        (("with minus without, CIFAR-10", "cifar10/paper gain over cifar10/no_unfreezing"),),
    ),
    Claim(
        PAPER,
        "Nadam, then SGD",
        "finer control",
        NOT_ABLATED,
        (("SGD minus Nadam to the end, CIFAR-10", "cifar10/paper gain over cifar10/nadam_throughout"),),
    ),
    Claim(PAPER, "inference", "fast, low latency", "no figure", measured("latency cifar10/paper litert-int8")),
    Claim(
        PAPER,
        "six folds, MNIST",
        "the final assessment",
        "99.4 %, test 98.8 to 99.0 %: the model is never reset; all six are run on the test set, and "
        "one is chosen by its curves",
        (
            ("from scratch", "mnist/paper folds from scratch:spread"),
            ("not reset", "mnist/paper_as_published folds not reset:spread"),
        ),
    ),
)
