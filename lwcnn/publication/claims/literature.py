"""Published results, `literature.csv`: every number with its source."""

from pathlib import Path

import pandas as pd

PUBLISHED = pd.read_csv(Path(__file__).with_name("literature.csv"))
"""A row per published result.

Columns: `name`; `dataset`; `accuracy`, 0 to 1, as reported; `params`, moving statistics included where known;
`is_system`, 1 for the systems to reproduce; `source`, its place and remarks ("built" marks what was
counted from the system's own code or layer table where its text says something else).
"""

PAPER_ACCURACY = PUBLISHED[PUBLISHED["name"] == "paper, as reported"].set_index("dataset")["accuracy"].to_dict()
"""Test accuracy by data set in the abstract of arXiv 2501.15547."""
