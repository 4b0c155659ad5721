"""Seconds to evaluate 10,000 test images with a released model, as `lwcnn evaluate` does, start-up aside.

    python benchmarks/evaluation.py models/cifar10-paper.keras models/cifar10-residual_se.keras

Random images: what they show does not change the time. The first call, which traces the model, is not counted.
Exits with 1 if a median is over `--limit`.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

NUM_IMAGES = 10_000
MODELS = ("models/cifar10-paper.keras", "models/cifar10-residual_se.keras")


def work(path: str, rounds: int) -> list[float]:
    """Seconds of each round, in a process of its own."""
    import numpy as np

    from lwcnn.evaluation.metrics import summarize
    from lwcnn.evaluation.predict import predict_logits
    from lwcnn.models.io import load_model

    model, rng = load_model(path), np.random.default_rng(0)
    images = rng.integers(0, 256, (NUM_IMAGES, *model.input_shape[1:]), dtype=np.uint8)
    labels = rng.integers(0, model.output_shape[-1], NUM_IMAGES)
    predict_logits(model, images[:1000])
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        summarize(predict_logits(model, images), labels)
        seconds.append(time.perf_counter() - start)
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=[str(ROOT / name) for name in MODELS])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=2.0, help="seconds that a median may take")
    options = parser.parse_args()
    from lwcnn.system.environment import device_name, thread_environment

    os.environ.update(thread_environment(options.threads) | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    print(f"{device_name()}, {options.threads} thread(s), {NUM_IMAGES:,} images, {options.rounds} rounds")
    print("| model | median s | from .. to |\n|---|---:|---:|")
    slow = False
    for model in options.models:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            seconds = process.submit(work, model, options.rounds).result()
        slow |= statistics.median(seconds) > options.limit
        print(f"| {Path(model).name} | {statistics.median(seconds):.2f} | {min(seconds):.2f} .. {max(seconds):.2f} |")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
