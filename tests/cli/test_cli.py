"""The command line: what it prints, what it writes, and how it fails."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from made_data import ROOT, describe, randomize, write_npz
from scipy.special import softmax

from lwcnn.cli import jobs, run
from lwcnn.cli.arguments import image_size
from lwcnn.cli.main import main
from lwcnn.cli.search import _train_trials
from lwcnn.cli.training import release_and_print
from lwcnn.data import datasets
from lwcnn.data.known import ImageSpec
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.recipes import EXPERIMENT_NAMES, get_experiment, with_settings
from lwcnn.experiments.shipped import model_file
from lwcnn.models.description import read_description
from lwcnn.models.dual import build_merged_model, build_submodel
from lwcnn.models.io import load_model, save_model
from lwcnn.system.errors import LwcnnError
from lwcnn.training.progress import Progress


@pytest.fixture
def arguments(tmp_path, made_npz):
    """Arguments at the end of every training command in these tests."""
    folders = [f"--{name}={tmp_path / name}" for name in ("results", "cache", "models")]
    return [f"--dataset={made_npz}", *folders, "--progress=line"]


def test_closed_streams_are_no_errors(monkeypatch):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert main(["list"]) == 0 and main(["evaluate", str(ROOT / "README.md")]) == 1


def test_train_then_evaluate(tmp_path, arguments, made_npz, capsys):
    assert main(["train", "paper", "head_only", "--preset=quick", "--seeds", "0", *arguments]) == 0
    (run,), (model,) = tmp_path.glob("results/made-*/paper/quick/seed0.json"), tmp_path.glob("models/*-paper.keras")
    last = model.with_name(model.name.replace("paper", "head_only"))
    assert capsys.readouterr().out.endswith(f"\nnext   lwcnn predict {last} photo.png\n")
    result = json.loads(run.read_text())
    assert result["weights"] == f"models/{result['dataset']}-paper.keras" == f"models/{model.name}"
    written = tmp_path / "measured.json"
    assert main(["evaluate", str(model), f"--dataset={made_npz}", f"--json={written}"]) == 0
    assert f"{100 * result['test_accuracy']:.2f}%" in capsys.readouterr().out
    assert json.loads(written.read_text())["accuracy"] == pytest.approx(result["test_accuracy"], abs=1e-9)
    (other,) = tmp_path.glob("models/*-head_only.keras")
    assert main(["evaluate", str(model), str(other), f"--dataset={made_npz}", f"--json={written}"]) == 0
    assert f"{model}, alone {100 * result['test_accuracy']:.2f}%" in capsys.readouterr().out
    x, y = (np.load(made_npz)[name] for name in ("x_test", "y_test"))
    shares = [softmax(load_model(path).predict(x, verbose=0), axis=1) for path in (model, other)]
    voted = (sum(shares).argmax(1) == y.ravel()).mean()
    assert json.loads(written.read_text())["accuracy"] == pytest.approx(voted, abs=1e-9)


def test_jobs_train_every_seed(tmp_path, arguments):
    assert main(["train", "paper", "--preset=smoke", "--seeds", "0", "1", "--jobs=2", *arguments]) == 0
    runs = sorted(tmp_path.glob("results/made-*/paper/smoke/seed?.json"))
    assert [json.loads(run.read_text())["seed"] for run in runs] == [0, 1]
    assert json.loads(runs[0].read_text())["num_threads"] == 1


def test_jobs_report_failed_runs(tmp_path, arguments, capsys):
    name = datasets.load_dataset(arguments[0].removeprefix("--dataset=")).name
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / name).write_text("a file where a folder is needed")
    assert main(["train", "paper", "--preset=smoke", "--seeds", "0", "1", "--jobs=2", *arguments]) == 1
    assert "paper seed 0, paper seed 1" in capsys.readouterr().err


def test_a_job_that_was_killed_says_so():
    job = SimpleNamespace(last_line="all 3/15, loss 1.2", log=Path("runs/a.log"))
    assert jobs._reason(job, -9) == "killed by signal 9, perhaps for lack of memory, see runs/a.log: all 3/15, loss 1.2"
    assert jobs._reason(job, 1) == "ended with exit code 1, see runs/a.log: all 3/15, loss 1.2"
    job.last_line = "lwcnn: error: Give a seed"
    assert jobs._reason(job, 1) == job.last_line


@pytest.mark.parametrize("jobs", [[], ["--jobs=2"]])
def test_after_a_failed_run_the_others_are_trained_and_released(jobs, monkeypatch, capsys, arguments):
    trained, released = [], []

    def train(plan, data, preset, seed, *_, **__):
        trained.append((plan.name, seed))
        if trained[-1] == ("paper", 0):
            raise LwcnnError("The loss is NaN")

    def run_jobs(*_):
        raise LwcnnError("These runs failed: paper seed 0: The loss is NaN")

    monkeypatch.setattr("lwcnn.experiments.run.run_experiment", train)
    monkeypatch.setattr("lwcnn.cli.jobs.run_jobs", run_jobs)
    monkeypatch.setattr("lwcnn.experiments.release.release_best", lambda data, name, folders: released.append(name))
    assert main(["train", "paper", "head_only", "--seeds", "0", "1", *jobs, *arguments]) == 1
    assert jobs or trained == [("paper", 0), ("head_only", 0), ("paper", 1), ("head_only", 1)]
    assert released == ["paper", "head_only"]
    assert capsys.readouterr().err.endswith("paper seed 0: The loss is NaN\n")


def test_a_finished_run_says_that_nothing_is_written_for_tensorboard(tmp_path, monkeypatch, capsys, arguments):
    pytest.importorskip("tensorboard")
    monkeypatch.setattr("lwcnn.experiments.run.run_experiment", lambda *_, **__: None)
    line = ["train", "paper", "--preset=smoke", f"--tensorboard={tmp_path / 'board'}", *arguments]
    assert main(line) == 0 and capsys.readouterr().out.count("nothing is written for TensorBoard") == 1
    (folder,) = (tmp_path / "board").glob("*/paper/smoke/seed0")
    (folder / "events.of.the.training").write_text("")
    assert main(line) == 0 and "TensorBoard" not in capsys.readouterr().out


def test_a_model_of_a_longer_preset_is_kept_and_told(monkeypatch, capsys):
    kept = model_file("wren-30k")
    monkeypatch.setattr("lwcnn.experiments.release.release_best", lambda *_: kept)
    data = SimpleNamespace(name="cifar10")
    release_and_print(data, "wren_30k", "quick", Folders())
    assert capsys.readouterr().out == f"model  {kept} (kept: the model of preset full)\n"
    release_and_print(data, "wren_30k", "full", Folders())
    assert capsys.readouterr().out == f"model  {kept}\n"


def test_a_missing_data_set_is_told_once_before_any_job_starts(arguments, capsys):
    missing = [a.replace("made.npz", "none.npz") for a in arguments]
    with pytest.raises(SystemExit, match="2"):
        main(["train", "paper", "--preset=smoke", "--seeds", "0", "1", "--jobs=2", *missing])
    error = capsys.readouterr().err
    assert error.count("none.npz") == 1 and "there is no such folder or file" in error


def test_mistakes_are_told_in_words(capsys):
    assert main(["table", "--write", "no/README.md"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("lwcnn: error: ") and "Traceback" not in error and "no/README.md" in error


def test_evaluate_refuses_what_is_no_model_or_does_not_fit(tmp_path, made_npz, capsys):
    broken = tmp_path / "broken.keras"
    broken.write_bytes(b"PK\x03\x04 half a file")
    assert main(["evaluate", str(broken), f"--dataset={made_npz}"]) == 1
    assert "cannot be read as a Keras model" in capsys.readouterr().err
    other = tmp_path / "other.keras"
    build_merged_model((16, 16, 1), 4).save(other)
    assert main(["evaluate", str(other), f"--dataset={made_npz}"]) == 1
    error = capsys.readouterr().err
    assert "(16, 16, 1)" in error and "(12, 12, 3)" in error


@pytest.mark.parametrize("line", [["evaluate", "MODEL"], ["export", "MODEL", "--format=onnx"]])
def test_a_model_is_never_taken_for_a_known_data_set_by_name_or_shape(tmp_path, capsys, made_dataset, line):
    """Ten classes of 32x32x3 in a file named as a released one: nothing says that they are CIFAR-10's."""
    path = tmp_path / "cifar10-paper.keras"
    line = [str(path) if word == "MODEL" else word for word in line]
    for description, words in [
        (None, "does not name its dataset: give it with --dataset"),
        (describe(made_dataset), "trained on images of your own; give the dataset with --dataset.*trained on 'made'"),
        (describe(made_dataset, dataset="digits"), "other images than those found; give the dataset with --dataset"),
    ]:
        save_model(path, build_merged_model((32, 32, 3), 10), description)
        assert main(line) == 1
        assert re.search(words, capsys.readouterr().err)


