"""The command `lwcnn demo`: a web page to try networks."""

import argparse

from lwcnn.cli.arguments import MODEL_HELP, Arguments, model_name, option, path, whole_number

ARGUMENTS: Arguments = {
    "models": option(MODEL_HELP, ["wren-30k", "paper"], type=model_name, nargs="*"),
    "--examples": option(
        "folder of example images like those that your models were trained on; also used to calibrate int8 (default: "
        "twelve images of CIFAR-10)",
        type=path,
    ),
    "--port": option("TCP port", 7860, type=whole_number(1, 65_535)),
}


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
