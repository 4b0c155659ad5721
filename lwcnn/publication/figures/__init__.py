"""Figures as functions: each takes arrays, draws on a given axis or a new one, and returns the figure.

None of them trains, shows or saves. `lwcnn.publication.figures.catalogue` draws the committed figures from results.
"""

from lwcnn.evaluation.gradcam import gradcam_heatmap
from lwcnn.publication.figures.architecture import describe_layers, plot_architecture
from lwcnn.publication.figures.confusion import plot_confusion_difference, plot_confusion_matrix
from lwcnn.publication.figures.curves import plot_fold_curves, plot_folds, plot_training_curves
from lwcnn.publication.figures.embedding import embed_features, plot_embedding
from lwcnn.publication.figures.grids import overlay_heatmaps, plot_image_grid
from lwcnn.publication.figures.intervals import plot_intervals, plot_parameters_by_layer
from lwcnn.publication.figures.method import plot_method
from lwcnn.publication.figures.probabilities import plot_reliability, plot_roc
from lwcnn.publication.figures.tradeoffs import Point, plot_costs, plot_tradeoff

__all__ = [
    "Point",
    "describe_layers",
    "embed_features",
    "gradcam_heatmap",
    "overlay_heatmaps",
    "plot_architecture",
    "plot_confusion_difference",
    "plot_confusion_matrix",
    "plot_costs",
    "plot_embedding",
    "plot_fold_curves",
    "plot_folds",
    "plot_image_grid",
    "plot_intervals",
    "plot_method",
    "plot_parameters_by_layer",
    "plot_reliability",
    "plot_roc",
    "plot_tradeoff",
    "plot_training_curves",
]