def test_evaluate_takes_the_data_set_that_the_model_file_names(tmp_path, capsys):
    digits = datasets.load_dataset("digits")
    save_model(tmp_path / "mine.keras", build_merged_model((28, 28, 1), 10), describe(digits))
    assert main(["evaluate", str(tmp_path / "mine.keras")]) == 0
    assert "digits, 359 test images" in capsys.readouterr().out


def test_list_names_every_experiment_and_datasets_every_data_set(capsys, tmp_path):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    hidden = re.findall(r"`lwcnn list (\w+)`", out)
    assert hidden == ["parts_", "technique_"]
    for word in hidden:
        assert main(["list", word]) == 0
    out += capsys.readouterr().out
    assert all(f"  {name} " in out for name in EXPERIMENT_NAMES)
    write_npz(tmp_path / "mnist.npz", shape=(28, 28, 1))
    assert main(["datasets", f"--data-dir={tmp_path}"]) == 0
    out = capsys.readouterr().out
    assert "mnist.npz" in out and "digits" in out and str(tmp_path) not in out


def test_what_comes_after_a_run_has_its_figures_from_the_files():
    best, paper = (read_description(ROOT / f"models/cifar10-{name}.keras") for name in ("wren_100k_mixing", "paper"))
    text = run._next_steps("cifar10", "quick", Path("runs/models/x.keras"))
    assert f"`full`, reaches {100 * paper.test_accuracy:.2f}%" in text
    assert f"`wren-100k-mixing`, the most accurate network shipped, reaches {100 * best.test_accuracy:.2f}%" in text
    assert text.count("  lwcnn ") == 3 and "train paper --preset full" in text
    text = run._next_steps("cifar10-1234abcd", "quick", Path("runs/models/x.keras"))  # not the official file
    assert "--dataset" not in text
    text = run._next_steps("digits", "full", Path("runs/models/x.keras"))
    assert text.count("  lwcnn ") == 3 and "lwcnn evaluate runs/models/x.keras" in text and "reaches" not in text
    assert run._next_steps("digits", "full", None).count("  lwcnn ") == 2


