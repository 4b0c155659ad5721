"""Claims and results of others, and our own goals, from the files in this folder; each number has its source."""

import tomllib
from pathlib import Path

import pandas as pd

_FOLDER = Path(__file__).parent

CLAIMS: list[dict] = [
    {"system": system, "what": what, **claim}
    for system, claims in tomllib.loads((_FOLDER / "claims.toml").read_text("utf-8")).items()
    for what, claim in claims.items()
]
"""The claims of the systems, with what their own code gives, and the names of the values that test the claims."""

SINGLE_GAIN = "gain of "
"""Prefix of the claims about single parts, which have a separate table."""

CLAIMED_GAINS: dict[str, str] = {
    claim["what"].removeprefix(SINGLE_GAIN): claim["claimed"].removesuffix(" points")
    for claim in CLAIMS
    if claim["what"].startswith(SINGLE_GAIN)
}
"""Claimed gains, such as "+3 to +4", by title of the part."""

GOALS = list(pd.read_csv(_FOLDER / "goals.csv").itertuples(index=False, name="Goal"))
"""Goals for an experiment's mean test accuracy, in percent, set by the plan of the work.

`beat` is the accuracy to beat, `least` the required accuracy, and `aim` the target; nan if none was set.
"""

REFERENCES = list(pd.read_csv(_FOLDER / "references.csv", dtype=str, keep_default_na=False).itertuples(index=False))
"""Others' networks, and the experiments that train them as claimed or at their best.

`epochs` is the number of epochs of our training if it is shorter.
"""

PUBLISHED = pd.read_csv(_FOLDER / "literature.csv")
"""A row per published result.

`accuracy` is 0 to 1, as reported; `params` with moving statistics where known; "built" in `source` marks what was
counted from a system's own code where its text says something else.
"""

PAPER_ACCURACY = PUBLISHED[PUBLISHED["name"] == "paper, as reported"].set_index("dataset")["accuracy"].to_dict()
"""Test accuracy by dataset in the abstract of arXiv 2501.15547."""
