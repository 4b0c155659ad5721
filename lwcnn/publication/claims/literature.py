"""What others report: `literature.csv`, every number with its source."""

from pathlib import Path

import pandas as pd

PUBLISHED = pd.read_csv(Path(__file__).with_name("literature.csv"))
"""A row per published result.

Columns: `name`; `dataset`; `accuracy`, 0 to 1, as reported; `params`, moving statistics included where known;
`is_system`, 1 for the systems to reproduce; `source`, where it stands and what to know about it ("built" marks what was
counted from the system's own code or layer table where its text says something else).
"""

PAPER_ACCURACY = PUBLISHED[PUBLISHED["name"] == "paper, as reported"].set_index("dataset")["accuracy"].to_dict()
"""Test accuracy by data set in the abstract of arXiv 2501.15547."""

MLPERF_TINY = {
    "float accuracy": 87.19,
    "int8 accuracy": 86.97,
    "bytes": 98_496,
    "ECE": 3.6,
    "ms": 0.039,
    "our int8 accuracy": 89.28,
    "our ms": 0.089,
}
"""MLPerf Tiny's own ResNet-8 files (mlcommons/tiny), run here on the whole CIFAR-10 test set: accuracy and ECE in
percent, and median latency on one thread in the same run as that of our best network."""
