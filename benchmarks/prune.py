"""Shrinking a strong network: its weakest hidden channels, or its smallest weights, are removed, then it is trained on.

Wren is cut to about 19,000 parameters and Wren-100k to about 30,000, once by channels and once by weights. Each is then
trained with its own recipe at half the learning rate, for 15 epochs unless told otherwise. Nothing is chosen by
accuracy. Run

    LWCNN_DATA_DIR=... python benchmarks/prune.py --json results/prune.json
    LWCNN_DATA_DIR=... python benchmarks/prune.py --only wren_100k weights --epochs 30

Finished rows are kept in the JSON; `--models` saves the networks of new rows.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lwcnn.system.files import read_json, write_json

EXPANSIONS = {"residual_se_muon": 1.0, "wren_100k": 0.38}  # hidden channels per channel, 2 before
KEPT = {"residual_se_muon": 19_156, "wren_100k": 30_088}  # as many parameters as in the narrowed networks
LEARNING_RATE = 0.01
AXES = {"expand": -1, "project": 2}
"""Axis of the hidden channels in the kernels of a block's layers."""


def prune_channels(model, config, expansion: float):
    """The network whose depthwise blocks keep only their strongest hidden channels.

    The strength of a hidden channel is the norm of the weights that make it times that of the weights that read it.
    Source: Li et al. 2017, arXiv 1608.08710, with both norms.
    """
    from lwcnn.models.residual_se import build_residual_se

    smaller = replace(config, stages=tuple(replace(stage, expansion=expansion) for stage in config.stages))
    pruned = build_residual_se(model.input_shape[1:], model.output_shape[-1], smaller)
    for layer in pruned.layers:
        block, _, part = layer.name.rpartition("_")
        weights = model.get_layer(layer.name).get_weights()
        if weights and part in AXES and block.startswith("stage"):
            kept = strongest(model, block, pruned.get_layer(f"{block}_expand").filters)
            kernel, *bias = weights
            weights = [np.take(kernel, kept, AXES[part]), *(one[kept] if part == "expand" else one for one in bias)]
        layer.set_weights(weights)
    return pruned


def strongest(model, block: str, count: int):
    """The positions of the strongest hidden channels of a block, in ascending order."""
    made = model.get_layer(f"{block}_expand").get_weights()[0][0, 0]  # (c, hidden)
    read = model.get_layer(f"{block}_project").get_weights()[0][0, 0]  # (hidden, filters)
    strengths = np.linalg.norm(made, axis=0) * np.linalg.norm(read, axis=1)
    return np.sort(np.argsort(-strengths, kind="stable")[:count])


def without_channels(model, experiment: str, phase, split, network) -> tuple:
    """Returns the narrowed model, and a function that trains it."""
    from lwcnn.training.loop import train_phase
    from lwcnn.training.progress import Progress

    narrow = prune_channels(model, network, EXPANSIONS[experiment])
    return narrow, lambda: train_phase(narrow, phase, split, 0, progress=Progress("line")).history


def without_weights(model, experiment: str, phase, split, network) -> tuple:
    """Returns the model with zeros, which stay zeros, and a function that trains it."""
    import keras
    from shrink import kernels, masks_of

    from lwcnn.data.batches import Batches
    from lwcnn.engine.epoch import Epoch
    from lwcnn.training.average import MovingAverage, batch_norm_statistics

    removed = model.count_params() - KEPT[experiment]
    masks = masks_of(model, removed / sum(kernel.numpy().size for kernel in kernels(model)))
    for kernel, mask in zip(kernels(model), masks, strict=True):
        kernel.assign(kernel * mask)

    class SparseAverage(MovingAverage):
        """Sets the removed weights to zero again after each step."""

        def update(self, value_of):
            for kernel, mask in zip(kernels(model), masks, strict=True):
                value_of(kernel)[...] *= mask
            super().update(value_of)

    def train() -> list[dict]:
        batches = Batches(split.training, phase.batch_size, 0, (phase.augmentation,))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(phase.optimizer.build(num_steps=len(batches) * phase.epochs), loss, metrics=["accuracy"])
        variables = [*model.trainable_variables, *batch_norm_statistics(model)]
        average, history = SparseAverage(variables, phase.optimizer.ema), []
        for epoch in range(phase.epochs):
            batches.set_epoch(epoch)
            with Epoch(model, average) as steps:
                for images, labels in batches:
                    logs = steps.step(images, labels)
            history.append(logs)
            print(f"{experiment}: epoch {epoch + 1}, {logs}", file=sys.stderr, flush=True)
        average.assign()
        return history

    return model, train


