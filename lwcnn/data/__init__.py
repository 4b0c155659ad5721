"""Data sets: where they are found, how they are read and checked, and how they are split."""

from lwcnn.data.datasets import (
    CLASS_NAMES,
    DATASET_NAMES,
    INPUT_SHAPES,
    NUM_IMAGES,
    OFFICIAL_CHECKSUMS,
    Dataset,
    find_dataset,
    load_dataset,
)
from lwcnn.data.splits import stratified_folds, stratified_split

__all__ = [
    "CLASS_NAMES",
    "DATASET_NAMES",
    "INPUT_SHAPES",
    "NUM_IMAGES",
    "OFFICIAL_CHECKSUMS",
    "Dataset",
    "find_dataset",
    "load_dataset",
    "stratified_folds",
    "stratified_split",
]
