"""The command `lwcnn predict`: the classes of images as CSV or JSON."""

import argparse
import sys
from pathlib import Path

from lwcnn.cli.arguments import (
    DATA_DIR,
    MODEL,
    Arguments,
    at_least_one,
    dataset_source,
    image_source,
    option,
    output_file,
    path,
)
from lwcnn.data.known import CLASS_NAMES, DATASET_NAMES
from lwcnn.system.errors import wrong
from lwcnn.system.safe_text import csv_cell, one_line

EXIT_UNREADABLE = 4
"""Exit code where some images could not be read; the others are predicted."""


ARGUMENTS: Arguments = {
    **MODEL,
    "inputs": option(
        "images, folders of images, or patterns such as 'photos/*.jpg'; - for one image from standard input; an .npz "
        "file with x_test, images or x; or the name of a dataset, for its test images",
        nargs="+",
        type=image_source,
        metavar="INPUT",
    ),
    "--top": option("number of classes per image", 1, type=at_least_one, metavar="K"),
    "--calibrated": option("divide the logits by the temperature fitted on validation images", action="store_true"),
    "--tta": option("average the probabilities of each image and its mirror image", action="store_true"),
    "--json": option("write JSON instead of CSV", action="store_true"),
    "--output": option(
        "file to write (default, and for -: standard output)",
        type=lambda text: None if text == "-" else output_file(text),
    ),
    "--dataset": option(
        "dataset that chooses the weights of a network and the class names (default: from MODEL)", type=dataset_source
    ),
    "--classes": option("text file of class names in order of the labels, one per line", type=path, metavar="FILE"),
    **DATA_DIR,
}


def predict(options: argparse.Namespace) -> int:
    """Predict the classes of images; unreadable images are listed and skipped (exit code 4)."""
    from lwcnn.data.datasets import load_dataset
    from lwcnn.evaluation.predict import converted_for, default_tta_transforms, predict_images, require_classifier
    from lwcnn.experiments.shipped import model_file, was_mirrored
    from lwcnn.models.description import read_description
    from lwcnn.models.io import load_model
    from lwcnn.system.files import write_atomically

    images = options.inputs
    public = images[0] if len(images) == 1 and images[0] in DATASET_NAMES else None
    file = model_file(options.model, options.dataset or public)
    model, description = load_model(file), read_description(file)
    require_classifier(model)
    unreadable: list[str] = []

    def skip(name: str, reason: str) -> None:
        unreadable.append(name)
        print(f"unreadable: {one_line(name)} ({reason})", file=sys.stderr, flush=True)

    temperature = getattr(description, "temperature", None) if options.calibrated else 1.0
    if temperature is None:
        raise wrong("The model file has no temperature, which `lwcnn train` fits: leave out --calibrated", file)
    names = _given_names(options, file) or (description.class_names if description else ())
    if not names:
        raise wrong(
            "The model file does not name its classes: give its dataset with --dataset, or the names, one per line, "
            "with --classes FILE",
            file,
        )
    transforms = default_tta_transforms(was_mirrored(file)) if options.tta else ("original",)
    if public:
        images = converted_for(model, load_dataset(public, options.data_dir).x_test)
    found = predict_images(model, images, options.top, names, temperature, transforms, skip).rename(
        columns={"image": "id"}
    )
    if options.json:
        text = found.to_json(orient="records", indent=1, double_precision=6) + "\n"
    else:
        safe = found.map(lambda cell: csv_cell(cell) if isinstance(cell, str) else cell)
        text = safe.to_csv(index=False, float_format="%.4f", lineterminator="\n")
    if options.output:
        write_atomically(options.output, text.encode(errors="backslashreplace"))
        print(f"{len(found):,} images are in {options.output}")
    else:
        sys.stdout.write(text)
    return EXIT_UNREADABLE if unreadable else 0


def _given_names(options: argparse.Namespace, file: Path) -> tuple[str, ...]:
    """Returns the class names that the options give, or (). The names of a dataset must be the model's."""
    from lwcnn.data.datasets import load_dataset
    from lwcnn.data.folders import class_folders, find_files
    from lwcnn.data.streams import read_class_list
    from lwcnn.evaluation.predict import require_classes

    if options.classes and options.dataset:
        raise wrong("Give the names of the classes with --dataset or with --classes", "both")
    if options.classes:
        return read_class_list(options.classes)
    if not options.dataset:
        return ()
    if options.dataset in DATASET_NAMES or not (folder := path(options.dataset)).is_dir():
        names = CLASS_NAMES.get(options.dataset) or load_dataset(options.dataset, options.data_dir).class_names
    else:
        names = tuple(map(one_line, class_folders(find_files(folder))))
    require_classes(file, names, options.dataset)
    return names
