"""Claims of the CIFAR-10 reproduction, of its extension and of a third party's rerun.

github.com/Shazer-Nadeem/lightweight-cnn-cifar10, .../Improved-lightweight-cnn-cifar10, github.com/shabanhassan142.
"""

from lwcnn.experiments.recipes.ablation import BASELINE, PARTS, WHOLE, leave_one_out, only
from lwcnn.publication.claims.claim import Claim, measured
from lwcnn.publication.claims.measures import (
    accuracy,
    calibration,
    convolution_share,
    counted,
    difference,
    ece_change,
    float_size,
    latency,
    training_time,
)

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
            ("convolutions frozen", accuracy("repo_baseline_frozen")),
            ("unfrozen, our reading", accuracy("repo_baseline")),
        ),
    ),
    Claim(REPRODUCTION, "parameters", "about 20,000", "334,706", measured(counted("repo_baseline"))),
    Claim(
        REPRODUCTION,
        "progressive unfreezing",
        "last layer, last 2, last 3, all",
        "the convolutions never trained in stage 2; `Dense(128)` joins in its second step (ours: in the first)",
        (("unfrozen minus frozen", difference("repo_baseline", "repo_baseline_frozen")),),
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
        measured(convolution_share("repo_baseline")),
    ),
    Claim(REPRODUCTION, "size", "less than 2 MB", "1.26 MB", measured(float_size("repo_baseline"))),
    Claim(
        REPRODUCTION,
        "training time",
        "",
        "814 + 1,151 + 779 s (another CPU); every second epoch of the augmented branch is a single batch",
        measured(training_time("repo_baseline_frozen")),
    ),
    Claim(
        REPRODUCTION,
        "latency",
        "about 1 ms on a GPU",
        "72 to 160 ms on a CPU through `predict`; no GPU run",
        measured(latency("paper")),
    ),
    Claim(EXTENSION, "accuracy", "the highest", "78.3 and 78.2 %", measured(accuracy("repo_residual_se"))),
    Claim(
        EXTENSION,
        "parameters",
        "less than 30,000",
        "83,920",
        (
            ("its network", counted("repo_residual_se")),
            ("ours", counted("residual_se")),
            ("ours, by Muon", counted("residual_se_muon")),
        ),
    ),
    Claim(
        EXTENSION,
        "under 30,000 and above the baseline",
        "kept",
        "not kept",
        (("ours", accuracy("residual_se")), ("ours, by Muon", accuracy("residual_se_muon"))),
    ),
    Claim(EXTENSION, "size", "less than 2 MB", "0.32 MB", measured(float_size("repo_residual_se"))),
    Claim(
        EXTENSION,
        "calibration",
        "better",
        "never measured",
        (
            ("its network", calibration("repo_residual_se")),
            ("baseline, frozen", calibration("repo_baseline_frozen")),
            ("ours", calibration("residual_se")),
        ),
    ),
    Claim(
        EXTENSION,
        "label smoothing",
        "enhances calibration",
        "never measured; the dropout that goes with it stays at 0.4",
        (
            ("alone", ece_change(only("smoothing"), BASELINE)),
            ("in the whole", ece_change(WHOLE, leave_one_out("smoothing"))),
        ),
    ),
    *(
        Claim(
            EXTENSION,
            f"{SINGLE_GAIN}{part.title}",
            f"{part.claim} points",
            _BUILT_PARTS.get(key, _NOT_SEPARATE),
            (("alone", difference(only(key), BASELINE)), ("in the whole", difference(WHOLE, leave_one_out(key)))),
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
