"""The program `lwcnn`, also as `python -m lwcnn`."""

import sys


def main() -> int:
    """Runs the command line and returns its exit code. Ctrl-C ends it quietly, also while modules are imported."""
    try:
        from lwcnn.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        print("\nlwcnn: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
