"""Training speed of one network, batch, optimizer and augmentation in this library, plain Keras and native PyTorch.

Every contender runs in a process of its own, in turn, several times; the table has medians of seconds for an
epoch of 50,000 images, taken from as many images in each network, after a warm-up. Run

    python benchmarks/train_step.py                       # both workloads, all contenders that are installed
    python benchmarks/train_step.py --threads 1 --workloads residual_se --rounds 5

Contenders: `lwcnn` is this library on TensorFlow, `lwcnn_jax` on JAX; `keras` is `Model.fit` on arrays with Keras's own
augmentation layers in the model; `torch` is PyTorch without Keras, channels last, fed with this library's batches,
which are faster than torchvision's. PyTorch is an extra: `pip install '.[torch]'`.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

IMAGES_AN_EPOCH = 50_000
BATCH = {
    "paper": 32,  # stage 1 of `paper`: two submodels side by side, one on augmented images, Nadam
    "residual_se": 128,  # the residual network, flipped and cropped images, AdamW
}
CONTENDERS = ("lwcnn", "lwcnn_jax", "keras", "torch")


def made_arrays(count: int):
    """Random images (count, 32, 32, 3) uint8 and labels: what they show does not change the time."""
    import numpy as np

    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8), rng.integers(0, 10, count)


def library_batches(workload: str, count: int):
    """The library's batches of one epoch."""
    from lwcnn.data.augment import PAPER_AUGMENTATION, Augmentation
    from lwcnn.data.batches import Batches
    from lwcnn.data.images import Images

    branches = {
        "paper": (None, PAPER_AUGMENTATION),
        "residual_se": (Augmentation(horizontal_flip=True, crop_padding=4),),
    }[workload]
    return Batches(Images(*made_arrays(count)), BATCH[workload], seed=0, branches=branches)


def network(workload: str):
    """The network, of plain Keras layers."""
    from lwcnn.experiments.recipes.residual_se import NETWORK
    from lwcnn.models.dual import BRANCHES, build_dual_model, build_submodel
    from lwcnn.models.residual_se import build_residual_se

    if workload == "paper":
        return build_dual_model([build_submodel((32, 32, 3), 10, name) for name in BRANCHES])
    return build_residual_se((32, 32, 3), 10, NETWORK)


def keras_optimizer(workload: str):
    import keras

    return keras.optimizers.Nadam(0.001) if workload == "paper" else keras.optimizers.AdamW(0.006, weight_decay=0.05)


def time_lwcnn(workload: str, steps: int, warmup: int) -> float:
    """Seconds for the steps, as `lwcnn.train_phase` makes them."""
    import keras

    from lwcnn.training.steps import open_epoch, prefetch

    model = network(workload)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    count = len(model.outputs)
    model.compile(keras_optimizer(workload), [loss] * count, metrics=[["accuracy"]] * count)
    batches = library_batches(workload, (steps + warmup) * BATCH[workload])
    with open_epoch(model) as epoch:
        for i, batch in enumerate(prefetch(batches)):
            if i == warmup:
                start = time.perf_counter()
            epoch.step(*batch)
    return time.perf_counter() - start