def test_run_falls_back_to_digits_loudly(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    load = datasets.load_dataset

    def without_cifar10(name, *rest):
        if name == "cifar10":
            raise LwcnnError("no network; put cifar10.npz into LWCNN_DATA_DIR")
        return load(name, *rest)

    monkeypatch.setattr(datasets, "load_dataset", without_cifar10)
    monkeypatch.setattr(datasets, "find_dataset", lambda name: None)
    assert main(["run", "--preset=smoke"]) == 0
    out = capsys.readouterr().out
    assert out.count("NOT CIFAR-10") == 2 and "LWCNN_DATA_DIR" in out
    result = json.loads((tmp_path / "runs/results/digits/paper/smoke/seed0.json").read_text())
    assert "NOT CIFAR-10" in result["notice"]
    assert "\nmodel  none: a smoke test keeps its model in the cache" in out
    assert "14,862" in out and f"{100 * result['test_accuracy']:.2f}%" in out

    def never(*_):
        raise AssertionError("a finished run was trained again")

    monkeypatch.setattr("lwcnn.experiments.run.train_experiment", never)
    assert main(["run", "--preset=smoke"]) == 0
    assert f"finished before: test accuracy {100 * result['test_accuracy']:.2f}%" in capsys.readouterr().out


def test_run_does_not_replace_a_broken_cifar10(tmp_path, monkeypatch, capsys):
    (tmp_path / "cifar10.npz").write_bytes(b"not an archive")
    monkeypatch.setenv("LWCNN_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--preset=smoke"]) == 1
    assert "cifar10.npz" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_full_disk_full_memory_and_ctrl_c_are_told(monkeypatch, capsys, arguments):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lwcnn.experiments.run.run_experiment", full)
    assert main(["train", "paper", "--preset=smoke", *arguments]) == 1
    assert "No space left on device" in capsys.readouterr().err

    def too_large(*_, **__):
        raise MemoryError("Unable to allocate 9 TiB")

    monkeypatch.setattr("lwcnn.experiments.run.run_experiment", too_large)
    assert main(["train", "paper", "--preset=smoke", *arguments]) == 1
    assert "error: Not enough memory (Unable to allocate 9 TiB): give fewer" in capsys.readouterr().err

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("lwcnn.experiments.run.run_experiment", interrupted)
    assert main(["train", "paper", "--preset=smoke", *arguments]) == 130
    assert "run the same command again to resume" in capsys.readouterr().err
    monkeypatch.setattr("lwcnn.experiments.zoo.load_dataset_for", interrupted)
    assert main(["evaluate", "wren"]) == 130
    assert capsys.readouterr().err == "\nlwcnn: interrupted\n"


