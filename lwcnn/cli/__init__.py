"""The commands of the command line, one module for each kind.

The modules import what a command needs inside the function that runs it, so that `lwcnn --help` and what lists names
import no backend.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from lwcnn.cli import (
    demo,
    deployment,
    evaluate,
    figures,
    finetune,
    listing,
    predict,
    release,
    report,
    run,
    search,
    summary,
    training,
)
from lwcnn.cli.arguments import add_data_arguments, add_training_arguments


@dataclass(frozen=True)
class Command:
    """A command.

    Attributes:
        run: Runs it; the first line of its docstring describes the command.
        add_arguments: Adds its arguments to a parser.
        example: A command line.
        needs_backend: Whether Keras is imported before it runs.
    """

    run: Callable[[argparse.Namespace], int | None]
    add_arguments: Callable[[argparse.ArgumentParser], None]
    example: str
    needs_backend: bool = True


COMMANDS = {
    "run": Command(run.run, run.add_arguments, "lwcnn run"),
    "datasets": Command(
        listing.list_datasets, add_data_arguments, "LWCNN_DATA_DIR=~/data lwcnn datasets", needs_backend=False
    ),
    "list": Command(listing.list_names, listing.add_list_arguments, "lwcnn list", needs_backend=False),
    "train": Command(
        training.train, add_training_arguments, "lwcnn train wren paper --dataset mnist --preset quick --seeds 0 1 2"
    ),
    "finetune": Command(finetune.finetune, finetune.add_arguments, "lwcnn finetune wren --dataset photos/pets"),
    "kfold": Command(training.kfold, training.add_kfold_arguments, "lwcnn kfold paper --dataset mnist --preset quick"),
    "search": Command(
        search.search, search.add_arguments, "lwcnn search --space width --limit 30000 --trials 40 --epochs 8 --jobs 2"
    ),
    "table": Command(listing.show_tables, listing.add_table_arguments, "lwcnn table --write README.md docs/*.md"),
    "summary": Command(summary.show_summary, summary.add_arguments, "lwcnn summary wren"),
    "figures": Command(figures.draw, figures.add_arguments, "lwcnn figures --dataset cifar10"),
    "report": Command(report.make, report.add_arguments, "lwcnn report --no-pdf"),
    "release": Command(
        release.release, release.add_arguments, "lwcnn release --license MIT --results results --models models"
    ),
    "evaluate": Command(evaluate.evaluate, evaluate.add_arguments, "lwcnn evaluate wren-30k --tta"),
    "predict": Command(
        predict.predict,
        predict.add_arguments,
        "lwcnn predict wren-30k photo.png",
    ),
    "demo": Command(demo.demo, demo.add_arguments, "lwcnn demo wren-30k paper"),
    "export": Command(deployment.export, deployment.add_export_arguments, "lwcnn export wren-30k --format litert-int8"),
    "bench": Command(deployment.bench, deployment.add_bench_arguments, "lwcnn bench wren-30k paper --json bench.json"),
}
