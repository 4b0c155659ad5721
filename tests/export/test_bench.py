"""Tests measurements, output and errors of the benchmark."""

import json
import time
import timeit
from dataclasses import replace

import numpy as np
import pytest
from made_data import randomize

from lwcnn import build_merged_model, count_macs
from lwcnn.cli.main import main
from lwcnn.export.bench.measure import images_per_second, summarize_rounds, time_calls
from lwcnn.export.bench.report import bench_notes, bench_table, join_earlier
from lwcnn.export.bench.run import Settings, bench_models
from lwcnn.system.errors import LwcnnError

for package in ("tensorflow", "ai_edge_litert", "onnx", "onnxruntime", "tf2onnx"):
    pytest.importorskip(package)

ROWS = ["keras function", "keras predict", "litert", "litert-int8", "onnx"]
QUICK = Settings(rounds=2, num_calls=5, num_warm_up=1, batch_sizes=(1, 4), throughput_seconds=0.001, memory=False)


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
    calls = []
    monkeypatch.setattr(timeit.Timer, "timeit", lambda timer, number: calls.append(number) or 0.01)
    assert images_per_second(time.time, 100, 0.05) == pytest.approx(100 / 0.01) and len(calls) in (5, 6)


def test_rounds_are_summarized_by_medians():
    rounds = [np.full(10, value) for value in (1.0, 2.0, 50.0)]  # one round was disturbed
    assert summarize_rounds(rounds) == {"mean_ms": 2, "p50_ms": 2, "p90_ms": 2, "p99_ms": 2, "num_calls": 30}
    one = summarize_rounds([np.arange(1, 102, dtype=float)])
    assert (one["mean_ms"], one["p50_ms"], one["p90_ms"], one["p99_ms"]) == (51, 51, 91, 100)


def test_every_format_is_measured_side_by_side(model_path, made_dataset):
    notes = []
    found = bench_models([model_path], data=made_dataset, settings=QUICK, note=notes.append)
    json.dumps(found, allow_nan=False)
    assert any("round 2 of 2" in line for line in notes)
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
    assert all(name in table for name in ROWS) and f"{model['macs']:,}" in table
    assert len({len(line) for line in table.splitlines()}) == 1
    assert "medians" in bench_notes(found)


def test_an_experiments_name_stands_for_its_model():
    settings = replace(QUICK, rounds=1)
    found = bench_models(["residual_se_small"], ["keras"], settings=settings)["models"]
    assert [(one["model"], one["parameters"]) for one in found] == [("residual_se_small.keras", 18_976)]
    assert found[0]["rows"][0]["batch1"]["p50_ms"] > 0


def test_models_of_an_earlier_run_stay_where_conditions_were_the_same():
    machine = {"device": "a", "threads": 1, "load_average_before": 0.5}
    earlier = {"machine": machine, "versions": {"keras": "3"}, "settings": {"rounds": 1}, "images": "random"}
    earlier["models"] = [{"model": "one", "macs": 1}, {"model": "two", "macs": 2}]
    found = earlier | {"machine": machine | {"load_average_before": 2.0}, "models": [{"model": "two", "macs": 3}]}
    joined = join_earlier(found, earlier)
    assert joined["models"] == [{"model": "one", "macs": 1}, {"model": "two", "macs": 3}]
    assert joined["machine"] == found["machine"]
    for changed in (
        {"versions": {"keras": "4"}},
        {"machine": machine | {"device": "b"}},
        {"machine": machine | {"threads": 2}},
        {"settings": {"rounds": 2}},
        {"images": "mnist"},
    ):
        assert join_earlier(found | changed, earlier)["models"] == found["models"]


def test_command_measures_in_processes_of_one_thread(model_path, tmp_path, capfd):
    written = tmp_path / "bench.json"
    other = {"machine": {"device": "another", "threads": 1}, "versions": {}, "settings": {}, "images": "", "models": []}
    written.write_text(json.dumps(other))
    line = ["bench", str(model_path), "--formats", "litert-int8", "onnx", "--rounds=1", "--calls=20"]
    assert main([*line, f"--json={written}"]) == 0
    found = json.loads(written.read_text())
    assert found["machine"]["threads"] == 1
    assert "random" in found["images"] and "not for use" in found["images"]
    for row in found["models"][0]["rows"]:
        assert row["peak_memory_bytes"] > row["python_memory_bytes"] > 1e6
        assert row["peak_memory_bytes"] < 3e8, "the runtime alone, without Keras or TensorFlow"
    out = capfd.readouterr().out
    assert "No --dataset" in out and "| made-small" in out and "fresh process" in out
    assert "another machine" in out and "replaced" in out


def test_mistakes_are_told_in_words(model_path, made_dataset, capfd):
    assert main(["bench", "no.keras", "--formats", "keras"]) == 1
    error = capfd.readouterr().err
    assert "There is no such model: check the path. Received: no.keras" in error and "Traceback" not in error
    with pytest.raises(LwcnnError, match="Did you mean 'litert'"):
        bench_models([model_path], ["litrt"])
    with pytest.raises(LwcnnError, match="at least one round"):
        bench_models([model_path], settings=Settings(rounds=0))
    with pytest.raises(SystemExit):
        main(["bench", str(model_path), "--formats", "tensorrt"])
