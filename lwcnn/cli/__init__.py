"""The commands of the command line: one module for each kind, joined here."""

import argparse
import logging
from collections.abc import Callable
from dataclasses import dataclass

from lwcnn.cli import deployment, evaluate, figures, listing, predict, report, run, training
from lwcnn.cli.arguments import add_data_arguments, add_training_arguments
from lwcnn.cli.summary import show_summary, summary_arguments

logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its advice on retracing is not for users


@dataclass(frozen=True)
class Command:
    """A command: its arguments, what it does, and an example of its use."""

    run: Callable[[argparse.Namespace], int | None]
    add_arguments: Callable[[argparse.ArgumentParser], None]
    example: str


COMMANDS = {
    "run": Command(run.run, run.add_arguments, "lwcnn run"),
    "datasets": Command(listing.list_datasets, add_data_arguments, "LWCNN_DATA_DIR=~/data lwcnn datasets"),
    "list": Command(listing.list_experiments, lambda parser: None, "lwcnn list"),
    "train": Command(
        training.train, add_training_arguments, "lwcnn train paper single --dataset mnist --preset quick --seeds 0 1 2"
    ),
    "kfold": Command(training.kfold, training.add_kfold_arguments, "lwcnn kfold paper --dataset mnist --preset quick"),
    "search": Command(
        training.search, training.add_search_arguments, "lwcnn search --dataset cifar10 --epochs 12 --jobs 2"
    ),
    "calibrate": Command(listing.calibrate, listing.add_calibration_arguments, "lwcnn calibrate --dataset cifar10"),
    "table": Command(listing.show_tables, listing.add_table_arguments, "lwcnn table --write README.md"),
    "summary": Command(show_summary, summary_arguments, "lwcnn summary models/cifar10-paper.keras"),
    "figures": Command(figures.draw, figures.add_arguments, "lwcnn figures --dataset cifar10"),
    "report": Command(report.make, report.add_arguments, "lwcnn report --no-pdf"),
    "evaluate": Command(
        evaluate.evaluate, evaluate.add_arguments, "lwcnn evaluate models/mnist-paper.keras --dataset mnist"
    ),
    "predict": Command(
        predict.predict,
        predict.add_arguments,
        "lwcnn predict models/cifar10-paper.keras my/images --output predictions.csv",
    ),
    "export": Command(
        deployment.export, deployment.add_export_arguments, "lwcnn export models/mnist-paper.keras --format litert-int8"
    ),
    "bench": Command(
        deployment.bench, deployment.add_bench_arguments, "lwcnn bench models/mnist-paper.keras --json bench.json"
    ),
}
