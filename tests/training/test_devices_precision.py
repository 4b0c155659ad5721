"""Mixed precision: where it is refused, what stays float32, what tells its results apart."""

import contextlib
from dataclasses import replace

import keras
import numpy as np
import pytest
from made_data import InterruptedAt, Interruption, make_split

from lwcnn.cli.main import main
from lwcnn.data.images import Images, Split
from lwcnn.experiments.pipeline import train_experiment
from lwcnn.experiments.recipes import get_experiment
from lwcnn.experiments.run import run_experiment
from lwcnn.experiments.sequence import PhaseSequence
from lwcnn.models.build import build_network
from lwcnn.models.dual import build_dual_model, build_merged_model, build_submodel
from lwcnn.system import environment
from lwcnn.system.errors import LwcnnError
from lwcnn.training.checkpoint import Checkpoint
from lwcnn.training.devices import PRECISIONS, Computing
from lwcnn.training.loop import train_phase
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Phase

SHAPE, NUM_CLASSES = (12, 12, 3), 4
MIXED = PRECISIONS[1:]


@pytest.fixture(scope="module")
def parts():
    return make_split(64, 32, SHAPE, NUM_CLASSES)


def test_a_cpu_refuses_mixed_precision(monkeypatch):
    monkeypatch.setattr(environment, "has_bfloat16_units", lambda: False)
    for precision in MIXED:
        with pytest.raises(LwcnnError, match=f"bfloat16 units.*Omit --precision.*Received: {precision} on"):
            Computing(precision).require_possible()
    Computing().require_possible()
    monkeypatch.setattr(environment, "accelerator", lambda: "an accelerator")
    Computing("mixed_bfloat16").require_possible()


def test_a_cpu_with_bfloat16_units_takes_bfloat16_alone(monkeypatch):
    monkeypatch.setattr(environment, "has_bfloat16_units", lambda: True)
    Computing("mixed_bfloat16").require_possible()
    with pytest.raises(LwcnnError, match="Received: mixed_float16 on"):
        Computing("mixed_float16").require_possible()


@pytest.mark.parametrize(("flags", "expected"), [("fpu avx512_bf16", True), ("amx_bf16", True), ("fpu avx2", False)])
def test_bfloat16_units_are_read_from_the_flags_of_the_cpu(flags, expected, monkeypatch):
    monkeypatch.setattr(environment.Path, "read_text", lambda self: f"model name\t: any\nflags\t\t: {flags}\n")
    assert environment.has_bfloat16_units.__wrapped__() is expected


def test_what_cannot_be_is_refused():
    with pytest.raises(LwcnnError, match="need KERAS_BACKEND=jax. Received: 2 on tensorflow"):
        Computing(devices=2).require_possible()
    with pytest.raises(LwcnnError, match="one device. Received: 2 devices"):
        images = Images(np.zeros((4, *SHAPE), np.uint8), np.arange(4))
        sequence = PhaseSequence(Split(images, images), 4, 0, computing=Computing(devices=2))
        train_experiment(get_experiment("residual_se_small_distilled"), sequence)


def test_the_scope_ends():
    with pytest.raises(ZeroDivisionError), Computing("mixed_bfloat16").scope():
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        raise ZeroDivisionError
    assert keras.config.dtype_policy().name == "float32"


def networks():
    shape = (32, 32, 3)
    yield "submodel", lambda: build_submodel(shape, 10)
    yield "merged", lambda: build_merged_model(shape, 10)
    for name in ("residual_se", "repo_residual_se", "narrow_resnet18"):
        description = get_experiment(name).network
        yield name, lambda description=description: build_network(shape, 10, description)


@pytest.mark.parametrize("build", [build for _, build in networks()], ids=[name for name, _ in networks()])
def test_logits_and_weights_are_float32(build):
    with Computing("mixed_bfloat16").scope():
        model = build()
    assert model.outputs[0].dtype == "float32"
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    computed = {layer.compute_dtype for layer in model.layers if layer.trainable_weights}
    assert computed == {"bfloat16", "float32"}  # float32: the head
    logits = model.predict_on_batch(np.full((2, 32, 32, 3), 200, np.uint8))
    assert logits.dtype == np.float32 and np.isfinite(logits).all()


