"""Digits on a canvas: the paper's merged model as a detector without training, and as a segmenter after unfreezing.

With the head's dense layers as 1x1 convolutions, too, the merged model runs on any image size and returns a map of
classes. Its released MNIST weights classify each 28x28 window of a 96x96 canvas of scattered digits. The same branches
then get a new head that labels every pixel, and are fine-tuned by progressive unfreezing, with SGD or Nadam in the
second phase. Beside them stand the same network trained at once, from the same and from random weights, and a small
U-Net of about as many parameters. Run

    LWCNN_DATA_DIR=... python benchmarks/canvas.py --json results/canvas.json

The rate of SGD and the detector's score are chosen on validation canvases, made from other digits than the training
ones; test canvases have the digits of MNIST's test images. Finished rows are kept in the JSON and not made again.
"""

import argparse
import sys
import time
from pathlib import Path

import keras
import numpy as np
from keras import layers
from scipy import ndimage
from scipy.special import logsumexp, softmax
from sklearn.metrics import average_precision_score

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lwcnn.data.datasets import load_dataset
from lwcnn.experiments.identity import provenance
from lwcnn.experiments.zoo import create_model
from lwcnn.models.configs import BRANCHES
from lwcnn.system.files import read_json, write_json

SIZE, WINDOW, STRIDE = 96, 28, 4  # pixels; the stride is that of two 2x2 poolings
PADDING = ((12, 10), (12, 10))  # centers the window of map cell (i, j) on its pixels, 4i to 4i + 3 and 4j to 4j + 3
BACKGROUND, INK = 10, 64  # the label without a digit; the lowest gray value that counts as a digit's pixel
NUM_CANVASES = {"train": 800, "validation": 200, "test": 500}
NUM_HELD_OUT = 5_000  # last training images of MNIST, for the validation canvases
SEEDS = (0, 1, 2)
EPOCHS = (3, 6)  # of the new head alone, and of all layers; the sum for the networks trained at once
BATCH = 16
NADAM_RATE, SGD_RATES = 0.003, (0.03, 0.1, 0.3, 1.0)
MIN_IOU, MIN_PIXELS = 0.5, 20  # of a detection that counts; of a connected region that is a detection


def make_canvases(images, labels, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, list]:
    """Returns canvases with 3 to 6 separate digits, the label of each pixel, and (label, box) of each digit."""
    rng = np.random.default_rng(seed)
    canvases = np.zeros((count, SIZE, SIZE), np.uint8)
    pixels = np.full((count, SIZE, SIZE), BACKGROUND, np.uint8)
    digits: list[list] = [[] for _ in range(count)]
    for canvas, pixel, found in zip(canvases, pixels, digits, strict=True):
        wanted = rng.integers(3, 7)
        for _ in range(50):
            if len(found) == wanted:
                break
            chosen, (y, x) = rng.integers(len(images)), rng.integers(0, SIZE - WINDOW + 1, 2)
            ink = images[chosen] >= INK
            place = np.s_[y : y + WINDOW, x : x + WINDOW]
            if (ndimage.binary_dilation(ink, iterations=2) & (canvas[place] > 0)).any():
                continue
            canvas[place] = np.maximum(canvas[place], images[chosen])
            pixel[place][ink] = labels[chosen]
            rows, columns = ndimage.find_objects(ink.astype(int))[0]
            found.append((int(labels[chosen]), (y + rows.start, x + columns.start, y + rows.stop, x + columns.stop)))
    return canvases[..., None], pixels, digits


def build_detector(merged: keras.Model) -> keras.Model:
    """Returns the merged model, weights included, for images of any size: (n, h, w, 1) -> (n, rows, columns, 10)."""
    images = keras.Input((None, None, 1))
    maps = _branch_maps(layers.Rescaling(1 / 255)(images))
    x = layers.Concatenate()(maps)
    x = layers.Conv2D(32, 1, activation="relu", name="head_dense")(x)
    detector = keras.Model(images, layers.Conv2D(10, 1, name="head_logits")(x))
    _copy_branches(merged, detector)
    for name in ("head_dense", "head_logits"):
        kernel, bias = merged.get_layer(name).get_weights()
        detector.get_layer(name).set_weights([kernel[None, None], bias])
    return detector


