"""Measurements that test claims: sizes of built networks, and values from the results files.

Each function returns a function of the evidence; what was not run raises `MissingInput`.
"""

from lwcnn.data import INPUT_SHAPES
from lwcnn.experiments.results import MissingInput
from lwcnn.publication.claims import measurement
from lwcnn.publication.claims.claim import Measure
from lwcnn.publication.claims.measurement import Measurement
from lwcnn.publication.counts import counts
from lwcnn.publication.evidence import Evidence

MEBIBYTE = 2**20
COUNTED = "counted"


def counted(experiment: str, dataset: str = "cifar10", trainable: bool = False) -> Measure:
    """Number of parameters of an experiment's network."""

    def measure(evidence: Evidence) -> Measurement:
        found = counts(dataset, experiment)
        value = found.trainable if trainable else found.params
        return Measurement(value, "parameters", 0, origin=COUNTED)

    return measure


def submodels_counted(dataset: str) -> Measure:
    """Number of parameters of the paper's two submodels together."""

    def measure(evidence: Evidence) -> Measurement:
        from lwcnn.models.dual import BRANCHES, build_submodel

        submodels = (build_submodel(INPUT_SHAPES[dataset], 10, name) for name in BRANCHES)
        return Measurement(sum(model.count_params() for model in submodels), "parameters", 0, origin=COUNTED)

    return measure


def float_size(experiment: str, dataset: str = "cifar10", values_per_weight: int = 1) -> Measure:
    """Size of the weights in float32, with the optimizer's values that belong to each."""
    return lambda evidence: Measurement(
        4 * values_per_weight * counts(dataset, experiment).params / MEBIBYTE, "MiB", 3, origin="float32"
    )


def convolution_share(experiment: str, dataset: str = "cifar10") -> Measure:
    """Percentage of the parameters that belong to convolutions."""

    def measure(evidence: Evidence) -> Measurement:
        found = counts(dataset, experiment)
        share = found.convolutional / found.params
        return measurement.percent(share, 1, origin=f"{found.convolutional:,} of {found.params:,}")

    return measure


def accuracy(experiment: str, dataset: str = "cifar10") -> Measure:
    """Test accuracy of an experiment, with the largest preset that it was run with."""
    return lambda evidence: measurement.accuracy(
        evidence.accuracy(dataset, experiment), origin=_origin(evidence, dataset, experiment)
    )


def calibration(experiment: str, dataset: str = "cifar10") -> Measure:
    """Expected calibration error on the test images, mean over seeds."""

    def measure(evidence: Evidence) -> Measurement:
        ece = evidence.select(dataset, experiment)["ece"].mean()
        return measurement.percent(ece, 1, origin=f"ECE, {_origin(evidence, dataset, experiment)}")

    return measure


def training_time(experiment: str, dataset: str = "cifar10") -> Measure:
    """Seconds of training, mean over seeds."""

    def measure(evidence: Evidence) -> Measurement:
        runs = evidence.select(dataset, experiment)
        origin = f"{_origin(evidence, dataset, experiment)}, {' and '.join(runs['device'].unique())}"
        return Measurement(runs["train_seconds"].mean(), "s", 0, origin=origin)

    return measure


def difference(experiment: str, reference: str, dataset: str = "cifar10") -> Measure:
    """Test accuracy of an experiment minus that of another, with the largest preset that both were run with."""

    def measure(evidence: Evidence) -> Measurement:
        for preset in evidence.presets:
            if all(evidence.has(dataset, name, preset) for name in (experiment, reference)):
                return measurement.gain(evidence.difference(dataset, experiment, reference, preset), origin=preset)
        raise MissingInput(f"`lwcnn train {experiment} {reference} --dataset {dataset} --preset quick --seeds 0 1 2`")

    return measure


def ece_change(experiment: str, reference: str, dataset: str = "cifar10", preset: str = "quick") -> Measure:
    """Expected calibration error of an experiment minus that of another, means over the same seeds."""

    def measure(evidence: Evidence) -> Measurement:
        with_it, without = (
            evidence.select(dataset, name, preset).set_index("seed")["ece"] for name in (experiment, reference)
        )
        change = 100 * (with_it - without).dropna()
        origin = f"ECE {100 * without.mean():.1f} → {100 * with_it.mean():.1f} %, {preset}, {len(change)} seeds"
        return Measurement(change.mean(), "points", 1, signed=True, origin=origin)

    return measure


def folds(experiment: str, dataset: str, leaky: bool = False) -> Measure:
    """Mean accuracy of K folds."""

    def measure(evidence: Evidence) -> Measurement:
        found = evidence.folds
        found = found[(found["dataset"] == dataset) & (found["experiment"] == experiment)]
        found = found[found["leaky"] == leaky]
        for preset in evidence.presets:
            if not (chosen := found[found["preset"] == preset]).empty:
                test = f", test {100 * chosen['test_accuracy'].iloc[0]:.2f} %" if leaky else ""
                spread = 100 * chosen["accuracy"].std()
                return measurement.percent(chosen["accuracy"].mean(), spread=spread, origin=f"folds{test}, {preset}")
        option = " --leaky" if leaky else ""
        raise MissingInput(f"`lwcnn kfold {experiment} --dataset {dataset}{option}`")

    return measure


def latency(experiment: str, runtime: str = "keras function", dataset: str = "cifar10") -> Measure:
    """Median time of one image on one CPU thread."""

    def measure(evidence: Evidence) -> Measurement:
        device = evidence.benchmark("bench")["machine"]["device"]
        milliseconds = evidence.latency(dataset, experiment, runtime)
        return Measurement(milliseconds, "ms", 3, origin=f"`{experiment}`, {runtime}, one thread of {device}")

    return measure


def _origin(evidence: Evidence, dataset: str, experiment: str) -> str:
    runs = evidence.select(dataset, experiment)
    return f"{runs['preset'].iloc[0]}, {len(runs)} seed{'s' if len(runs) > 1 else ''}"
