"""The commands `lwcnn export` and `lwcnn bench`."""

import argparse
import math

from lwcnn.cli.arguments import DATASET_HELP, MODEL_HELP, add_data_arguments, at_least_one, load_dataset_of, path
from lwcnn.experiments.recipes import EXPERIMENT_NAMES, NETWORKS
from lwcnn.export.formats import BENCH_FORMATS, FORMAT_NAMES, NUM_CALIBRATION_IMAGES


def export(options: argparse.Namespace) -> int:
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
    return 0


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `lwcnn export` to its parser."""
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("--format", choices=FORMAT_NAMES, required=True, help="file format")
    _data_arguments(parser, "data set that checks the export and calibrates int8", "from MODEL")
    parser.add_argument(
        "--output", type=path, metavar="PATH", help="file or folder to write (default: exports/<model>-<format>)"
    )
    parser.add_argument(
        "--calibration-images",
        type=at_least_one,
        default=NUM_CALIBRATION_IMAGES,
        metavar="N",
        help=f"training images that calibrate int8 (default: {NUM_CALIBRATION_IMAGES})",
    )
    parser.add_argument(
        "--max-drop",
        type=_points,
        metavar="POINTS",
        help="percentage points of accuracy that may be lost (default: 0.3 for int8, 0.05 otherwise)",
    )


def _points(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 100:  # NaN fails this too
        raise argparse.ArgumentTypeError(f"give a number from 0 to 100. Received: {text!r}")
    return value


def _data_arguments(parser: argparse.ArgumentParser, purpose: str, default: str) -> None:
    parser.add_argument(
        "--dataset",
        metavar="DATA",
        help=f"{purpose}: {DATASET_HELP} (default: {default})",
    )
    add_data_arguments(parser)


def bench(options: argparse.Namespace) -> int:
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
        {"rounds": options.rounds, "num_calls": options.calls, "memory": not options.no_memory},
    )
    print(f"\n{bench_table(found)}\n\n{bench_notes(found)}")
    if options.json:
        joined = join_earlier(found, earlier) if earlier else found
        if earlier and joined is found:
            print(f"{options.json} was measured on another machine or with other settings or versions: replaced.")
        write_json(options.json, joined)
    return 0


def add_bench_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `lwcnn bench` to its parser."""
    parser.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        help=f"{MODEL_HELP}, or the name of another experiment, whose model has random weights",
    )
    parser.add_argument(
        "--formats", nargs="+", choices=BENCH_FORMATS, default=list(BENCH_FORMATS), help="formats (default: all)"
    )
    _data_arguments(parser, "data set of the images and of int8 calibration, for all models", "random images")
    parser.add_argument(
        "--rounds", type=at_least_one, default=5, metavar="N", help="rounds through all formats (default: 5)"
    )
    parser.add_argument(
        "--calls", type=at_least_one, default=300, metavar="N", help="calls of one image in a round (default: 300)"
    )
    parser.add_argument("--no-memory", action="store_true", help="do not measure peak memory, which starts processes")
    parser.add_argument(
        "--json",
        type=path,
        metavar="FILE",
        help="write the measurements to this file, and keep other models in it that were measured in the same way",
    )