def build_segmenter(merged: keras.Model | None = None) -> keras.Model:
    """Returns the merged model's branches under a head that labels pixels: (n, 96, 96, 1) -> (n, 96, 96, 11).

    The branches have the weights of `merged`, else random ones.
    """
    images = keras.Input((SIZE, SIZE, 1))
    x = layers.Rescaling(1 / 255)(images)
    maps = _branch_maps(layers.ZeroPadding2D(PADDING)(x))
    x = layers.Concatenate()([layers.UpSampling2D(STRIDE, interpolation="bilinear")(layers.Concatenate()(maps)), x])
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="head_conv")(x)
    segmenter = keras.Model(images, layers.Conv2D(11, 1, name="head_logits")(x))
    if merged:
        _copy_branches(merged, segmenter)
    return segmenter


def _branch_maps(x) -> list:
    """Applies both branches; the dense layer on 5x5x20 features is a 5x5 convolution."""
    maps = []
    for name in BRANCHES:
        y = x
        for i, filters in enumerate((10, 20), start=1):
            y = layers.Conv2D(filters, 3, activation="relu", name=f"{name}_conv{i}")(y)
            y = layers.MaxPooling2D(2)(y)
        maps.append(layers.Conv2D(10, 5, activation="relu", name=f"{name}_dense_as_conv")(y))
    return maps


def _copy_branches(merged: keras.Model, model: keras.Model) -> None:
    for name in BRANCHES:
        for layer in (f"{name}_conv1", f"{name}_conv2", f"{name}_dense_as_conv"):
            weights = merged.get_layer(layer).get_weights()
            shapes = [weight.shape for weight in model.get_layer(layer).get_weights()]
            model.get_layer(layer).set_weights([w.reshape(shape) for w, shape in zip(weights, shapes, strict=True)])


def build_unet() -> keras.Model:
    """Returns a U-Net of two poolings: (n, 96, 96, 1) -> (n, 96, 96, 11)."""
    images = keras.Input((SIZE, SIZE, 1))
    full = _convolution(layers.Rescaling(1 / 255)(images), 8)
    half = _convolution(layers.MaxPooling2D(2)(full), 16)
    x = _convolution(layers.MaxPooling2D(2)(half), 32)
    x = _convolution(layers.Concatenate()([layers.UpSampling2D(2)(x), half]), 16)
    x = _convolution(layers.Concatenate()([layers.UpSampling2D(2)(x), full]), 16)
    return keras.Model(images, layers.Conv2D(11, 1)(x))


def _convolution(x, filters: int):
    return layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)


def fit(model: keras.Model, optimizer, epochs: int, data) -> None:
    """Trains the trainable layers on the canvases' pixels."""
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(data[0], data[1], batch_size=BATCH, epochs=epochs, verbose=0)


def unfrozen(merged, data, optimizer) -> keras.Model:
    """The segmenter on the classifier's branches: its head by Nadam, then all layers by an optimizer."""
    model = build_segmenter(merged)
    for layer in model.layers:
        layer.trainable = layer.name.startswith("head")
    fit(model, keras.optimizers.Nadam(NADAM_RATE), EPOCHS[0], data)
    model.trainable = True
    fit(model, optimizer, EPOCHS[1], data)
    return model


def by_sgd(merged, data, rate: float) -> keras.Model:
    return unfrozen(merged, data, keras.optimizers.SGD(rate, momentum=0.9))


def at_once(model: keras.Model, data) -> keras.Model:
    """A model whose layers were all trained from the beginning, by Nadam."""
    fit(model, keras.optimizers.Nadam(NADAM_RATE), sum(EPOCHS), data)
    return model