def test_ctrl_c_in_a_real_process_leaves_a_run_that_goes_on(tmp_path, arguments):
    command = [sys.executable, "-m", "lwcnn", "train", "paper", "--preset=quick", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background ignores Ctrl-C, and so would the process if the tests run there.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for line in process.stdout:
        if "dual 2/8" in line:
            break
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "run the same command again to resume" in error and "Traceback" not in error
    assert not [path for path in (tmp_path / "results").rglob("*") if path.is_file()]
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr
    assert "dual 1/8" not in again.stdout and "dual 8/8" in again.stdout, again.stdout


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_that_python_drops_in_a_destructor_is_heeded_at_the_next_epoch(monkeypatch, capsys, arguments):
    class Pressing:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    reached = []

    def training(*_, **__):
        Pressing()
        reached.append("after the destructor")
        Progress("none").begin_epoch("dual", 1, 1, 1)
        reached.append("the epoch")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr("lwcnn.experiments.run.run_experiment", training)
        assert main(["train", "paper", "--preset=smoke", *arguments]) == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert reached == ["after the destructor"]


def test_ctrl_c_that_a_library_replaces_by_its_own_error_is_still_an_interruption(monkeypatch, capsys, arguments):
    def training(*_, **__):
        with zipfile.ZipFile(io.BytesIO(), "w") as archive:
            member = archive.open("a", "w")  # open, so that the end of the block raises ValueError
            member.write(b"bytes")
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr("lwcnn.experiments.run.run_experiment", training)
        assert main(["train", "paper", "--preset=smoke", *arguments]) == 130
        assert "run the same command again to resume" in capsys.readouterr().err
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_help_has_examples(capsys):
    for line in (["--help"], ["train", "--help"], ["kfold", "--help"], ["evaluate", "--help"]):
        with pytest.raises(SystemExit) as exit_code:
            main(line)
        assert exit_code.value.code == 0
        assert "example" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ([], "required: COMMAND"),
        (["trian"], "Did you mean 'train'?"),
        (["xyzzy"], "Unknown command. Known: run,"),
        (["train"], "required: NAME"),
        (["train", "papr"], "Did you mean 'paper'?"),
        (["train", "residual_se_muo"], "Did you mean 'residual_se_muon'"),
        (["train", "wren30k"], "Did you mean 'wren-30k' or 'wren-20k' or 'wren-10k'? Received: 'wren30k'"),
        (["run", "--preset=quik"], "Unknown preset. Did you mean 'quick'?"),
        (["summary", "papr"], "Did you mean 'paper'"),
        (["summary", "none.keras"], "Received: none.keras"),
        (["summary", "residual_cbamm"], "Did you mean 'residual_cbam'"),
        (["list", "techniqe"], "Unknown experiment. Did you mean 'technique_sgd'"),
        (
            ["finetune", "residual_plain", "--dataset=digits"],
            "neither a .keras file nor a trained network. Known: wren",
        ),
        (["train", "paper", "--dataset=cifar11"], "Did you mean 'cifar10'"),
        (["predict", "wren", "-", "--dataset=cifar1"], "neither a known name nor a folder that exists. Did you mean"),
        (
            ["predict", "wren", "-", "no/photo.png"],
            "no such image, folder or .npz file: check the path. Received: 'no/",
        ),
        (["predict", "wren", "no/*.png"], "no such image, folder or .npz file: check the path. Received: 'no/*.png'"),
        (["predict", "wren", "-", "--topp", "3"], "Unknown option. Did you mean '--top'"),
        (["predict", "wren", "-", "--top", "0"], "give a whole number from 1 to 1000000000. Received: '0'"),
        (["kfold", "paper", "--preset=fast"], "Unknown preset"),
        (["kfold", "paper", "--folds=1"], "--folds: give a whole number from 2 to 1000000000. Received: '1'"),
        (["train", "paper", "--seeds", "4294967296"], "from 0 to 4294967295. Received: '4294967296'"),
        (["train", "paper", "--seeds", "9" * 6000], "whole number"),
        (["train", "paper", "--jobs", "²"], "whole number from 1 to 1000000000. Received: '²'"),
        (["table", "--results", " "], "give a path"),
        (["table", "--results", "~no_such_user/results"], "no such user"),
        (["train", "paper", "--learning-rate=0"], "a positive number. Received: '0'"),
        (["train", "paper", "--size=24x"], "64x96 as height x width. Received: '24x'"),
        (["train", "paper", "--dataset=no/photos"], "no such folder or file. Received: 'no/photos'"),
        (["predict", "wren", "-", "--output", "."], "a file in a folder that you can write to. Received: '.'"),
        (["evaluate", "wren", "--json", "/"], "a file in a folder that you can write to. Received: '/'"),
        (["evaluate", "wren", "--json", f"{ROOT}/models/cifar10-wren_5k.keras"], "give another file: this one exists"),
        (["predict", "wren", "-", "--output", f"{ROOT}/docs/demo.png"], "give another file: this one exists"),
        (["train", "wren", "--models", f"{__file__}/models"], "give a folder that you can write to"),
        (["figures", "--output", f"{__file__}/figures"], "give a folder that you can write to"),
        (["evaluate", "wren", "--json", f"{__file__}/a.json"], "a file in a folder that you can write to"),
        (["export", "wren", "--format=c-array", "--output", "."], "in a folder that you can write to. Received: '.'"),
        (["export", "wren", "--format=onnx", f"--output={__file__}/a.onnx"], "in a folder that you can write to"),
        (["export", "wren", "--format=litert", "--max-drop=nan"], "a number from 0 to 100. Received: 'nan'"),
    ],
)
def test_wrong_usage_is_one_line_and_exits_with_two(line, words, capsys):
    with pytest.raises(SystemExit) as exit_code:
        main(line)
    (error,) = capsys.readouterr().err.splitlines()
    assert exit_code.value.code == 2 and error.startswith("lwcnn: error: ") and words in error


