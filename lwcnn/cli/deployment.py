"""The commands `lwcnn export` and `lwcnn bench`."""

import argparse
from functools import partial

from lwcnn.cli.arguments import (
    DATA_DIR,
    DATASET_HELP,
    MODEL,
    Arguments,
    at_least_one,
    load_dataset_of,
    model_argument,
    number,
    option,
    path,
)
from lwcnn.experiments.recipes import EXPERIMENT_NAMES, NETWORKS
from lwcnn.export.formats import BENCH_FORMATS, FORMAT_NAMES, NUM_CALIBRATION_IMAGES

EXPORT: Arguments = {
    **MODEL,
    "--format": option("file format", choices=FORMAT_NAMES, required=True),
    "--dataset": option(
        f"data set that checks the export and calibrates int8: {DATASET_HELP} (default: from MODEL)", metavar="DATA"
    ),
    **DATA_DIR,
    "--output": option("file or folder to write (default: exports/<model>-<format>)", type=path, metavar="PATH"),
    "--calibration-images": option(
        "training images that calibrate int8", NUM_CALIBRATION_IMAGES, type=at_least_one, metavar="N"
    ),
    "--max-drop": option(
        "percentage points of accuracy that may be lost (default: 0.3 for int8, 0.05 otherwise)",
        type=partial(number, most=100),
        metavar="POINTS",
    ),
}
BENCH: Arguments = {
    "models": model_argument(", or the name of another experiment, whose model has random weights", nargs="+"),
    "--formats": option("formats to measure", list(BENCH_FORMATS), nargs="+", choices=BENCH_FORMATS),
    "--dataset": option(
        f"data set of the images and of int8 calibration: {DATASET_HELP} (default: random images)", metavar="DATA"
    ),
    **DATA_DIR,
    "--rounds": option("rounds through all formats", 5, type=at_least_one, metavar="N"),
    "--calls": option("calls of one image in a round", 300, type=at_least_one, metavar="N"),
    "--json": option(
        "write the measurements to this file, and keep other models in it that were measured in the same way",
        type=path,
        metavar="FILE",
    ),
}


def export(options: argparse.Namespace) -> None:
    """Export a model to another format, checked on the test images."""
    from lwcnn.experiments.zoo import model_file
    from lwcnn.export.run import FOLDER, export_model, require_format

    require_format(options.format)
    options.model = model_file(options.model, options.dataset)
    data = load_dataset_of(options.model, options)
    report = export_model(
        options.model, options.format, data, options.output, options.calibration_images, options.max_drop
    )
    rows = [
        ("model", f"{options.model}, {report['parameters']:,} parameters"),
        ("format", f"{report['format']}, {options.output or FOLDER / report['file']}"),
        ("size", f"{report['size_bytes']:,} bytes, {report['gzip_bytes']:,} after gzip"),
        ("accuracy in Keras", f"{100 * report['accuracy_keras']:.2f} %"),
        (
            "accuracy exported",
            f"{100 * report['accuracy_exported']:.2f} %, {0 - report['drop_points']:+.2f} points, "
            f"on {report['num_test_images']:,} test images of {report['dataset']}",
        ),
        ("same class", f"{100 * report['agreement']:.2f} % of the images"),
        ("largest difference", f"{report['max_abs_difference']:.3g} of a logit"),
    ]
    if report["num_calibration_images"]:
        rows += [
            ("calibrated on", f"{report['num_calibration_images']:,} training images"),
            ("input", f"int8, scale {report['input_scale']:g}, zero point {report['input_zero_point']}"),
            ("arena (estimated)", f"{report['arena_bytes_estimated']:,} bytes of activations"),
        ]
    print("\n".join(f"{name:<20} {value}" for name, value in rows))


def bench(options: argparse.Namespace) -> None:
    """Measure latency, throughput, memory and size of models in several runtimes."""
    from lwcnn.experiments.zoo import model_file
    from lwcnn.export.bench.report import bench_notes, bench_table, join_earlier, read_earlier
    from lwcnn.export.bench.worker import bench_in_one_thread
    from lwcnn.system.files import write_json

    for i, model in enumerate(options.models):
        if model in NETWORKS or model not in EXPERIMENT_NAMES:
            options.models[i] = model_file(model, options.dataset)
    if options.dataset is None and "litert-int8" in options.formats:
        print("No --dataset: int8 is calibrated on random images. Its speed and size hold, its accuracy would not.")
    # Before anything is measured: a file of another kind must not cost the measurements.
    earlier = read_earlier(options.json) if options.json and options.json.exists() else None
    found = bench_in_one_thread(
        options.models,
        options.formats,
        options.dataset,
        options.data_dir,
        {"rounds": options.rounds, "num_calls": options.calls},
    )
    print(f"\n{bench_table(found)}\n\n{bench_notes(found)}")
    if options.json:
        joined = join_earlier(found, earlier) if earlier else found
        if earlier and joined is found:
            print(f"{options.json} was measured on another machine or with other settings or versions: replaced.")
        write_json(options.json, joined)
