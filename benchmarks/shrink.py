"""Shrinking a large network against building a small one: accuracy at equal bytes.

The released models of the reproduction and its extension (334,706 and 83,920 parameters) are pruned by magnitude,
gradually, while they are fine-tuned on flipped and shifted training images, then exported as int8 and compressed
by gzip. Beside them stand the small networks, not pruned. Nothing is chosen: every sparsity is reported. Run

    LWCNN_DATA_DIR=... python benchmarks/shrink.py --epochs 4 --json results/shrink.json

Finished rows are kept in the JSON and not made again.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lwcnn.system.files import read_json, write_json

LARGE = ("repo_baseline", "repo_residual_se")
SMALL = ("paper", "paper_tuned", "residual_se_small", "residual_se", "residual_se_distilled", "residual_se_muon")
SPARSITIES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95)
LEARNING_RATE, BATCH = 0.001, 128


def kernels(model):
    """Weights of convolutions and dense layers, in the model's order."""
    return [weight for weight in model.weights if weight.name in ("kernel", "depthwise_kernel", "pointwise_kernel")]


def masks_of(model, sparsity: float) -> list:
    """0 for the fraction `sparsity` of all kernel weights with the smallest magnitudes, else 1 (Han et al. 2015)."""
    magnitudes = [np.abs(kernel.numpy()) for kernel in kernels(model)]
    kept = np.ones(sum(map(np.size, magnitudes)), np.float32)
    smallest = np.argsort(np.concatenate([value.ravel() for value in magnitudes]), kind="stable")
    kept[smallest[: round(sparsity * len(kept))]] = 0
    parts = np.split(kept, np.cumsum([value.size for value in magnitudes])[:-1])
    return [part.reshape(value.shape) for part, value in zip(parts, magnitudes)]


def fine_tuned(model, sparsity: float, epochs: int, data, indices):
    """The model, pruned to a sparsity in the first half of the epochs and trained on in the second."""
    import keras

    from lwcnn.data.augment import Augmentation
    from lwcnn.data.batches import Batches
    from lwcnn.data.images import Images

    augmentation = Augmentation(translation=0.1, horizontal_flip=True)
    batches = Batches(Images(data.x_train, data.y_train, indices), BATCH, 0, (augmentation,))
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, epochs * len(batches))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss)

    class Pruning(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            done = min(1.0, (epoch + 1) / max(1, epochs // 2))  # cubic, as in Zhu and Gupta 2017
            self.masks = masks_of(self.model, sparsity - sparsity * (1 - done) ** 3)
            self.on_train_batch_end(0)

        def on_train_batch_end(self, batch, logs=None):
            for kernel, mask in zip(kernels(self.model), self.masks, strict=True):
                kernel.assign(kernel * mask)

    follow = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: batches.set_epoch(epoch))
    model.fit(batches, epochs=epochs, shuffle=False, verbose=0, callbacks=[follow, Pruning()])
    return model


def measured(experiment: str, sparsity: float, epochs: int, data) -> dict:
    """Accuracy and bytes of a released model at a sparsity; small ones are left as they are."""
    from lwcnn.data.splits import split_for_training
    from lwcnn.evaluation.metrics import accuracy
    from lwcnn.evaluation.predict import predict_logits
    from lwcnn.experiments.identity import SPLIT_SEED
    from lwcnn.experiments.recipes import get_experiment
    from lwcnn.export.convert import draw_calibration_images, to_litert_int8
    from lwcnn.export.formats import LitertModel, gzip_bytes
    from lwcnn.models.io import load_model

    model, started = load_model(ROOT / "models" / f"{data.name}-{experiment}.keras"), time.perf_counter()
    if experiment in LARGE and sparsity:
        indices, _ = split_for_training(data.y_train, get_experiment(experiment).validation, seed=SPLIT_SEED)
        model = fine_tuned(model, sparsity, epochs, data, indices)
    seconds = time.perf_counter() - started
    content = to_litert_int8(model, draw_calibration_images(data.x_train))
    return {
        "experiment": experiment,
        "sparsity": sparsity,
        "epochs": epochs if experiment in LARGE and sparsity else 0,
        "params": model.count_params(),
        "nonzero_params": model.count_params() - sum(int((np.array(k) == 0).sum()) for k in kernels(model)),
        "accuracy": accuracy(predict_logits(model, data.x_test), data.y_test),
        "int8_accuracy": accuracy(LitertModel(content)(data.x_test), data.y_test),
        "int8_bytes": len(content),
        "int8_gzip_bytes": gzip_bytes(content),
        "fine_tune_seconds": round(seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=4, help="of fine-tuning, at each sparsity")
    parser.add_argument("--json", type=Path, default=ROOT / "results" / "shrink.json")
    options = parser.parse_args()
    from lwcnn.publication.tables.benchmarks import benchmark_table

    found = read_json(options.json) if options.json.exists() else {"rows": []}
    from lwcnn.data.datasets import load_dataset
    from lwcnn.system.environment import machine

    data = load_dataset("cifar10")
    settings = {"dataset": data.name, "epochs": options.epochs}
    rows = found["rows"] if settings.items() <= found.items() else []  # those with the same settings
    found = settings | {"rows": rows}
    wanted = [(name, 0.0) for name in SMALL] + [(name, sparsity) for name in LARGE for sparsity in SPARSITIES]
    for experiment, sparsity in wanted:
        if not (ROOT / "models" / f"{data.name}-{experiment}.keras").exists():
            print(f"{experiment} has no released model: left out", file=sys.stderr)
        elif not any((row["experiment"], row["sparsity"]) == (experiment, sparsity) for row in found["rows"]):
            row = measured(experiment, sparsity, options.epochs, data)
            found["rows"].append(row | machine())
            write_json(options.json, found)
    print(benchmark_table("shrink", found["rows"]).markdown())


if __name__ == "__main__":
    main()
