"""The notebook's beginning: which data is there, and which results on it."""

import os
from collections.abc import Sequence

from lwcnn.data import Dataset, choose_dataset, load_dataset
from lwcnn.experiments.recipes import get_preset
from lwcnn.experiments.run import Folders
from lwcnn.publication.notebook.display import tell
from lwcnn.publication.notebook.places import OWN_FOLDERS, committed_folders
from lwcnn.publication.notebook.story import Story
from lwcnn.publication.tables.tables import load_results
from lwcnn.system.errors import LwcnnError

FEW_IMAGES = 5_000  # below it compiling the kernels would take longer than training does


def open_story(dataset: str = "cifar10", preset: str = "quick", seeds: Sequence[int] = (0,)) -> Story:
    """Finds the data and the committed results on it, and says what will be trained here.

    Args:
        dataset: a name or the path of an .npz; for "cifar10" that can't be had the digits are taken, loudly, and
            with them the preset `quick`.
        preset: "quick" or "smoke" trains `paper` here and takes the rest from the committed results; "full" takes
            everything from them. Without committed results on the data everything is trained here.
        seeds: of what is trained here.

    Raises:
        LwcnnError: an unknown name, data that can't be read, or no seeds.
    """
    get_preset(preset)  # a wrong name before the data is read
    seeds = tuple(seeds)
    if not seeds or not all(isinstance(seed, int) and seed >= 0 for seed in seeds):
        raise LwcnnError(f"seeds must be one whole number from 0 or more of them. Received: {list(seeds)}")
    data, notice = choose_dataset() if dataset == "cifar10" else (load_dataset(dataset), None)
    folders = committed_folders()
    trains_all = folders is None or not _has_results(folders, data)
    if len(data.x_train) < FEW_IMAGES:
        os.environ.setdefault("LWCNN_STEP", "keras")  # done before the engine is compiled
    story = Story(
        data, notice, "quick" if notice else preset, seeds, OWN_FOLDERS if trains_all else folders, trains_all
    )
    tell(_opening(story))
    return story


def _has_results(folders: Folders, data: Dataset) -> bool:
    """Whether there are results on exactly these images."""
    return any(result["data_checksum"] == data.checksum for result in load_results(folders.results))


def _opening(story: Story) -> str:
    data = story.data
    size = " × ".join(map(str, data.input_shape))
    lines = [
        f"**{data.name}**, from {data.source}: {len(data.x_train):,} training and {len(data.x_test):,} test images"
    ]
    lines[0] += f" of {size}, {data.num_classes} classes."
    if story.trains_all:
        what = "There are no committed results on these images, so everything shown is trained here"
    elif story.trains_paper:
        what = "`paper` is trained here; all else is taken from the committed results"
    else:
        what = "Everything is taken from the committed results"
    plural = "s" if len(story.seeds) > 1 else ""
    lines.append(f"{what}: preset `{story.preset}`, seed{plural} {', '.join(map(str, story.seeds))}.")
    if story.notice:
        lines.insert(0, f"> ## {story.notice}\n")
    return "\n".join(lines)
