"""Titles that say data set, model, seeds and number of images."""

from collections.abc import Iterable, Sequence

import pandas as pd

from lwcnn.publication.figures.inputs import Inputs


def of_shown(inputs: Inputs, what: str, run: pd.DataFrame, images: Iterable) -> str:
    """Two lines: what is shown; of which data set, run and how many test images, empty places left out."""
    count = sum(image is not None for image in images)
    return f"{what}\n{inputs.display_name}, {model(run)}, n = {count} of {inputs.num_test_images:,} test images"


def of_data(inputs: Inputs, what: str, details: str) -> str:
    """Two lines: what is shown; of which data set and test images, with other details."""
    return f"{what}\n{inputs.display_name}, {details}, n = {inputs.num_test_images:,} test images"


def model(runs: pd.DataFrame) -> str:
    """Experiment, preset and seeds of runs: "paper (full), seeds 0-2"."""
    return f"{runs['experiment'].iloc[0]} ({runs['preset'].iloc[0]}), {seeds(runs)}"


def seeds(runs: pd.DataFrame) -> str:
    """ "seed 1", "seeds 0-2" or "seeds 0, 2"."""
    numbers = sorted(runs["seed"])
    if len(numbers) == 1:
        return f"seed {numbers[0]}"
    if numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"seeds {numbers[0]}\u2013{numbers[-1]}"
    return f"seeds {', '.join(map(str, numbers))}"


def seed_counts(groups: Sequence[Sequence | pd.DataFrame]) -> str:
    """ "3 seeds each" or "1 to 3 seeds each"."""
    counts = sorted({len(runs) for runs in groups})
    if counts == [1]:
        return "1 seed each"
    return f"{counts[0]} to {counts[-1]} seeds each" if len(counts) > 1 else f"{counts[0]} seeds each"
