"""The command `lwcnn demo`: a web page to try networks on."""

import argparse

from lwcnn.cli.arguments import MODEL_HELP, path


def demo(options) -> int:
    """Open a web page to try networks on your own images; only this machine can reach it."""
    from lwcnn.publication.demo.network import open_network
    from lwcnn.publication.demo.page import build_page, find_examples, require_gradio, serve

    require_gradio()
    examples = find_examples(options.examples) if options.examples else find_examples()
    networks = []
    for name in options.models:
        print(f"{name}: opening, and converting to LiteRT if it is new", flush=True)
        networks.append(open_network(name, examples))
    page = build_page(networks, examples)
    print(f"open http://127.0.0.1:{options.port} in a browser; Ctrl-C ends it", flush=True)
    serve(page, options.port)
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to its parser."""
    parser.add_argument("models", nargs="*", default=["wren-30k", "paper"], metavar="MODEL", help=MODEL_HELP)
    parser.add_argument(
        "--examples",
        type=path,
        metavar="DIR",
        help="images like those that your models were trained on, to choose from and to calibrate int8 (default: "
        "twelve of CIFAR-10)",
    )
    parser.add_argument("--port", type=int, default=7860, help="TCP port (default: 7860)")
