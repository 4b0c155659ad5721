"""Predictions of a model, their metrics and statistics."""

from lwcnn.evaluation.calibration import fit_temperature, measure_calibration, scale_cross_fitted
from lwcnn.evaluation.metrics import (
    accuracy,
    confusion_matrix,
    cross_entropy,
    drop_large_confusion_matrix,
    expected_calibration_error,
    per_class_accuracy,
    precision_recall_f1,
    summarize,
    top_k_accuracy,
)
from lwcnn.evaluation.predict import predict_images, predict_logits, require_fit
from lwcnn.evaluation.statistics import MeanInterval, mcnemar_exact, mean_and_interval, wilson_interval
from lwcnn.evaluation.tta import TTA_TRANSFORMS, default_tta_transforms, predict_tta

__all__ = [
    "TTA_TRANSFORMS",
    "MeanInterval",
    "accuracy",
    "confusion_matrix",
    "cross_entropy",
    "default_tta_transforms",
    "drop_large_confusion_matrix",
    "expected_calibration_error",
    "fit_temperature",
    "mcnemar_exact",
    "mean_and_interval",
    "measure_calibration",
    "per_class_accuracy",
    "precision_recall_f1",
    "predict_images",
    "predict_logits",
    "predict_tta",
    "require_fit",
    "scale_cross_fitted",
    "summarize",
    "top_k_accuracy",
    "wilson_interval",
]
