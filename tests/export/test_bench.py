"""Tests measurements, output and errors of the benchmark."""

import json
import re
import time
import timeit
from dataclasses import replace

import keras
import numpy as np
import pytest
from made_data import randomize

from lwcnn import build_merged_model, count_macs
from lwcnn.cli.main import main
from lwcnn.data.datasets import load_dataset
from lwcnn.evaluation.predict import predict_logits
from lwcnn.export.bench import run
from lwcnn.export.bench.measure import images_per_second, measure_memory, open_keras, summarize_rounds, time_calls
from lwcnn.export.bench.run import bench_models, bench_table
from lwcnn.export.formats import Runtime
from lwcnn.system.environment import thread_environment
from lwcnn.system.errors import LwcnnError

for package in ("tensorflow", "ai_edge_litert", "onnx", "onnxruntime", "tf2onnx"):
    pytest.importorskip(package)

ROWS = ["keras function", "keras predict", "litert", "litert-int8", "onnx"]


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(run, "BATCH_SIZES", (1, 4))
    monkeypatch.setattr(run, "THROUGHPUT_SECONDS", 0.001)
    monkeypatch.setattr(run.measure, "measure_memory", lambda *arguments: {})


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "made-small.keras"
    randomize(build_merged_model((12, 12, 3), 10)).save(path)
    return path


def test_calls_are_timed_one_by_one_after_a_warm_up():
    calls = []
    times = time_calls(lambda: calls.append(time.sleep(0.002)), num_calls=12, max_seconds=9.0, num_warm_up=3)
    assert len(times) == 12 and len(calls) == 15
    assert (times >= 2).all() and times.min() < 1000, "milliseconds"
    slow = time_calls(lambda: time.sleep(0.004), num_calls=1000, max_seconds=0.01, num_warm_up=1000)
    assert 10 <= len(slow) < 30, "ten calls at least, then the time counts"


def test_throughput_counts_images(monkeypatch):
    calls, untimed = [], []
    monkeypatch.setattr(timeit.Timer, "timeit", lambda timer, number: calls.append(number) or 0.01)
    assert images_per_second(untimed.append, np.zeros(100), 0.05) == pytest.approx(100 / 0.01)
    assert len(calls) in (5, 6) and len(untimed) == 1, "a warm-up call"


def test_rounds_are_summarized_by_medians():
    rounds = [np.full(10, value) for value in (1.0, 2.0, 50.0)]  # one round was disturbed
    assert summarize_rounds(rounds) == {"mean_ms": 2, "p50_ms": 2, "p90_ms": 2, "p99_ms": 2, "num_calls": 30}
    one = summarize_rounds([np.arange(1, 102, dtype=float)])
    assert (one["mean_ms"], one["p50_ms"], one["p90_ms"], one["p99_ms"]) == (51, 51, 91, 100)


def test_one_image_is_timed_and_the_batch_of_the_highest_median_throughput_told(tmp_path, monkeypatch):
    timed, batches = [], []
    speeds = iter([10.0, 40.0, 20.0] + [10.0, 30.0, 90.0] + [10.0, 50.0, 30.0])  # one was too fast
    monkeypatch.setattr(run, "BATCH_SIZES", (1, 4, 8))
    monkeypatch.setattr(run.measure, "measure_memory", pytest.fail)  # that of `predict` is not measured
    monkeypatch.setattr(run.measure, "time_calls", lambda call, *_: timed.append(call().shape) or np.ones(5))
    monkeypatch.setattr(
        run.measure, "images_per_second", lambda call, batch, _: batches.append(call(batch).shape) or next(speeds)
    )
    file = tmp_path / "made.keras"
    file.write_bytes(100 * b"a")
    opened = {"keras predict": (Runtime(lambda prepared: prepared), file)}
    candidate = run._Candidate(file, None, np.zeros((3, 2, 2, 1), np.uint8), opened)
    for _ in range(3):
        candidate.measure_round(5)
    row = candidate._row("keras predict", file)
    assert timed == 3 * [(1, 2, 2, 1)] and batches == 3 * [(n, 2, 2, 1) for n in (1, 4, 8)]
    assert (row["images_per_second"], row["best_batch_size"], row["size_bytes"]) == (40, 4, 100)
    assert row["images_per_second_by_batch_size"] == {"1": 10, "4": 40, "8": 30}