def test_train_hands_its_settings_on(arguments, monkeypatch):
    given = []
    monkeypatch.setattr("lwcnn.experiments.run.run_experiment", lambda *run, **_: given.append(run[:4]))
    line = ["train", "paper", "--preset=smoke", "--seeds=3", "--epochs=6", "--batch-size=16", "--learning-rate=0.02"]
    assert main([*line, "--class-weight=balanced", "--size=16", "--no-mirror", *arguments]) == 0
    ((plan, data, preset, seed),) = given
    images = ImageSpec((16, 16, 3), mirror=False)
    paper = get_experiment("paper", "smoke", images)
    assert plan == with_settings(paper, epochs=6, batch_size=16, learning_rate=0.02, class_weight="balanced")
    assert (data.spec, preset, seed) == (images, "smoke", 3)


def test_kfold_hands_its_options_on(arguments, monkeypatch, capsys):
    given = []
    result = {"accuracies": [0.5, 0.6], "mean_accuracy": 0.55, "test_accuracy": 0.5, "leak": 0.05}
    monkeypatch.setattr("lwcnn.experiments.kfold.run_kfold", lambda *options: given.append(options) or result)
    line = ["kfold", "paper", "--preset=smoke", "--seed=3", "--folds=2", "--leaky"]
    assert main([*line, *(one for one in arguments if "--models" not in one)]) == 0
    ((name, _, *options),) = given
    assert (name, *options[:4]) == ("paper", "smoke", 3, True, 2)
    said = capsys.readouterr().out
    assert "folds 50.00 60.00\nmean  55.00%\n" in said and "leak +5.00 points" in said


