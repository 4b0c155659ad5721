"""The command line: `lwcnn COMMAND` or `python -m lwcnn COMMAND`.

Exit codes: 0 done; 1 something the user gave, the data or the disk failed, in words; 2 wrong usage;
3 some figures were skipped for want of their input; 4 some images could not be read, the others are predicted;
130 interrupted.
"""

import argparse
import sys

from lwcnn.cli import COMMANDS
from lwcnn.system import interrupts
from lwcnn.system.errors import LwcnnError

EXAMPLES = """examples:
  lwcnn run                                                   the whole method on the data at hand
  lwcnn datasets                                              what is at hand, and from where
  lwcnn train paper --dataset mnist --preset full --seeds 0 1 2 --jobs 2
  lwcnn kfold paper --dataset mnist --leaking
  lwcnn evaluate models/cifar10-paper.keras --dataset cifar10
  lwcnn predict models/cifar10-paper.keras my/images --output predictions.csv
  lwcnn table --write README.md
  lwcnn export models/mnist-paper.keras --format litert-int8
  lwcnn bench models/mnist-paper.keras models/cifar10-paper.keras
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="lwcnn",
        description="Train, assess and compare the lightweight CNNs of arXiv 2501.15547.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        summary = command.run.__doc__.split("\n")[0]
        sub = commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=f"example:\n  {command.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(sub)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs a command line and returns its exit code."""
    options = build_parser().parse_args(arguments)
    try:
        with interrupts.heeded():
            return COMMANDS[options.command].run(options) or 0
    except LwcnnError as error:
        print(f"lwcnn: error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"lwcnn: error: {error}. Make room, or check the path and its permissions.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\nlwcnn: interrupted. Nothing but the epoch that ran is lost: the same command goes on from there.",
            file=sys.stderr,
        )
        return 130


if __name__ == "__main__":
    sys.exit(main())
