"""The commands that put networks to use: `lwcnn export`, `lwcnn bench` and `lwcnn demo`."""

import argparse
import os
from functools import partial
from pathlib import Path

from lwcnn.cli import arguments
from lwcnn.cli.arguments import DATASET_HELP, MODEL_HELP, Arguments, at_least_one, dataset_source, number, option
from lwcnn.data.datasets import load_dataset
from lwcnn.experiments.shipped import is_untrained, model_file
from lwcnn.experiments.zoo import load_dataset_for
from lwcnn.export.formats import BENCH_FORMATS, FORMATS, require_format
from lwcnn.system.environment import load_backend, thread_environment
from lwcnn.system.files import write_json

EXPORT: Arguments = {
    **arguments.MODEL,
    "--format": option("file format", choices=FORMATS, required=True),
    "--dataset": option(
        f"dataset that checks the export and calibrates int8: {DATASET_HELP} (default: from MODEL)", type=dataset_source
    ),
    **arguments.DATA_DIR,
    "--output": option("file or folder to write (default: exports/<model>-<format>)", type=arguments.output_path),
    "--max-drop": option(
        "maximum loss of accuracy, in points (default: 0.3 for int8, 0.05 otherwise, more with few test images)",
        type=partial(number, most=100),
        metavar="POINTS",
    ),
}
BENCH: Arguments = {
    "models": option(
        f"{MODEL_HELP}, or the name of another experiment, which is built with random weights",
        type=arguments.model_name,
        nargs="+",
    ),
    "--formats": option("formats to measure", list(BENCH_FORMATS), nargs="+", choices=BENCH_FORMATS),
    "--dataset": option(
        f"dataset for timing and for calibrating int8: {DATASET_HELP} (default: random images)", type=dataset_source
    ),
    **arguments.DATA_DIR,
    "--rounds": option("number of rounds through all formats", 5, type=at_least_one),
    "--calls": option(
        "maximum number of calls with one image per round; a round ends after a second, but not before 10 calls",
        300,
        type=at_least_one,
    ),
    "--json": option("write the measurements to this file", type=arguments.output_file),
}
DEMO: Arguments = {
    "models": option(MODEL_HELP, ["wren-30k", "paper"], type=arguments.trained_model, nargs="*"),
    "--examples": option(
        "folder of example images like those that your models were trained on; also used to calibrate int8 (default: "
        "twelve images of CIFAR-10)",
        type=arguments.path,
    ),
    "--port": option("TCP port", 7860, type=arguments.whole_number(1, 65_535)),
}


def export(options: argparse.Namespace) -> None:
    """Export a model to another format, checked on the test images."""
    from lwcnn.export.run import MAX_FLOAT_CHANGE, MAX_INT8_DROP, export_model

    require_format(options.format)
    options.model = model_file(options.model, options.dataset)
    data = load_dataset_for([options.model], options.dataset, options.data_dir)
    name = f"{options.model.stem}-{options.format}{FORMATS[options.format].extension}"
    output = options.output or Path("exports") / name
    report = export_model(options.model, options.format, data, output, options.max_drop)
    rows = [
        ("model", f"{options.model}, {report['parameters']:,} parameters"),
        ("format", f"{report['format']}, {output}"),
        ("size", f"{report['size_bytes']:,} bytes, {report['gzip_bytes']:,} after gzip"),
        ("accuracy in Keras", f"{report['accuracy_keras']:.2%}"),
        (
            "accuracy exported",
            f"{report['accuracy_exported']:.2%}, {0 - report['drop_points']:+.2f} points, "
            f"on {report['num_test_images']:,} test images of {report['dataset']}",
        ),
        ("same class", f"{report['agreement']:.2%} of the images"),
        ("largest difference", f"{report['max_abs_difference']:.3g} of a logit"),
    ]
    if report["num_calibration_images"]:
        rows += [
            ("calibrated on", f"{report['num_calibration_images']:,} images"),
            ("input", f"int8, scale {report['input_scale']:g}, zero point {report['input_zero_point']}"),
            ("activations", f"{report['arena_bytes_estimated']:,} bytes (estimated)"),
        ]
    limit = MAX_INT8_DROP if FORMATS[options.format].quantized else MAX_FLOAT_CHANGE
    if options.max_drop is None and report["drop_points"] > limit:
        rows.append(("accepted", "with so few images, this loss may be due to chance; --max-drop sets a limit"))
    print("\n".join(f"{name:<20} {value}" for name, value in rows))


def bench(options: argparse.Namespace) -> None:
    """Measure latency, throughput, memory and size of models in several runtimes."""
    os.environ.update(thread_environment(1))  # before TensorFlow is imported
    load_backend()
    from lwcnn.export.bench.run import bench_models, bench_table

    data, first = None, options.models[0]
    if options.dataset and is_untrained(first):
        data = load_dataset(options.dataset, options.data_dir)
    elif options.dataset:
        data = load_dataset_for([model_file(first, options.dataset)], options.dataset, options.data_dir)
    elif "litert-int8" in options.formats:
        print("No --dataset: int8 is calibrated on random images. Its speed and size are valid, its accuracy is not.")
    found = bench_models(options.models, options.formats, data, options.rounds, options.calls)
    if options.json:
        write_json(options.json, found)
    machine, rounds = found["machine"], f"{options.rounds} round{'' if options.rounds == 1 else 's'}"
    print(f"\n{bench_table(found).to_string(index=False)}\n")
    print(
        f"{machine['device']}, one thread, medians of {rounds}; images: {found['images']}.\n"
        f"Load average before and after: {machine['load_average_before']}, {machine['load_average_after']}.\n"
        f"Peak memory: {found['peak_memory']}."
    )


def demo(options: argparse.Namespace) -> None:
    """Open a web page to try networks on your own images; only this machine can reach it."""
    from lwcnn.publication.demo.network import open_network
    from lwcnn.publication.demo.page import EXAMPLES, build_page, find_examples, require_gradio, serve

    require_gradio()
    examples = find_examples(options.examples or EXAMPLES)
    networks = []
    for name in options.models:
        print(f"{name}: opening, and converting to LiteRT if it is new", flush=True)
        networks.append(open_network(name, examples))
    page = build_page(networks, examples)
    print(f"open {serve(page, options.port)} in a browser; Ctrl-C ends it", flush=True)
    page.block_thread()
