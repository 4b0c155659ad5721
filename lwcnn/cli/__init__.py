"""The commands of the command line, one module for each kind.

The modules import what a command needs inside the function that runs it, so that `lwcnn --help` and what lists names
import no backend.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from lwcnn.cli import demo, deployment, evaluate, listing, predict, publish, run, search, training
from lwcnn.cli.arguments import DATA_DIR, Arguments


@dataclass(frozen=True)
class Command:
    """A command; the first line of its function's docstring describes it."""

    run: Callable[[argparse.Namespace], int | None]
    arguments: Arguments
    example: str
    needs_backend: bool = True


COMMANDS = {
    "run": Command(run.run, run.ARGUMENTS, "lwcnn run"),
    "datasets": Command(listing.list_datasets, DATA_DIR, "LWCNN_DATA_DIR=~/data lwcnn datasets", needs_backend=False),
    "list": Command(listing.list_names, listing.ARGUMENTS, "lwcnn list", needs_backend=False),
    "train": Command(
        training.train, training.TRAIN, "lwcnn train wren paper --dataset mnist --preset quick --seeds 0 1 2"
    ),
    "finetune": Command(training.finetune, training.FINETUNE, "lwcnn finetune wren --dataset photos/pets"),
    "kfold": Command(training.kfold, training.KFOLD, "lwcnn kfold paper --dataset mnist --preset quick"),
    "search": Command(
        search.search, search.ARGUMENTS, "lwcnn search --space width --limit 30000 --trials 40 --epochs 8 --jobs 2"
    ),
    "table": Command(publish.show_tables, publish.TABLE, "lwcnn table --write README.md docs/*.md"),
    "summary": Command(listing.show_summary, listing.SUMMARY, "lwcnn summary wren"),
    "figures": Command(publish.draw, publish.FIGURES, "lwcnn figures --dataset cifar10"),
    "report": Command(publish.make_report, publish.REPORT, "lwcnn report --no-pdf"),
    "release": Command(
        publish.release, publish.RELEASE, "lwcnn release --license MIT --results results --models models"
    ),
    "evaluate": Command(evaluate.evaluate, evaluate.ARGUMENTS, "lwcnn evaluate wren-30k --tta"),
    "predict": Command(predict.predict, predict.ARGUMENTS, "lwcnn predict wren-30k photo.png"),
    "demo": Command(demo.demo, demo.ARGUMENTS, "lwcnn demo wren-30k paper"),
    "export": Command(deployment.export, deployment.EXPORT, "lwcnn export wren-30k --format litert-int8"),
    "bench": Command(deployment.bench, deployment.BENCH, "lwcnn bench wren-30k paper --json bench.json", False),
}
