"""How the cost of training grows: seconds an epoch and peak memory against images, image size, width and batch.

Each point trains the improved network in a process of its own, with one of the four changed and the rest as in
`START`. Where an epoch has more steps than `--steps`, that many are timed, after a warm-up, and multiplied;
memory is the process's peak (VmHWM), with the whole dataset in it. Run

    python benchmarks/growth.py --threads 1 --json results/growth.json
"""

import argparse
import itertools
import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

START = {"images": 50_000, "size": 32, "width": 1.0, "batch": 128}
POINTS = {
    "images": (10_000, 20_000, 30_000, 40_000, 50_000),
    "size": (28, 32, 48, 64),
    "width": (0.5, 1.0, 1.5, 2.0),
    "batch": (32, 64, 128, 256, 512),
}
WARMUP = 10


def widened(width: float):
    """The improved network with all its widths multiplied: multiples of eight, as the kernels want them."""
    from dataclasses import replace

    from lwcnn.experiments.recipes.residual_se import NETWORK

    def multiplied(filters: int) -> int:
        return max(8, round(filters * width / 8) * 8)

    stages = tuple(replace(stage, filters=multiplied(stage.filters)) for stage in NETWORK.stages)
    return replace(NETWORK, stem=multiplied(NETWORK.stem), stages=stages)


def work(images: int, size: int, width: float, batch: int, steps: int) -> dict:
    """What one point costs, measured in a process of its own."""
    import keras
    import numpy as np

    from lwcnn.data.batches import Batches
    from lwcnn.data.images import Images
    from lwcnn.data.known import image_spec
    from lwcnn.experiments.recipes.presets import augmentation
    from lwcnn.experiments.recipes.residual_se import WARMUP_COSINE
    from lwcnn.export.bench.measure import peak_bytes
    from lwcnn.models.cost import count_macs
    from lwcnn.models.residual_se import build_residual_se
    from lwcnn.training.steps import open_epoch, prefetch

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, size, size, 3), dtype=np.uint8)
    branches = (augmentation(image_spec("cifar10")),)
    batches = Batches(Images(pixels, rng.integers(0, 10, images)), batch, seed=0, branches=branches)
    model = build_residual_se((size, size, 3), 10, widened(width))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(WARMUP_COSINE.build(len(batches)), loss, metrics=["accuracy"])
    timed = min(steps, len(batches) - WARMUP)
    with open_epoch(model) as epoch:
        for i, batch in enumerate(itertools.islice(prefetch(batches), WARMUP + timed)):
            if i == WARMUP:
                start = time.perf_counter()
            epoch.step(*batch)
        seconds = (time.perf_counter() - start) / timed * len(batches)
    found = {"seconds": seconds, "steps": len(batches), "timed_steps": timed, "peak_bytes": peak_bytes()}
    return found | {"params": model.count_params(), "macs": count_macs(model)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vary", nargs="+", choices=POINTS, default=list(POINTS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=100, help="timed at most, of each point")
    parser.add_argument("--json", type=Path, help="write the measurements to this file")
    options = parser.parse_args()
    from lwcnn.publication.tables.benchmarks import benchmark_table
    from lwcnn.system.environment import machine, thread_environment
    from lwcnn.system.files import write_json

    os.environ.update(thread_environment(options.threads) | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    rows, known = [], {}
    for varied in options.vary:
        for value in POINTS[varied]:
            point = START | {varied: value}
            key = json.dumps(point)
            if key not in known:  # the start is a point of every curve
                with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                    known[key] = process.submit(work, *point.values(), options.steps).result()
                print(f"{point} {known[key]['seconds']:.1f} s", file=sys.stderr, flush=True)
            rows.append({"varied": varied, **point, **known[key]})
    about = {"threads": options.threads, **machine()}
    print(f"{about['device']}, {options.threads} thread(s)\n{benchmark_table('growth', rows).markdown()}")
    if options.json:
        write_json(options.json, about | {"rows": rows})


if __name__ == "__main__":
    main()