def time_keras(workload: str, steps: int, warmup: int) -> float:
    """Seconds for the steps of `fit`, augmentation by layers in the model."""
    import keras
    from keras import layers

    inputs = [keras.Input((32, 32, 3)) for _ in range(2 if workload == "paper" else 1)]
    if workload == "paper":
        x = inputs[1]
        for layer in (
            layers.RandomRotation(0.1),
            layers.RandomZoom(0.2),
            layers.RandomTranslation(0.2, 0.2),
            layers.RandomBrightness(0.2),
        ):
            x = layer(x)
        outputs = network(workload)([inputs[0], x])
    else:
        x = layers.RandomCrop(32, 32)(layers.ZeroPadding2D(4)(layers.RandomFlip("horizontal")(inputs[0])))
        outputs = [network(workload)(x)]
    model = keras.Model(inputs, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras_optimizer(workload), [loss] * len(outputs), metrics=[["accuracy"]] * len(outputs))

    class Clock(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == warmup:
                self.start = time.perf_counter()

    images, labels = made_arrays((steps + warmup) * BATCH[workload])
    clock = Clock()
    model.fit([images] * len(inputs), [labels] * len(inputs), batch_size=BATCH[workload], verbose=0, callbacks=[clock])
    return time.perf_counter() - clock.start


def torch_network(workload: str):
    """The same network in PyTorch, from images in 0..255."""
    from torch import nn

    from lwcnn.experiments.recipes.residual_se import NETWORK
    from lwcnn.models.blocks import hidden_width
    from lwcnn.models.configs import EPSILON

    if workload == "paper":
        return nn.Sequential(
            nn.Conv2d(3, 10, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(10, 20, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(20 * 36, 10),
        )  # fmt: skip

    class Block(nn.Module):
        def __init__(self, width, kernel_size, expansion, reduction):
            super().__init__()
            hidden, squeezed = hidden_width(width, expansion), max(1, width // reduction)
            self.mlp = nn.Sequential(
                nn.Conv2d(width, width, kernel_size, padding=kernel_size // 2, groups=width, bias=False),
                nn.BatchNorm2d(width, EPSILON), nn.Conv2d(width, hidden, 1), nn.Hardswish(),
                nn.Conv2d(hidden, width, 1),
            )  # fmt: skip
            self.se = nn.Sequential(
                nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, squeezed, 1), nn.ReLU(), nn.Conv2d(squeezed, width, 1),
                nn.Sigmoid(),
            )  # fmt: skip

        def forward(self, x):
            y = self.mlp(x)
            return x + y * self.se(y)

    layers, width = [nn.Conv2d(3, NETWORK.stem, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)], NETWORK.stem
    layers.append(nn.BatchNorm2d(width, EPSILON))
    for i, stage in enumerate(NETWORK.stages):
        if i:
            layers.append(nn.MaxPool2d(2))
        if width != stage.filters:
            layers += [nn.Conv2d(width, stage.filters, 1, bias=False), nn.BatchNorm2d(stage.filters, EPSILON)]
        width = stage.filters
        layers += [Block(width, stage.kernel_size, stage.expansion, NETWORK.se_reduction) for _ in range(stage.blocks)]
    layers += [nn.BatchNorm2d(width, EPSILON), nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, 10, 1), nn.Flatten()]
    return nn.Sequential(*layers)


def time_torch(workload: str, steps: int, warmup: int, threads: int) -> float:
    """Seconds for the steps in PyTorch, channels last."""
    import torch

    from lwcnn.training.steps import prefetch

    torch.set_num_threads(threads)
    branches = 2 if workload == "paper" else 1
    networks = [torch_network(workload).to(memory_format=torch.channels_last) for _ in range(branches)]
    parameters = [p for network in networks for p in network.parameters()]
    if workload == "paper":
        optimizer = torch.optim.NAdam(parameters, 0.001)
    else:
        optimizer = torch.optim.AdamW(parameters, 0.006, weight_decay=0.05)
    batches = library_batches(workload, (steps + warmup) * BATCH[workload])
    for i, (images, labels) in enumerate(prefetch(batches)):
        if i == warmup:
            start = time.perf_counter()
        images, labels = (images, labels[0]) if branches == 2 else ((images,), labels)
        labels, loss = torch.from_numpy(labels).long(), 0
        for network, part in zip(networks, images, strict=True):
            x = torch.from_numpy(part).permute(0, 3, 1, 2).float() / 255  # channels last in memory
            loss = loss + torch.nn.functional.cross_entropy(network(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - start


def work(contender: str, workload: str, threads: int, images: int, warmup_images: int) -> None:
    """What a contender's process does: prints seconds an epoch as JSON."""
    steps, warmup = images // BATCH[workload], warmup_images // BATCH[workload]
    if contender.startswith("lwcnn"):
        seconds = time_lwcnn(workload, steps, warmup)
    elif contender == "keras":
        seconds = time_keras(workload, steps, warmup)
    else:
        seconds = time_torch(workload, steps, warmup, threads)
    print(json.dumps(seconds / (steps * BATCH[workload]) * IMAGES_AN_EPOCH))


def measure(contender: str, workload: str, threads: int, images: int, warmup: int) -> float:
    """Seconds an epoch, in a fresh process."""
    from lwcnn.system.environment import thread_environment

    backend = {"lwcnn_jax": "jax", "torch": "torch"}.get(contender, "tensorflow")
    environment = os.environ | thread_environment(threads) | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, __file__, "--work", contender, "--workloads", workload, "--threads", str(threads)]
    command += ["--images", str(images), "--warmup", str(warmup)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{contender} on {workload} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def installed() -> list[str]:
    """The contenders that can run here."""
    needed = {"lwcnn": "tensorflow", "lwcnn_jax": "jax", "keras": "tensorflow", "torch": "torch"}
    return [name for name in CONTENDERS if importlib.util.find_spec(needed[name])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workloads", nargs="+", choices=BATCH, default=list(BATCH))
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=None)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, os.cpu_count()])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=12_800, help="timed a round (default: 12,800)")
    parser.add_argument("--warmup", type=int, default=3_200, help="images before those (default: 3,200)")
    parser.add_argument(
        "--json", type=Path, help="add the measurements to this file; one of another machine or commit is replaced"
    )
    parser.add_argument("--work", choices=CONTENDERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, options.workloads[0], options.threads[0], options.images, options.warmup)
        return
    from lwcnn.publication.tables.benchmarks import benchmark_table
    from lwcnn.system.environment import machine
    from lwcnn.system.files import read_json, write_json

    contenders = options.contenders or installed()
    seconds = {(t, w, c): [] for t in options.threads for w in options.workloads for c in contenders}
    for _ in range(options.rounds):
        for (threads, workload, contender), measured in seconds.items():
            measured.append(measure(contender, workload, threads, options.images, options.warmup))
            print(f"{threads} {workload:<12} {contender:<10} {measured[-1]:7.1f} s", file=sys.stderr, flush=True)
    names = ("threads", "workload", "contender")
    rows = [
        dict(zip(names, key)) | {"seconds": values, "median": statistics.median(values), "timed_images": options.images}
        for key, values in seconds.items()
    ]
    about = machine()
    print(f"{about['device']}, {options.rounds} rounds, {IMAGES_AN_EPOCH:,} images per epoch")
    print(benchmark_table("train_step", rows).markdown())
    if options.json:
        found = read_json(options.json) if options.json.exists() else {}
        kept = found["rows"] if about.items() <= found.items() else []  # measured here by the same code
        rows = [row for row in kept if (row["threads"], row["workload"], row["contender"]) not in seconds] + rows
        write_json(options.json, about | {"images": IMAGES_AN_EPOCH, "rows": rows})


if __name__ == "__main__":
    main()