SEGMENTERS = {
    "unfrozen": by_sgd,
    "unfrozen_nadam": lambda merged, data: unfrozen(merged, data, keras.optimizers.Nadam(NADAM_RATE)),
    "at_once": lambda merged, data: at_once(build_segmenter(merged), data),
    "from_scratch": lambda merged, data: at_once(build_segmenter(), data),
    "unet": lambda merged, data: at_once(build_unet(), data),
}


def detections_of_classifier(detector, canvases, score: str) -> list[list]:
    """(score, label, box) per canvas: the best window of each neighborhood, and the box of the ink in it."""
    logits = detector.predict(canvases, batch_size=50, verbose=0)
    scores = {"softmax": softmax(logits, -1).max(-1), "logit": logits.max(-1), "energy": logsumexp(logits, -1)}[score]
    found: list[list] = []
    for canvas, values, labels in zip(canvases[..., 0], scores, logits.argmax(-1), strict=True):
        peaks = (values == ndimage.maximum_filter(values, 5)) & (values > values.min())
        boxes = {}
        for i, j in sorted(np.argwhere(peaks).tolist(), key=lambda cell: values[*cell]):
            y, x = STRIDE * i, STRIDE * j
            if box := _box_of_center(canvas[y : y + WINDOW, x : x + WINDOW] >= INK, y, x):
                boxes[box] = (float(values[i, j]), int(labels[i, j]), box)
        found.append(list(boxes.values()))
    return found


def _box_of_center(ink, y: int, x: int) -> tuple[int, ...] | None:
    """The box of the connected ink nearest to the center of a window; None without ink."""
    regions, count = ndimage.label(ink, np.ones((3, 3)))
    if not count:
        return None
    rows, columns = np.nonzero(regions)
    nearest = np.argmin((rows - WINDOW / 2) ** 2 + (columns - WINDOW / 2) ** 2)
    a, b = ndimage.find_objects(regions)[regions[rows[nearest], columns[nearest]] - 1]
    return y + a.start, x + b.start, y + a.stop, x + b.stop


def detections_of_segmenter(probabilities) -> list[list]:
    """(score, label, box) per canvas: each connected region of a class, with its mean probability."""
    found: list[list] = []
    for shares in probabilities:
        labels, here = shares.argmax(-1), []
        for label in range(BACKGROUND):
            regions, _ = ndimage.label(labels == label, np.ones((3, 3)))
            for number, (rows, columns) in enumerate(ndimage.find_objects(regions), start=1):
                inside = regions == number
                if inside.sum() >= MIN_PIXELS:
                    box = rows.start, columns.start, rows.stop, columns.stop
                    here.append((float(shares[inside, label].mean()), label, box))
        found.append(here)
    return found


def iou_of_boxes(a, b) -> float:
    height, width = (max(0, min(a[k + 2], b[k + 2]) - max(a[k], b[k])) for k in (0, 1))
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return height * width / (area - height * width)


def mean_average_precision(found: list[list], digits: list[list]) -> float:
    """Mean over classes of the average precision at an IoU of 0.5; each digit is found once at most."""
    precisions = []
    for label in range(BACKGROUND):
        truth = [[box for kind, box in canvas if kind == label] for canvas in digits]
        ranked = sorted(
            ((score, i, box) for i, canvas in enumerate(found) for score, kind, box in canvas if kind == label),
            reverse=True,
        )
        hits = []
        left = [list(boxes) for boxes in truth]
        for _, i, box in ranked:
            best = max(left[i], key=lambda other: iou_of_boxes(box, other), default=None)
            hits.append(best is not None and iou_of_boxes(box, best) >= MIN_IOU)
            if hits[-1]:
                left[i].remove(best)
        recall = sum(hits) / sum(map(len, truth))
        scores = [score for score, *_ in ranked]
        precisions.append(recall * average_precision_score(hits, scores) if any(hits) else 0.0)
    return float(np.mean(precisions))


