"""Data sets: where they are found, how they are read and checked, and how they are split.

What reads images is imported when it is first used, so that listing names needs neither Pillow nor OpenCV.
"""

import importlib
from typing import TYPE_CHECKING

from lwcnn.data.known import (
    CLASS_NAMES,
    DATASET_NAMES,
    INPUT_SHAPES,
    NUM_IMAGES,
    OFFICIAL_CHECKSUMS,
    ImageSpec,
    image_spec,
)

if TYPE_CHECKING:
    from lwcnn.data.datasets import Dataset, choose_dataset, find_dataset, load_dataset
    from lwcnn.data.splits import split_for_training, stratified_folds, stratified_split
    from lwcnn.data.statistics import channel_statistics

_MODULES = {
    "datasets": ("Dataset", "choose_dataset", "find_dataset", "load_dataset"),
    "splits": ("split_for_training", "stratified_folds", "stratified_split"),
    "statistics": ("channel_statistics",),
}

__all__ = [
    "CLASS_NAMES",
    "DATASET_NAMES",
    "INPUT_SHAPES",
    "NUM_IMAGES",
    "OFFICIAL_CHECKSUMS",
    "Dataset",
    "ImageSpec",
    "channel_statistics",
    "choose_dataset",
    "find_dataset",
    "image_spec",
    "load_dataset",
    "split_for_training",
    "stratified_folds",
    "stratified_split",
]


def __getattr__(name: str):
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"lwcnn.data.{module}"), name)
    raise AttributeError(f"module 'lwcnn.data' has no attribute {name!r}")
