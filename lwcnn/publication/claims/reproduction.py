"""Claims of the CIFAR-10 reproduction, of its extension and of a third party's rerun.

github.com/Shazer-Nadeem/lightweight-cnn-cifar10, .../Improved-lightweight-cnn-cifar10, github.com/shabanhassan142.
"""

from lwcnn.experiments.recipes.ablation import BASELINE, PARTS, WHOLE, leave_one_out, only
from lwcnn.publication.claims.claim import Claim, measured

REPRODUCTION, EXTENSION, RERUN = "reproduction", "extension", "rerun"
SINGLE_GAIN = "gain of "
"""Begins the claims that the table of parts has, with tests."""

_BUILT_PARTS = {
    "smoothing": "not measured alone; the dropout stays at 0.4: its rate is changed after compilation, without effect"
}
_NOT_SEPARATE = "not measured alone"

CLAIMS = (
    Claim(
        REPRODUCTION,
        "accuracy",
        "about 70 %",
        "69.5, 68.8 and 70.2 %",
        (
            ("convolutions frozen", "cifar10/repo_baseline_frozen:spread"),
            ("unfrozen, our reading", "cifar10/repo_baseline:spread"),
        ),
    ),
    Claim(REPRODUCTION, "parameters", "about 20,000", "334,706", measured("cifar10/repo_baseline:params")),
    Claim(
        REPRODUCTION,
        "progressive unfreezing",
        "last layer, last 2, last 3, all",
        "the convolutions never trained in stage 2; `Dense(128)` joins in its second step (ours: in the first)",
        (("unfrozen minus frozen", "cifar10/repo_baseline gain over cifar10/repo_baseline_frozen"),),
    ),
    Claim(
        REPRODUCTION,
        "dense to 1x1 convolution",
        "as per the paper",
        "defined, not used in the trained model",
    ),
    Claim(
        REPRODUCTION,
        "parameters in convolutions",
        "about 70 %",
        "1.3 % (4,200 of 334,706)",
        measured("cifar10/repo_baseline:share of convolutions"),
    ),
    Claim(REPRODUCTION, "size", "less than 2 MB", "1.26 MB", measured("cifar10/repo_baseline:MiB")),
    Claim(
        REPRODUCTION,
        "training time",
        "",
        "814 + 1,151 + 779 s (another CPU); every second epoch of the augmented branch is a single batch",
        measured("cifar10/repo_baseline_frozen:seconds"),
    ),
    Claim(
        REPRODUCTION,
        "latency",
        "about 1 ms on a GPU",
        "72 to 160 ms on a CPU through `predict`; no GPU run",
        measured("latency cifar10/paper keras function"),
    ),
    Claim(EXTENSION, "accuracy", "the highest", "78.3 and 78.2 %", measured("cifar10/repo_residual_se:spread")),
    Claim(
        EXTENSION,
        "parameters",
        "less than 30,000",
        "83,920",
        (
            ("its network", "cifar10/repo_residual_se:params"),
            ("Wren-AdamW", "cifar10/residual_se:params"),
            ("Wren", "cifar10/residual_se_muon:params"),
        ),
    ),
    Claim(
        EXTENSION,
        "under 30,000 and above the baseline",
        "kept",
        "not kept",
        (("Wren-AdamW", "cifar10/residual_se:spread"), ("Wren", "cifar10/residual_se_muon:spread")),
    ),
    Claim(EXTENSION, "size", "less than 2 MB", "0.32 MB", measured("cifar10/repo_residual_se:MiB")),
    Claim(
        EXTENSION,
        "calibration",
        "better",
        "never measured",
        (
            ("its network", "cifar10/repo_residual_se:ece"),
            ("baseline, frozen", "cifar10/repo_baseline_frozen:ece"),
            ("Wren-AdamW", "cifar10/residual_se:ece"),
        ),
    ),
    Claim(
        EXTENSION,
        "label smoothing",
        "enhances calibration",
        "never measured; the dropout that goes with it stays at 0.4",
        (
            ("alone", f"cifar10/{only('smoothing')}/quick ece minus cifar10/{BASELINE}/quick"),
            ("in the whole", f"cifar10/{WHOLE}/quick ece minus cifar10/{leave_one_out('smoothing')}/quick"),
        ),
    ),
    *(
        Claim(
            EXTENSION,
            f"{SINGLE_GAIN}{part.title}",
            f"{part.claim} points",
            _BUILT_PARTS.get(key, _NOT_SEPARATE),
            (
                ("alone", f"cifar10/{only(key)} gain over cifar10/{BASELINE}"),
                ("in the whole", f"cifar10/{WHOLE} gain over cifar10/{leave_one_out(key)}"),
            ),
        )
        for key, part in PARTS.items()
        if part.claim
    ),
    Claim(
        RERUN,
        "Fashion-MNIST, improved against baseline",
        "91.6 against 90.0 %",
        "its log: 86.6 (improved) against 89.1 %",
    ),
    Claim(
        RERUN,
        "one model for CIFAR-10 and Fashion-MNIST",
        "evaluated on both",
        "trained on CIFAR-10, then on Fashion-MNIST: it has 11 % on CIFAR-10 afterwards",
    ),
    Claim(RERUN, "McNemar test", "made", "the cell shows no output"),
)