def test_search_hands_its_options_on(arguments, tmp_path, monkeypatch, capsys):
    pytest.importorskip("optuna")
    given = []

    class Study:
        path = tmp_path / "study.journal"

        def __init__(self, *options, progress):
            given.append(options)

        def run(self, num_trials):
            given.append(num_trials)

        study = None

        def front(self):
            return pd.DataFrame({"parameters": [123]})

    monkeypatch.setattr("lwcnn.experiments.search.Search", Study)
    line = ["search", "--space=width", "--limit=500", "--trials=7", "--epochs=2", "--seed=4"]
    assert main([*line, *(one for one in arguments if "--models" not in one)]) == 0
    (space, _, epochs, limit, folders, seed), num_trials = given
    assert (space, epochs, limit, folders.results, seed, num_trials) == ("width", 2, 500, tmp_path / "results", 4, 7)
    assert "123" in capsys.readouterr().out

    monkeypatch.setattr("lwcnn.cli.jobs.run_jobs", lambda command, runs, _: given.append((command, [*runs])))
    monkeypatch.setattr("lwcnn.cli.search.draw", lambda study: given.append(study.path))
    jobs = _train_trials, ["width search 1", "width search 2"]
    for option, expected in ("--show", Study.path), ("--jobs=2", jobs):
        given.clear()
        assert main([*line, option, *(one for one in arguments if "--models" not in one)]) == 0
        assert given[1:] == [expected]


def test_the_demo_opens_the_networks_and_serves_on_the_port(tmp_path, monkeypatch, capsys):
    page = "lwcnn.publication.demo.page"
    pytest.importorskip("gradio")
    opened, served = [], SimpleNamespace(block_thread=lambda: opened.append("blocked"))
    monkeypatch.setattr("lwcnn.publication.demo.network.open_network", lambda name, _: opened.append(name))
    monkeypatch.setattr(f"{page}.find_examples", lambda folder: [folder])
    monkeypatch.setattr(f"{page}.build_page", lambda networks, examples: opened.append(examples) or served)
    monkeypatch.setattr(f"{page}.serve", lambda page, port: f"http://127.0.0.1:{port}")
    for port in ("0", "65536", "-1"):
        with pytest.raises(SystemExit, match="2"):
            main(["demo", "wren", f"--port={port}"])
    assert main(["demo", "wren", "--port=7999", f"--examples={tmp_path}"]) == 0
    assert opened == ["wren", [tmp_path], "blocked"]
    assert "open http://127.0.0.1:7999 in a browser" in capsys.readouterr().out


@pytest.mark.parametrize("text, sides", [("64", (64, 64)), ("64x96", (64, 96)), ("96X64", (96, 64))])
def test_a_size_is_height_and_width(text, sides):
    assert image_size(text) == sides


def test_the_list_has_groups_test_accuracies_and_the_epochs_of_each_phase_in_order(capsys):
    assert main(["list"]) == 0
    out, told = capsys.readouterr().out, read_description(model_file("wren"))
    (wren,) = re.findall(r"^  wren +cifar10 .*$", out, re.M)
    (measured,) = re.findall(r"^  residual_se_muon +(\S+) (\w+) ", out, re.M)
    assert f"{100 * told.test_accuracy:.2f}" in wren and "55,872" in wren
    assert measured == (f"{100 * told.test_accuracy:.2f}", told.preset) and told.test_accuracy != told.val_accuracy
    assert out.index("residual networks") < out.index("residual_se ") < out.index("  repo_baseline ")
    assert re.search(r"^  quick +at most 8 \+ 4 \+ 5; 15$", out, re.M)  # submodels, head, all; Wren
    assert re.search(r"^  full +at most 20 \+ 20 \+ 50; 60$", out, re.M)


def test_models_that_vote_have_the_parameters_of_all(made_npz, tmp_path, capsys):
    models = build_submodel((12, 12, 3), 10), build_merged_model((12, 12, 3), 10)
    paths = [str(tmp_path / f"{model.name}.keras") for model in models]
    for path, model in zip(paths, models, strict=True):
        randomize(model).save(path)
    assert main(["evaluate", *paths, f"--dataset={made_npz}"]) == 0
    (shown,) = re.findall(r"^parameters +([\d,]+)$", capsys.readouterr().out, re.M)
    # Convolutions of 280 and 1,820; 20 features to 10 classes; in the merged model twice, and a head of 32.
    submodel = 280 + 1_820 + 210
    assert shown == f"{submodel + 2 * submodel + 21 * 32 + 33 * 10:,}"
