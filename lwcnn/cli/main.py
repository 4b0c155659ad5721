"""The command line: `lwcnn COMMAND` or `python -m lwcnn COMMAND`.

Exit codes: 0 success; 1 an error in the input, the data or the file system, in one line; 2 invalid arguments; 3 some
figures were skipped; 4 some images could not be read, the others are predicted; 130 interrupted; 141 the reader of the
output closed it.

The command modules import everything that needs a backend inside their functions, so `lwcnn --help` and the commands
that list names import none.
"""

import argparse
import contextlib
import os
import sys

import lwcnn
from lwcnn.cli import deployment, evaluate, listing, predict, publish, run, search, training
from lwcnn.cli.arguments import DATA_DIR, Arguments
from lwcnn.cli.execute import Command, execute
from lwcnn.system.environment import load_backend
from lwcnn.system.errors import LwcnnError, unknown_name

COMMANDS: dict[str, tuple[Command, Arguments, str]] = {
    "run": (run.run, run.ARGUMENTS, "lwcnn run"),
    "datasets": (listing.list_datasets, DATA_DIR, "LWCNN_DATA_DIR=~/data lwcnn datasets"),
    "list": (listing.list_names, listing.ARGUMENTS, "lwcnn list"),
    "train": (training.train, training.TRAIN, "lwcnn train wren paper --dataset mnist --preset quick --seeds 0 1 2"),
    "finetune": (training.finetune, training.FINETUNE, "lwcnn finetune wren --dataset photos/pets"),
    "kfold": (training.kfold, training.KFOLD, "lwcnn kfold paper --dataset mnist --preset quick"),
    "search": (
        search.search,
        search.ARGUMENTS,
        "lwcnn search --space width --limit 30000 --trials 40 --epochs 8 --jobs 2",
    ),
    "table": (publish.show_tables, publish.TABLE, "lwcnn table --write README.md docs/*.md"),
    "summary": (listing.show_summary, listing.SUMMARY, "lwcnn summary wren"),
    "figures": (publish.draw, publish.FIGURES, "lwcnn figures --dataset cifar10"),
    "report": (publish.make_report, publish.REPORT, "lwcnn report --no-pdf"),
    "release": (publish.release, publish.RELEASE, "lwcnn release --license MIT --results results --models models"),
    "evaluate": (evaluate.evaluate, evaluate.ARGUMENTS, "lwcnn evaluate wren-30k --tta"),
    "predict": (predict.predict, predict.ARGUMENTS, "lwcnn predict wren-30k photo.png"),
    "demo": (deployment.demo, deployment.DEMO, "lwcnn demo wren-30k paper"),
    "export": (deployment.export, deployment.EXPORT, "lwcnn export wren-30k --format litert-int8"),
    "bench": (deployment.bench, deployment.BENCH, "lwcnn bench wren-30k paper --json bench.json"),
}
"""The function, the arguments and an example of each command."""
_WITHOUT_BACKEND = {"datasets", "list", "bench"}

EXAMPLES = """examples:
  lwcnn run                                    the paper's method on CIFAR-10, or on digits if it is not available
  lwcnn list                                   the networks by name, and the experiments
  lwcnn predict wren-30k photo.png             the class of a photo
  lwcnn train wren --dataset my/images         a network for your own images, into runs/
  lwcnn evaluate MODEL --dataset my/images     all metrics of the model that was written
  lwcnn export wren-30k --format litert-int8   a file for phones and microcontrollers

`lwcnn COMMAND --help` describes the arguments of a command.
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line and name the nearest choice or option."""

    def parse_known_args(self, args=None, namespace=None):  # the parser of a command is called by this method
        options, unknown = super().parse_known_args(args, namespace)
        for word in unknown:
            if word.startswith("--"):
                known = [name for name in self._option_string_actions if name.startswith("--")]
                self.error(str(unknown_name("option", word.partition("=")[0], known)))
        return options, unknown

    def error(self, message):
        self.exit(2, f"lwcnn: error: {' '.join(message.split())}\n")

    def _get_value(self, action, text):
        try:
            return action.type(text) if action.type else text
        except LwcnnError as error:
            raise argparse.ArgumentError(action, str(error)) from error

    def _check_value(self, action, value):
        if action.choices is not None and value not in action.choices:
            kind = action.metavar or action.dest
            raise argparse.ArgumentError(None, str(unknown_name(str(kind).lower(), value, action.choices)))


def build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lwcnn",
        description="Train, evaluate and export small image classifiers, most with fewer than 30,000 parameters.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lwcnn {lwcnn.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    for name, (function, arguments, example) in COMMANDS.items():
        summary = (function.__doc__ or "").split("\n")[0]
        sub = commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for argument, settings in arguments.items():
            sub.add_argument(argument, **settings)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs a command line and returns its exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it is closed
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        with contextlib.suppress(AttributeError):  # a stream of a test or a notebook
            # A terminal without "±", a file name of odd bytes.
            getattr(sys, name).reconfigure(errors="backslashreplace")
    try:
        code = execute(_run, build_parser().parse_args(arguments))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # as in `lwcnn table | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        return 141


def _run(options: argparse.Namespace) -> int | None:
    if options.command not in _WITHOUT_BACKEND:
        load_backend()
    function, *_ = COMMANDS[options.command]
    return function(options)
