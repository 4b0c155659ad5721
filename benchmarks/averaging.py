"""Compares averages of the weights on validation images: none, a fixed decay, and a decay that warms up.

One training has all three: they read the same weights after each step and do not change them. Command:
`python benchmarks/averaging.py residual_se_muon --images 45000 5000 --json results/averaging.json`.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras

from lwcnn.data.batches import Batches
from lwcnn.data.datasets import Dataset, load_dataset
from lwcnn.data.images import Images
from lwcnn.data.splits import split_for_training, stratified_subset
from lwcnn.evaluation.metrics import accuracy
from lwcnn.evaluation.predict import predict_logits
from lwcnn.experiments.identity import SPLIT_SEED, provenance
from lwcnn.experiments.recipes import get_experiment
from lwcnn.models.build import build_network
from lwcnn.system.files import write_json
from lwcnn.training.average import MovingAverage, batch_norm_statistics
from lwcnn.training.checkpoint import get_values, set_values
from lwcnn.training.losses import build_loss
from lwcnn.training.progress import Progress
from lwcnn.training.steps import train_epoch


class FixedDecay(MovingAverage):
    """The average as it was: the first weights are one of its members for thousands of steps."""

    def next_share(self):
        self.num_updates += 1
        return 1 - self._momentum


class Several:
    """Averages that follow the same steps."""

    def __init__(self, *averages: MovingAverage):
        self._averages = averages

    def update(self, value_of):
        for average in self._averages:
            average.update(value_of)


def compare(data: Dataset, name: str, num_images: int, epochs: int, seed: int) -> dict:
    """Trains once and returns the validation accuracies of the three sets of weights at the end."""
    plan = get_experiment(name, "quick", data.spec)
    (phase,) = plan.phases
    training, validation = split_for_training(data.y_train, 0.1, seed=SPLIT_SEED)
    if num_images < len(training):
        part = stratified_subset(data.y_train[training], num_images, SPLIT_SEED)
        training = training[part]
    keras.utils.set_random_seed(seed)
    model = build_network(data.input_shape, data.num_classes, plan.network)
    batches = Batches(Images(data.x_train, data.y_train, training), phase.batch_size, seed, (phase.augmentation,))
    optimizer = phase.optimizer.build(len(batches) * epochs)
    model.compile(optimizer, build_loss(phase, data.y_train[training], data.num_classes), metrics=["accuracy"])
    optimizer.build(model.trainable_variables)
    variables = [*model.trainable_variables, *(batch_norm_statistics(model) if phase.optimizer.ema_batch_norm else [])]
    fixed, warm = (kind(variables, phase.optimizer.ema) for kind in (FixedDecay, MovingAverage))
    for epoch in range(epochs):
        batches.set_epoch(epoch)
        logs = train_epoch(model, batches, Progress(), Several(fixed, warm))
        print(f"{num_images} images, epoch {epoch + 1} of {epochs}: loss {logs['loss']:.4f}", flush=True)
    latest, found = get_values(model.weights), {}
    for key, average in (("latest", None), ("fixed_decay", fixed), ("warm_up", warm)):
        if average:
            average.assign()
        found[key] = accuracy(predict_logits(model, data.x_train[validation]), data.y_train[validation])
        set_values(model.weights, latest)
    return {
        "dataset": data.name,
        "experiment": name,
        "num_train_images": len(training),
        "num_val_images": len(validation),
        "epochs": epochs,
        "seed": seed,
        "decay": phase.optimizer.ema,
        "val_accuracy": found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--images", type=int, nargs="+", default=[45_000, 5_000])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    data = load_dataset(options.dataset)
    rows = [compare(data, options.experiment, n, options.epochs, options.seed) for n in options.images]
    for row in rows:
        shown = ", ".join(f"{key} {100 * value:.2f}%" for key, value in row["val_accuracy"].items())
        print(f"{row['num_train_images']:,} images: {shown}")
    if options.json:
        write_json(options.json, {"rows": rows, **provenance()})


if __name__ == "__main__":
    main()
