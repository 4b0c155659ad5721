"""The commands `lwcnn export` and `lwcnn bench`."""

import argparse
from pathlib import Path

from lwcnn.cli.arguments import dataset_in_name
from lwcnn.data import DATASET_NAMES, load_dataset
from lwcnn.export.bench.report import bench_notes, bench_table, join_earlier
from lwcnn.export.bench.runtimes import BENCH_FORMATS
from lwcnn.export.bench.worker import bench_in_one_thread
from lwcnn.export.run import FORMATS, NUM_CALIBRATION_IMAGES, export_model
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import read_json, write_json


def export(options: argparse.Namespace) -> int:
    """Export a model for another runtime, checked on the test images."""
    data = load_dataset(options.dataset or _dataset_of(options.model), options.data_dir)
    report = export_model(
        options.model, options.format, data, options.output, options.calibration_images, options.max_drop
    )
    rows = [
        ("model", f"{options.model}, {report['parameters']:,} parameters"),
        ("format", f"{report['format']}, {report['file']}"),
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
    """The arguments of `lwcnn export`."""
    parser.add_argument("model", metavar="MODEL", help="a .keras file")
    parser.add_argument("--format", choices=FORMATS, required=True)
    _data_arguments(parser, "checks the export and calibrates int8 (else read from the model's name)")
    parser.add_argument("--output", type=Path, help="file or folder to write (else exports/<model>-<format>)")
    parser.add_argument(
        "--calibration-images",
        type=int,
        default=NUM_CALIBRATION_IMAGES,
        metavar="N",
        help=f"training images that calibrate int8 ({NUM_CALIBRATION_IMAGES})",
    )
    parser.add_argument(
        "--max-drop", type=float, metavar="POINTS", help="accuracy that may be lost (0.3 in int8, 0.05 else)"
    )


def _data_arguments(parser: argparse.ArgumentParser, purpose: str) -> None:
    parser.add_argument("--dataset", help=f"{purpose}: {', '.join(DATASET_NAMES)} or the path of an .npz")
    parser.add_argument("--data-dir", help="folder of <name>.npz files (else $LWCNN_DATA_DIR)")


def _dataset_of(model: str) -> str:
    name = dataset_in_name(model)
    if name is None:
        raise LwcnnError(f"The model's name does not begin with its data set: give it by --dataset. Received: {model}")
    return name


def bench(options: argparse.Namespace) -> int:
    """Measure latency, throughput, memory and size of models in several runtimes, side by side."""
    if options.dataset is None and "litert-int8" in options.formats:
        print("No --dataset: int8 is calibrated on random images. Its speed and size hold, its accuracy would not.")
    # Read before anything is measured: a file that can't be read must not cost the measurements.
    earlier = read_json(options.json) if options.json and options.json.exists() else None
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
            print(f"{options.json} was measured on another machine, in another way or with other versions: replaced.")
        write_json(options.json, joined)
    return 0


def add_bench_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `lwcnn bench`."""
    parser.add_argument(
        "models", nargs="+", metavar="MODEL", help="a .keras file, or an experiment's name, for random weights"
    )
    parser.add_argument("--formats", nargs="+", choices=BENCH_FORMATS, default=list(BENCH_FORMATS))
    _data_arguments(parser, "images, and int8's calibration, of one data set for all models (else random images)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of every format (5)")
    parser.add_argument("--calls", type=int, default=300, help="calls of one image a round (300)")
    parser.add_argument("--no-memory", action="store_true", help="leave out peak memory, which takes new processes")
    help_json = "write the measurements to this file; other models in it stay, if measured on this machine in this way"
    parser.add_argument("--json", type=Path, metavar="FILE", help=help_json)