def mean_iou(predicted, pixels) -> float:
    """Mean over the ten digits of the intersection over union of their pixels."""
    pairs = [(predicted == label, pixels == label) for label in range(BACKGROUND)]
    return float(np.mean([(a & b).sum() / (a | b).sum() for a, b in pairs]))


def assess(model, data) -> dict:
    """Mean IoU and average precision of a segmenter."""
    canvases, pixels, digits = data
    shares = softmax(model.predict(canvases, batch_size=50, verbose=0), -1)
    return {
        "mean_iou": mean_iou(shares.argmax(-1), pixels),
        "average_precision": mean_average_precision(detections_of_segmenter(shares), digits),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, default=Path("runs/canvas.json"), help="file of the results")
    options = parser.parse_args()
    mnist = load_dataset("mnist")
    images, labels = mnist.x_train[..., 0], mnist.y_train
    sources = {
        "train": (images[:-NUM_HELD_OUT], labels[:-NUM_HELD_OUT]),
        "validation": (images[-NUM_HELD_OUT:], labels[-NUM_HELD_OUT:]),
        "test": (mnist.x_test[..., 0], mnist.y_test),
    }
    data = {name: make_canvases(*sources[name], count, seed) for seed, (name, count) in enumerate(NUM_CANVASES.items())}
    merged = create_model("paper", pretrained="mnist")
    settings = {"canvases": NUM_CANVASES, "epochs": [*EPOCHS]}  # as in a file
    result = read_json(options.json) if options.json.exists() else {}
    if not settings.items() <= result.items():  # rows of other settings are measured again
        result = settings | {"rows": []}
    done = {(row["model"], row["seed"]) for row in result["rows"]}

    if ("classifier", None) not in done:
        result["rows"].append(_detector_row(merged, data))
        write_json(options.json, result)
    if "sgd_rates" not in result:
        result["sgd_rates"] = _try_rates(merged, data)
        write_json(options.json, result)
    best_rate = float(max(result["sgd_rates"], key=result["sgd_rates"].get))
    for name, train in SEGMENTERS.items():
        rate = {"rate": best_rate} if train is by_sgd else {}
        for seed in SEEDS:
            if (name, seed) in done:
                continue
            keras.utils.set_random_seed(seed)
            start = time.perf_counter()
            model = train(merged, data["train"], **rate)
            row = {"model": name, "seed": seed, "parameters": model.count_params()}
            row |= {"train_seconds": time.perf_counter() - start, **assess(model, data["test"]), **provenance()}
            print(row, flush=True)
            result["rows"].append(row)
            write_json(options.json, result)
    print(f"{len(result['rows'])} rows are in {options.json}")


def _detector_row(merged, data) -> dict:
    detector = build_detector(merged)
    windows = data["validation"][0][:50, :WINDOW, :WINDOW]
    difference = np.abs(detector.predict(windows, verbose=0)[:, 0, 0] - merged.predict(windows, verbose=0)).max()
    precision = {
        score: mean_average_precision(detections_of_classifier(detector, canvases, score), digits)
        for canvases, _, digits in [data["validation"]]
        for score in ("softmax", "logit", "energy")
    }
    score = max(precision, key=precision.__getitem__)
    canvases, _, digits = data["test"]
    found = detections_of_classifier(detector, canvases, score)
    row = {"model": "classifier", "seed": None, "parameters": detector.count_params(), "score": score}
    row |= {"validation": precision, "largest_difference_on_28x28": float(difference)}
    row |= {"average_precision": mean_average_precision(found, digits), **provenance()}
    print(row, flush=True)
    return row


def _try_rates(merged, data) -> dict[str, float]:
    """The IoU on validation canvases by rate of SGD, with seed 0."""
    tried = {}
    for rate in SGD_RATES:
        keras.utils.set_random_seed(0)
        tried[str(rate)] = assess(by_sgd(merged, data["train"], rate), data["validation"])["mean_iou"]
        print(rate, tried[str(rate)], flush=True)
    return tried


if __name__ == "__main__":
    main()
