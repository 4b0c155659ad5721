"""Logits of a model, and what is measured on them."""

from lwcnn.evaluation.calibration import fit_temperature, measure_calibration, scale_cross_fitted
from lwcnn.evaluation.logits import predict_logits, require_fit
from lwcnn.evaluation.metrics import (
    accuracy,
    confusion_matrix,
    cross_entropy,
    expected_calibration_error,
    keepable,
    per_class_accuracy,
    precision_recall_f1,
    summarize,
    top_k_accuracy,
)
from lwcnn.evaluation.statistics import MeanInterval, mcnemar_exact, mean_and_interval, wilson_interval
from lwcnn.evaluation.tta import VIEWS, default_views, predict_over_views

__all__ = [
    "VIEWS",
    "MeanInterval",
    "accuracy",
    "confusion_matrix",
    "cross_entropy",
    "default_views",
    "expected_calibration_error",
    "fit_temperature",
    "keepable",
    "mcnemar_exact",
    "mean_and_interval",
    "measure_calibration",
    "per_class_accuracy",
    "precision_recall_f1",
    "predict_logits",
    "predict_over_views",
    "require_fit",
    "scale_cross_fitted",
    "summarize",
    "top_k_accuracy",
    "wilson_interval",
]
