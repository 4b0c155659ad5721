"""Quantization-aware training against post-training quantization to int8, on CIFAR-10.

A trained network is rewritten as for its int8 file. One copy is trained for a few more epochs in float32, another with
weights and activations rounded to int8 in each forward pass (arXiv 1712.05877); gradients pass through the rounding
unchanged within the range. Both copies and the network as it was are then converted to int8. Weights that are zero,
such as pruned ones, stay zero. Run

    LWCNN_DATA_DIR=... python benchmarks/quantization_aware.py
    LWCNN_DATA_DIR=... python benchmarks/prune.py --only wren_100k weights --epochs 30 --models runs --json runs/p.json
    LWCNN_DATA_DIR=... python benchmarks/quantization_aware.py --model runs/cifar10-wren_100k-weights-30.keras

Finished rows are kept in the JSON.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import keras
import numpy as np
from after_training import FILES
from keras import layers, ops
from keras.quantizers import fake_quant_with_min_max_vars

from lwcnn.data.batches import Batches
from lwcnn.data.datasets import Dataset, load_dataset
from lwcnn.evaluation.metrics import accuracy
from lwcnn.evaluation.predict import predict_logits
from lwcnn.evaluation.statistics import paired_difference
from lwcnn.experiments.identity import split_images
from lwcnn.experiments.recipes import get_experiment
from lwcnn.experiments.recipes.presets import get_preset
from lwcnn.export.convert import (
    NUM_RANGE_IMAGES,
    build_deployable,
    convert_rewritten,
    draw_calibration_images,
    rewrite_for_int8,
)
from lwcnn.export.formats import LitertModel
from lwcnn.export.int8.simplify import is_convolution, same
from lwcnn.export.run import run_batches
from lwcnn.models.graph import source
from lwcnn.models.io import load_model
from lwcnn.publication.tables.benchmarks import benchmark_table
from lwcnn.system.environment import machine
from lwcnn.system.files import read_json, write_json

EPOCHS, LEARNING_RATE = 2, 1e-5  # best of 1e-3 to 1e-5 on Wren's validation images
UNROUNDED = (
    layers.InputLayer,
    layers.Dropout,
    layers.MaxPooling2D,
    layers.ZeroPadding2D,
    layers.Flatten,
    layers.Reshape,
)
"""Layers whose outputs are values of their inputs, which are rounded already."""


class RoundedConv2D(layers.Conv2D):
    """A convolution with its kernel rounded to int8, by output channel."""

    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, rounded_kernel(kernel, axis=3))


class RoundedDepthwiseConv2D(layers.DepthwiseConv2D):
    """A depthwise convolution with its kernel rounded to int8, by channel."""

    def call(self, inputs):
        kernel = rounded_kernel(self.kernel, axis=2)
        outputs = ops.depthwise_conv(inputs, kernel, self.strides, self.padding, self.data_format, self.dilation_rate)
        return self.activation(outputs + self.bias if self.use_bias else outputs)


class Rounded(layers.Layer):
    """Rounds to one of 256 values between two constants."""

    def __init__(self, low: float, high: float, **options):
        super().__init__(**options)
        self._range = low, high

    def call(self, inputs):
        return fake_quant_with_min_max_vars(inputs, *self._range)


def rounded_kernel(kernel, axis: int):
    """Rounds each channel of a kernel to 255 values between -a and a, where a is its largest absolute value."""
    others = [other for other in range(4) if other != axis]
    largest = ops.stop_gradient(ops.maximum(ops.max(ops.abs(kernel), others), 1e-6))
    return fake_quant_with_min_max_vars(kernel, -largest, largest, narrow_range=True, axis=axis)


def rounded(model: keras.Model, images: np.ndarray) -> keras.Model:
    """Returns a copy of a rewritten model that rounds like its int8 file, with activation ranges from the images.

    LiteRT computes an addition and the ReLU6 after it at once, so only the result is rounded; sigmoids have steps of
    1/256, as in LiteRT. Two things are not simulated: the rounding before a sigmoid, and the coarser steps that the
    converter gives some operands of sums.
    """
    fused = {source(one.input).name for one in model.operations if type(one).__name__ == "Relu6"}
    shown = {
        one.name: one.output for one in model.operations if not isinstance(one, UNROUNDED) and one.name not in fused
    }
    found = keras.Model(model.inputs, shown).predict(images, verbose=0)
    ranges = {name: (min(0.0, float(one.min())), max(0.0, float(one.max()))) for name, one in found.items()}
    sigmoids = [one.name for one in model.layers if getattr(one, "activation", None) is keras.activations.sigmoid]
    ranges |= dict.fromkeys(sigmoids, (0.0, 255 / 256))
    ranges |= {one.name: (0.0, 6.0) for one in model.operations if type(one).__name__ == "Relu6"}

    def clone(operation):
        if isinstance(operation, layers.DepthwiseConv2D):
            return RoundedDepthwiseConv2D.from_config(operation.get_config())
        return RoundedConv2D.from_config(operation.get_config()) if is_convolution(operation) else same(operation)

    def call(operation, *arguments, **options):
        outputs = operation(*arguments, **options)
        if operation.name not in ranges:
            return outputs
        return Rounded(*ranges[operation.name], name=f"{operation.name}_rounded")(outputs)

    copy = keras.models.clone_model(model, clone_function=clone, call_function=call)
    copy.set_weights(model.get_weights())
    return copy


def trained(model: keras.Model, batches, epochs: int) -> list[np.ndarray]:
    """Trains the weights of a model that are not zero; returns all."""
    masks = [weight != 0 for weight in model.get_weights()]
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, epochs * len(batches))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(schedule), loss, metrics=["accuracy"])
    for epoch in range(epochs):
        batches.set_epoch(epoch)
        for i in range(len(batches)):
            images, labels = batches[i]
            logs = model.train_on_batch(images.astype(np.float32), labels, return_dict=True)
            for weight, mask in zip(model.weights, masks, strict=True):
                if not mask.all():
                    weight.assign(weight * mask)
        print(f"{model.name}: epoch {epoch + 1}, last batch {logs}", file=sys.stderr, flush=True)
    return model.get_weights()


def logits_by_way(file: Path, split, batches, data: Dataset, epochs: int) -> dict[str, list[np.ndarray]]:
    """Returns the logits of validation and test images by way: those of the network and of its three int8 files."""
    parts = split.validation.arrays()[0], data.x_test
    calibration = draw_calibration_images(data.x_train)
    model = load_model(file)
    rewritten = rewrite_for_int8(build_deployable(model, short_names=True), calibration)
    start = rewritten.get_weights()

    def int8(weights: list[np.ndarray]) -> list[np.ndarray]:
        rewritten.set_weights(weights)
        content = LitertModel(convert_rewritten(rewritten, calibration))
        rewritten.set_weights(start)
        return [run_batches(content, images) for images in parts]

    found = {"float32": [predict_logits(model, images) for images in parts], "post": int8(start)}
    few = draw_calibration_images(calibration, NUM_RANGE_IMAGES).astype(np.float32)
    for name, one in (("trained", same_model(rewritten)), ("aware", rounded(rewritten, few))):
        found[name] = int8(trained(one, batches, epochs))
    return found


def same_model(model: keras.Model) -> keras.Model:
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def measured(experiment: str, files: list[Path], data: Dataset, epochs: int) -> list[dict]:
    """Returns a row for each way to an int8 file, over the networks in the files."""
    plan = get_experiment(experiment, "full", data.spec)
    split, (phase,) = split_images(data, plan, get_preset("full")), plan.phases
    batches = Batches(split.training, phase.batch_size, 0, (phase.augmentation,))
    found = [logits_by_way(file, split, batches, data, epochs) for file in files]
    labels = split.validation.arrays()[1], data.y_test
    rows = []
    for way in found[0]:
        validation, test = ([accuracy(one[way][i], labels[i]) for one in found] for i in (0, 1))
        correct = {name: [one[name][1].argmax(axis=1) == labels[1] for one in found] for name in (way, "float32")}
        gain = paired_difference(correct[way], correct["float32"])
        points = {"points": 100 * gain.mean, "low": 100 * gain.low, "high": 100 * gain.high}
        rows.append({"way": way, "val_accuracy": validation, "test_accuracy": test, **points})
        print(experiment, rows[-1], file=sys.stderr, flush=True)
    about = {"experiment": experiment, "files": [file.name for file in files], "epochs": epochs}
    return [about | row | {"learning_rate": LEARNING_RATE} | machine() for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="another network's file, such as cifar10-wren_100k-weights-30.keras")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--json", type=Path, default=ROOT / "results" / "quantization_aware.json")
    options = parser.parse_args()
    data = load_dataset("cifar10")
    if options.model:
        networks = {options.model.name.split("-")[1]: [options.model]}
    else:
        networks = {name: [ROOT / "models" / file for file in files] for name, files in FILES.items()}
    kept = read_json(options.json) if options.json.exists() else {"rows": []}
    for experiment, files in networks.items():
        wanted = [file.name for file in files], options.epochs
        if not any((row["files"], row["epochs"]) == wanted for row in kept["rows"]):
            kept["rows"] += measured(experiment, files, data, options.epochs)
            write_json(options.json, kept)
    print(benchmark_table("quantization_aware", kept["rows"]).markdown())


if __name__ == "__main__":
    main()