def test_the_table_has_the_measurements_in_its_units():
    times = {"mean_ms": 1.5, "p50_ms": 1.25, "p90_ms": 2.0, "p99_ms": 3.0004}
    row = {"name": "litert", "batch1": times, "images_per_second": 12345.6, "best_batch_size": 8}
    row |= {"size_bytes": 34567, "gzip_bytes": 23456}
    rows = [row | {"peak_memory_bytes": 12_600_000}, row]
    table = bench_table({"models": [{"model": "a.keras", "macs": 1234567, "parameters": 1234, "rows": rows}]})
    first = {"model": "a", "format": "litert", "mean ms": "1.500", "p50": "1.250", "p90": "2.000", "p99": "3.000"}
    first |= {"images/s": "12,346", "batch": "8", "peak MB": "13", "bytes": "34,567", "gzip": "23,456"}
    first |= {"MACs": "1,234,567", "params": "1,234"}
    assert table.to_dict("records") == [first, first | {"peak MB": ""}]


def test_the_keras_function_is_the_network_at_inference(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 12, 12, 3), dtype=np.uint8)
    parts = [keras.layers.Dropout(0.5), keras.layers.Flatten(), keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((12, 12, 3)), *parts])
    model.save(tmp_path / "made.keras")
    np.testing.assert_allclose(open_keras(tmp_path / "made.keras")(images), predict_logits(model, images), rtol=1e-4)


def test_every_format_is_measured_side_by_side(model_path, made_dataset, quick, capsys):
    found = bench_models([model_path], data=made_dataset, rounds=2, num_calls=5)
    json.dumps(found, allow_nan=False)
    assert "round 2 of 2" in capsys.readouterr().out
    (model,) = found["models"]
    fresh = build_merged_model((12, 12, 3), 10)
    assert (model["parameters"], model["macs"]) == (fresh.count_params(), count_macs(fresh))
    assert [row["name"] for row in model["rows"]] == ROWS
    for row in model["rows"]:
        times = row["batch1"]
        assert 0 < times["p50_ms"] <= times["p90_ms"] <= times["p99_ms"] and times["num_calls"] == 10
        assert row["images_per_second"] == max(row["images_per_second_by_batch_size"].values())
        assert row["best_batch_size"] in (1, 4)
        assert 0 < row["gzip_bytes"] < row["size_bytes"]
    sizes = {row["name"]: row["size_bytes"] for row in model["rows"]}
    assert sizes["keras function"] == model_path.stat().st_size and sizes["litert-int8"] < sizes["litert"]
    assert found["images"].startswith("made") and found["machine"]["device"]
    table = bench_table(found)
    assert table["format"].tolist() == ROWS and set(table["MACs"]) == {f"{model['macs']:,}"}


def test_rounds_alternate_between_models_which_may_have_one_name(model_path, tmp_path, quick, capsys):
    other = tmp_path / model_path.name
    build_merged_model((12, 12, 1), 3).save(other)
    found = bench_models([model_path, other], ["litert"], rounds=2, num_calls=5)["models"]
    assert re.findall(r"round (\d)", capsys.readouterr().out) == ["1", "1", "2", "2"]
    assert found[0]["rows"][0]["size_bytes"] > found[1]["rows"][0]["size_bytes"]


def test_the_load_before_is_not_that_of_converting(model_path, quick, monkeypatch):
    load, convert = [0.5], run.convert

    def convert_loudly(*arguments):
        load[0] = 4.0
        return convert(*arguments)

    monkeypatch.setattr(run, "convert", convert_loudly)
    monkeypatch.setattr(run.os, "getloadavg", lambda: (load[0], 0.0, 0.0))
    machine = bench_models([model_path], ["litert"], rounds=1, num_calls=5)["machine"]
    assert (machine["load_average_before"], machine["load_average_after"]) == (0.5, 4.0)


