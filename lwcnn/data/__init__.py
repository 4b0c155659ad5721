"""Data sets: where they are found, how they are read and checked, and how they are split."""

from lwcnn.data.datasets import Dataset, choose_dataset, find_dataset, load_dataset
from lwcnn.data.known import (
    CLASS_NAMES,
    DATASET_NAMES,
    INPUT_SHAPES,
    NUM_IMAGES,
    OFFICIAL_CHECKSUMS,
    ImageSpec,
    image_spec,
)
from lwcnn.data.splits import split_for_training, stratified_folds, stratified_split
from lwcnn.data.statistics import channel_statistics

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
