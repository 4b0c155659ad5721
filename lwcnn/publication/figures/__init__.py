# ruff: noqa: F401
"""Functions that draw a figure, most on a given axis or a new one, and return it; three others prepare what is drawn.

None of them trains, shows or saves. `lwcnn.publication.figures.catalogue` draws the committed figures from results.
"""

from lwcnn.publication.figures.curves import plot_training_curves
from lwcnn.publication.figures.diagrams import describe_layers, plot_architecture, plot_method
from lwcnn.publication.figures.grids import overlay_heatmaps, plot_image_grid
from lwcnn.publication.figures.intervals import plot_intervals
from lwcnn.publication.figures.outputs import (
    embed_features,
    plot_confusion_matrix,
    plot_embedding,
    plot_reliability,
    plot_roc,
)
from lwcnn.publication.figures.tradeoffs import plot_costs
