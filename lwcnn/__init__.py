"""Small image classifiers of 15,000 to 30,000 parameters: the method of arXiv 2501.15547, measured.

Begin with `load_dataset`, `build_merged_model` and `run_experiment`; the README shows them in ten lines.
"""

import os

# Before TensorFlow is imported: else it greets every process.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from lwcnn.data import Dataset, channel_statistics, load_dataset, stratified_folds, stratified_split
from lwcnn.data.augment import Augmentation, ColorJitter, Cutout, Erasing, GaussianBlur, Mixing, RandAugment, Sharpness
from lwcnn.data.batches import Batches
from lwcnn.engine.fused import ConvReluMaxPool
from lwcnn.evaluation import predict_logits, summarise
from lwcnn.experiments.kfold import run_kfold
from lwcnn.experiments.pipeline import train_method
from lwcnn.experiments.recipes import EXPERIMENT_NAMES, PRESETS, Experiment, get_experiment
from lwcnn.experiments.results import load_results
from lwcnn.experiments.run import Folders, run_experiment
from lwcnn.models.cost import count_macs
from lwcnn.models.dual import build_dual_model, build_merged_model, build_submodel
from lwcnn.models.merge import merge_submodels
from lwcnn.system.errors import LwcnnError
from lwcnn.training.loop import Images, train_phase
from lwcnn.training.phases import Optimizer, Phase, unfreeze_layer_by_layer
from lwcnn.training.progress import Progress

__version__ = "0.1.0"

__all__ = [name for name in dir() if not name.startswith("_") and name != "os"]
