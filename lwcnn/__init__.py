"""Small image classifiers of 15,000 to 30,000 parameters: the method of arXiv 2501.15547, measured.

    import lwcnn

    data = lwcnn.load_dataset("mnist")
    model = lwcnn.build_merged_model(data.input_shape, data.num_classes)
    result = lwcnn.run_experiment("paper", data, preset="quick", seed=0)
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported: else it greets every process

from lwcnn.augment import Augmentation  # noqa: E402
from lwcnn.batches import Batches  # noqa: E402
from lwcnn.data import Dataset, load_dataset, stratified_folds, stratified_split  # noqa: E402
from lwcnn.errors import LwcnnError  # noqa: E402
from lwcnn.evaluation import predict_logits, summarise  # noqa: E402
from lwcnn.experiments import EXPERIMENT_NAMES, PRESETS, Experiment, get_experiment  # noqa: E402
from lwcnn.fused import ConvReluMaxPool  # noqa: E402
from lwcnn.kfold import run_kfold  # noqa: E402
from lwcnn.method import train_method  # noqa: E402
from lwcnn.models.macs import count_macs  # noqa: E402
from lwcnn.models.merge import merge_submodels  # noqa: E402
from lwcnn.models.submodel import build_dual_model, build_merged_model, build_submodel  # noqa: E402
from lwcnn.runs import Folders, run_experiment  # noqa: E402
from lwcnn.training.loop import Images, train_phase  # noqa: E402
from lwcnn.training.phases import Optimizer, Phase, unfreeze_layer_by_layer  # noqa: E402
from lwcnn.training.progress import Progress  # noqa: E402

__version__ = "0.1.0"

__all__ = [name for name in dir() if not name.startswith("_") and name != "os"]
