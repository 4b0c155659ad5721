"""The names in `lwcnn` and their modules, for editors, type checkers and `__init__.py`, which imports on first use."""

from lwcnn.data import augment as augment
from lwcnn.data.augment import Augmentation as Augmentation
from lwcnn.data.batches import Batches as Batches
from lwcnn.data.datasets import Dataset as Dataset
from lwcnn.data.datasets import load_dataset as load_dataset
from lwcnn.data.images import Images as Images
from lwcnn.data.images import Split as Split
from lwcnn.engine.fit import fast_fit as fast_fit
from lwcnn.evaluation.gradcam import gradcam_heatmap as gradcam_heatmap
from lwcnn.evaluation.metrics import fit_temperature as fit_temperature
from lwcnn.evaluation.metrics import summarize as summarize
from lwcnn.evaluation.predict import predict_images as predict_images
from lwcnn.evaluation.predict import predict_logits as predict_logits
from lwcnn.experiments.finetune import finetune as finetune
from lwcnn.experiments.folders import Folders as Folders
from lwcnn.experiments.kfold import run_kfold as run_kfold
from lwcnn.experiments.recipes import Experiment as Experiment
from lwcnn.experiments.recipes import get_experiment as get_experiment
from lwcnn.experiments.recipes import with_settings as with_settings
from lwcnn.experiments.results import load_results as load_results
from lwcnn.experiments.run import run_experiment as run_experiment
from lwcnn.experiments.zoo import create_model as create_model
from lwcnn.experiments.zoo import list_models as list_models
from lwcnn.export.run import export_model as export_model
from lwcnn.models.cost import count_macs as count_macs
from lwcnn.models.dual import build_dual_model as build_dual_model
from lwcnn.models.dual import build_merged_model as build_merged_model
from lwcnn.models.dual import build_submodel as build_submodel
from lwcnn.models.io import load_model as load_model
from lwcnn.models.merge import check_merge as check_merge
from lwcnn.models.merge import merge_submodels as merge_submodels
from lwcnn.publication import figures as figures
from lwcnn.publication import tables as tables
from lwcnn.publication.notebook.session import open_session as open_session
from lwcnn.system.errors import LwcnnError as LwcnnError
from lwcnn.training.checkpoint import Checkpoint as Checkpoint
from lwcnn.training.loop import train_phase as train_phase
from lwcnn.training.optimizers import OptimizerConfig as OptimizerConfig
from lwcnn.training.phases import Phase as Phase
from lwcnn.training.phases import unfreeze_layer_by_layer as unfreeze_layer_by_layer

__version__: str
