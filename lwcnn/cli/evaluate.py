"""The command `lwcnn evaluate`: saved models on a dataset's test images, with and without test-time augmentation."""

import argparse

from lwcnn.cli import arguments
from lwcnn.cli.arguments import DATASET_HELP, MODEL_HELP, Arguments, option
from lwcnn.evaluation.metrics import accuracy, average_probabilities, drop_large_confusion_matrix, summarize
from lwcnn.evaluation.predict import (
    TTA_TRANSFORMS,
    class_names_of,
    default_tta_transforms,
    predict_logits,
    predict_tta,
    require_fit,
)
from lwcnn.system.files import write_json

_PERCENTAGES = {
    "accuracy": "test accuracy",
    "top_3_accuracy": "top-3 accuracy",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
    "ece": "ECE",
}

ARGUMENTS: Arguments = {
    "models": option(
        f"{MODEL_HELP}; the probabilities of several are averaged", type=arguments.trained_model, nargs="+"
    ),
    "--dataset": option(f"{DATASET_HELP} (default: from MODEL)", type=arguments.dataset_source),
    "--tta": option(
        "also evaluate with test-time augmentation over these transforms: "
        f"{', '.join(TTA_TRANSFORMS)} (default: original and horizontal_flip)",
        nargs="*",
        choices=TTA_TRANSFORMS,
        metavar="TRANSFORM",
    ),
    "--json": option(
        "write the metrics to this file; those with TTA are under the key tta", type=arguments.output_file
    ),
    **arguments.DATA_DIR,
}


def evaluate(options: argparse.Namespace) -> None:
    """Evaluate a saved model, or several together, on a dataset's test images."""
    from lwcnn.experiments.shipped import model_file, was_mirrored
    from lwcnn.experiments.zoo import load_dataset_for
    from lwcnn.models.io import load_model

    models = {file: load_model(file) for file in (model_file(name, options.dataset) for name in options.models)}
    data = load_dataset_for(list(models), options.dataset, options.data_dir)
    for file, model in models.items():
        require_fit(model, file, data)
    each = [predict_logits(model, data.x_test) for model in models.values()]
    logits = each[0] if len(each) == 1 else average_probabilities(each)
    measured = summarize(logits, data.y_test)
    tta: dict = {}
    if options.tta is not None:
        were_mirrored = all(was_mirrored(file, data.mirror) for file in models)
        transforms = tuple(options.tta) or default_tta_transforms(were_mirrored)
        voted = average_probabilities(predict_tta(model, data.x_test, transforms) for model in models.values())
        tta = {"transforms": list(transforms), "averaged": "softmax probabilities"}
        tta |= drop_large_confusion_matrix(summarize(voted, data.y_test))
    for file, alone in zip(models, each):
        share = f", alone {accuracy(alone, data.y_test):.2%}" if len(each) > 1 else ""
        print(f"model            {file}{share}")
    print(f"data             {data.name}, {len(data.y_test)} test images from {data.source}")
    print(f"parameters       {sum(model.count_params() for model in models.values()):,}")
    if tta:
        print(f"TTA              {', '.join(tta['transforms'])}: {tta['averaged']} averaged")
    class_names = class_names_of(next(iter(models)), data)
    print(f"\n{_tables(measured, tta, class_names)}")
    if options.json:
        about = {"model": " ".join(map(str, models)), "dataset": data.name, "class_names": list(class_names)}
        write_json(options.json, about | drop_large_confusion_matrix(measured) | ({"tta": tta} if tta else {}))


def _tables(measured: dict, tta: dict, class_names: tuple[str, ...]) -> str:
    from pandas import DataFrame

    columns = {"without TTA": measured} | ({"with TTA": tta} if tta else {})
    rows = {
        name: [f"{one[key]:.2%}" for one in columns.values()] for key, name in _PERCENTAGES.items() if key in measured
    }
    rows["test loss"] = [f"{one['loss']:.4f}" for one in columns.values()]
    totals = DataFrame.from_dict(rows, orient="index", columns=[*columns]).to_string()
    shares = DataFrame({key: measured[key] for key in ("precision", "recall", "f1")}, class_names, dtype=float)
    by_class = shares.assign(images=[sum(row) for row in measured["confusion_matrix"]])
    return f"{totals}\n\n{by_class.to_string(float_format='{:.2%}'.format, na_rep='-')}"