METHODS = {"channels": without_channels, "weights": without_weights}


def measured(experiment: str, method: str, epochs: int, data, folder: Path | None) -> dict:
    """Returns the accuracy before pruning, right after it and after training, and the size of the int8 file.

    The trained network is saved in the folder.
    """
    from shrink import kernels

    from lwcnn.data.images import Images, Split
    from lwcnn.data.splits import split_for_training
    from lwcnn.evaluation.metrics import accuracy
    from lwcnn.evaluation.predict import predict_logits
    from lwcnn.experiments.identity import SPLIT_SEED
    from lwcnn.experiments.recipes import get_experiment
    from lwcnn.export.convert import draw_calibration_images, to_litert_int8
    from lwcnn.export.formats import LitertModel, gzip_bytes
    from lwcnn.models.cost import count_macs
    from lwcnn.models.io import load_model, save_model

    plan = get_experiment(experiment, "full", data.name)
    large = load_model(ROOT / "models" / f"{data.name}-{experiment}.keras")
    parts = split_for_training(data.y_train, plan.validation, seed=SPLIT_SEED)
    split = Split(*(Images(data.x_train, data.y_train, indices) for indices in parts))
    optimizer = replace(plan.phases[0].optimizer, learning_rate=LEARNING_RATE)
    phase = replace(plan.phases[0], epochs=epochs, optimizer=optimizer)

    def accuracies(one) -> dict[str, float]:
        images, labels = split.validation.arrays()
        return {
            "validation_accuracy": accuracy(predict_logits(one, images), labels),
            "test_accuracy": accuracy(predict_logits(one, data.x_test), data.y_test),
        }

    before = accuracies(large) | {"params": large.count_params(), "macs": count_macs(large)}
    model, train = METHODS[method](large, experiment, phase, split, plan.network)
    pruned, started = accuracies(model), time.perf_counter()
    history = train()
    seconds = time.perf_counter() - started
    if folder:
        save_model(folder / f"{data.name}-{experiment}-{method}-{epochs}.keras", model)
    content = to_litert_int8(model, draw_calibration_images(data.x_train))
    return {
        "experiment": experiment,
        "method": method,
        "epochs": epochs,
        "learning_rate": LEARNING_RATE,
        "params": model.count_params() - sum(int((np.array(kernel) == 0).sum()) for kernel in kernels(model)),
        "macs": count_macs(model),
        "before": before,
        "pruned": pruned,
        **accuracies(model),
        "int8_accuracy": accuracy(LitertModel(content)(data.x_test), data.y_test),
        "int8_gzip_bytes": gzip_bytes(content),
        "history": history,
        "seconds": round(seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, default=ROOT / "results" / "prune.json")
    parser.add_argument("--only", nargs=2, metavar=("NETWORK", "METHOD"), help="one row, such as: wren_100k weights")
    parser.add_argument("--epochs", type=int, default=15, help="epochs of training after pruning (default: 15)")
    parser.add_argument("--models", type=Path, help="folder for the networks (default: they are not saved)")
    options = parser.parse_args()
    from lwcnn.publication.tables.benchmarks import benchmark_table

    found = read_json(options.json) if options.json.exists() else {"rows": []}
    from lwcnn.data.datasets import load_dataset
    from lwcnn.system.environment import machine

    data = load_dataset("cifar10")
    pairs = [(experiment, method) for method in METHODS for experiment in EXPANSIONS]
    for experiment, method in [tuple(options.only)] if options.only else pairs:
        wanted = {"experiment": experiment, "method": method, "epochs": options.epochs}
        if not any(wanted.items() <= row.items() for row in found["rows"]):
            row = measured(experiment, method, options.epochs, data, options.models)
            found = read_json(options.json) if options.json.exists() else found  # another process may have added
            found["rows"].append({"dataset": data.name} | row | machine())
            write_json(options.json, found)
    print(benchmark_table("prune", found["rows"]).markdown())


if __name__ == "__main__":
    main()