@pytest.mark.parametrize("precision", MIXED)
def test_mixed_training_is_close_to_float32_and_keeps_a_float32_model(precision, parts):
    plan = get_experiment("paper", "smoke")
    phases = tuple(replace(phase, batch_size=32) for phase in plan.phases)
    plan = replace(plan, phases=phases, dropout=0.0)  # whose draws differ by type
    mixed = PhaseSequence(parts, NUM_CLASSES, 0, computing=Computing(precision))
    trained = train_experiment(plan, mixed)
    full = PhaseSequence(parts, NUM_CLASSES, 0)
    plain = train_experiment(plan, full)
    assert {layer.dtype_policy.name for layer in trained.layers} == {"float32"}
    losses, wanted = ([phase["history"][-1]["loss"] for phase in one.records] for one in (mixed, full))
    assert losses == pytest.approx(wanted, rel=5e-3)
    assert any(np.any(a != b) for a, b in zip(trained.get_weights(), plain.get_weights(), strict=True))


def test_float16_scales_the_loss_and_resumes_with_its_scale(parts, tmp_path):
    """The scale doubles after as many steps as it is told, and is part of the state of an interrupted training."""

    def train(checkpoint, epochs_to_run):
        keras.utils.set_random_seed(0)
        with Computing("mixed_float16").scope():
            model = build_dual_model([build_submodel(SHAPE, NUM_CLASSES)])
            phase = Phase("all", OptimizerConfig("sgd", 0.01, momentum=0.9), 4, batch_size=32)
            stop = InterruptedAt(epochs_to_run + 1)
            with contextlib.suppress(Interruption):
                train_phase(model, phase, parts, 0, checkpoint=checkpoint and Checkpoint(checkpoint), progress=stop)
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        return model

    whole = train(None, 4)
    train(tmp_path / "state.npz", 2)
    resumed = train(tmp_path / "state.npz", 4)
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    steps = [float(model.optimizer.step_counter.value) for model in (whole, resumed)]
    assert steps == [8.0, 8.0]


def test_results_and_cache_tell_precisions_apart(made_dataset, folders, tmp_path):
    mixed = run_experiment("single", made_dataset, "smoke", 0, folders, computing=Computing("mixed_bfloat16"))
    assert mixed["precision"] == "mixed_bfloat16" and mixed["num_devices"] == 1
    assert mixed["config"]["computing"] == {"precision": "mixed_bfloat16"}
    with pytest.raises(LwcnnError, match="differs in: computing"):
        run_experiment("single", made_dataset, "smoke", 0, folders)
    before = set(folders.cache.rglob("*-all-*.npz"))
    folders = replace(folders, results=tmp_path / "other")
    plain = run_experiment("single", made_dataset, "smoke", 0, folders)
    assert plain["precision"] == "float32" and "computing" not in plain["config"]
    assert len(set(folders.cache.rglob("*-all-*.npz")) - before) == 1
    with pytest.raises(LwcnnError, match="differs in: computing"):
        run_experiment("single", made_dataset, "smoke", 0, folders, computing=Computing("mixed_bfloat16"))


def test_the_command(made_npz, tmp_path, capsys, monkeypatch):
    given = []

    def run_experiment(*_, computing, **__):
        given.append(computing)
        raise LwcnnError("That was all.")

    monkeypatch.setattr("lwcnn.experiments.run.run_experiment", run_experiment)
    line = ["train", "single", "--preset=smoke", f"--dataset={made_npz}", "--precision=mixed_float16"]
    line += [f"--{name}={tmp_path / name}" for name in ("results", "cache", "models")]
    assert main(line) == 1 and not given
    assert "Mixed precision needs an accelerator" in capsys.readouterr().err
    sent: list = []
    with monkeypatch.context() as patch:
        patch.setattr("lwcnn.cli.jobs.run_jobs", lambda command, runs, options: sent.append((command, options)))
        assert main([*line, "--cluster=auto", "--progress=none"]) == 0
    ((command, options),) = sent  # a node of the cluster checks, not this machine
    with pytest.raises(LwcnnError, match="Mixed precision needs an accelerator"):
        command(options)
    capsys.readouterr()
    monkeypatch.setattr(environment, "accelerator", lambda: "an accelerator")
    assert main([*line, "--progress=none"]) == 1
    assert given == [Computing("mixed_float16")] and "That was all." in capsys.readouterr().err
    assert main([*line, "--devices=3"]) == 1
    assert "Received: 3" in capsys.readouterr().err