def test_an_experiments_name_stands_for_its_model_made_for_the_images(made_dataset, quick):
    for data in (None, made_dataset):
        (found,) = bench_models(["residual_plain"], ["keras"], data, rounds=1, num_calls=5)["models"]
        assert (found["model"], found["parameters"]) == ("residual_plain.keras", 29_464)
        assert found["rows"][0]["batch1"]["p50_ms"] > 0


def test_command_measures_in_processes_of_one_thread(model_path, tmp_path, capfd, monkeypatch):
    for name, value in thread_environment(1).items():
        monkeypatch.setenv(name, value)  # restored after the command has set it
    written = tmp_path / "bench.json"
    line = ["bench", str(model_path), "--formats", "litert-int8", "onnx", "--rounds=1", "--calls=20"]
    assert main([*line, f"--json={written}"]) == 0
    found = json.loads(written.read_text())
    assert found["machine"]["threads"] == 1
    assert (found["settings"]["rounds"], found["settings"]["num_calls"]) == (1, 20)
    assert "random" in found["images"] and "not for use" in found["images"]
    for row in found["models"][0]["rows"]:
        assert row["peak_memory_bytes"] > row["python_memory_bytes"] > 1e6
        assert row["peak_memory_bytes"] < 3e8, "the runtime alone, without Keras or TensorFlow"
    out = capfd.readouterr().out
    assert "No --dataset" in out and "made-small" in out and "fresh process" in out


def test_command_measures_on_the_dataset_asked_for(model_path, made_npz, tmp_path, quick, capfd, monkeypatch):
    for name, value in thread_environment(1).items():
        monkeypatch.setenv(name, value)
    line = ["bench", str(model_path), "--formats=litert-int8", "--rounds=1", "--calls=5", f"--dataset={made_npz}"]
    assert main([*line, f"--json={tmp_path / 'bench.json'}"]) == 0
    found = json.loads((tmp_path / "bench.json").read_text())
    assert found["images"] == load_dataset(made_npz).name and "No --dataset" not in capfd.readouterr().out


def test_mistakes_are_told_in_words(model_path, made_dataset, capfd):
    with pytest.raises(SystemExit):
        main(["bench", "no.keras", "--formats", "keras"])
    error = capfd.readouterr().err
    assert "There is no such model: check the path. Received: no.keras" in error and "Traceback" not in error
    with pytest.raises(LwcnnError, match="Did you mean 'litert'"):
        bench_models([model_path], ["litrt"])
    with pytest.raises(LwcnnError, match=r"Choose the dataset of .*Received: made, \(12, 12, 3\), 7 classes"):
        bench_models([model_path], ["keras"], replace(made_dataset, class_names=tuple("abcdefg")))
    with pytest.raises(
        LwcnnError, match="measuring its memory failed. Received: litert, FileNotFoundError.*No such file"
    ):
        measure_memory("litert", model_path.with_name("no.tflite"), (12, 12, 3))
    assert run._model_file("paper", replace(made_dataset, name="mnist"), model_path.parent).stem == "mnist-paper"
    with pytest.raises(SystemExit):
        main(["bench", str(model_path), "--formats", "tensorrt"])


@pytest.mark.parametrize(("shapes", "words"), [([(12, 12, 3)] * 2, "one input"), ([(None, None, 3)], "one image size")])
def test_what_cannot_be_measured_is_told_before_anything_is(model_path, tmp_path, monkeypatch, shapes, words):
    inputs = [keras.Input(shape) for shape in shapes]
    pooled = [keras.layers.GlobalAveragePooling2D()(one) for one in inputs]
    other = tmp_path / "other.keras"
    keras.Model(inputs, [keras.layers.Dense(10)(one) for one in pooled]).save(other)
    monkeypatch.setattr(run, "_open_formats", pytest.fail)
    with pytest.raises(LwcnnError, match=words):
        bench_models([model_path, other], ["keras"])
