"""Tests that exported files match the model and its report, and that others are rejected."""

import dataclasses
import gzip
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from made_data import ROOT, describe, run_python
from PIL import Image
from scipy.special import softmax

from lwcnn import build_merged_model
from lwcnn.cli.main import main
from lwcnn.data.datasets import load_dataset
from lwcnn.data.sources import find_dataset
from lwcnn.evaluation.predict import predict_logits
from lwcnn.export.arena import Activation, Graph, plan_arena, read_graph, to_c_array
from lwcnn.export.convert import build_deployable, draw_calibration_images, to_litert, to_litert_int8
from lwcnn.export.formats import FORMATS, LitertModel
from lwcnn.export.run import compare_logits, export_model, require_agreement, run_batches
from lwcnn.models.io import save_model
from lwcnn.system.errors import LwcnnError

# Without the extra there is nothing to test; where it is pinned, in CI, nothing is skipped.
for package in ("tensorflow", "ai_edge_litert", "onnx", "onnxruntime", "tf2onnx"):
    pytest.importorskip(package)

EXTENSIONS = {name: kind.extension for name, kind in FORMATS.items()}


@pytest.fixture(scope="module")
def trained(made_dataset, tmp_path_factory):
    """Trains a small model on generated data; returns its path and the model."""
    keras.utils.set_random_seed(0)
    model = build_merged_model(made_dataset.input_shape, made_dataset.num_classes)
    model.compile("nadam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.optimizer.learning_rate = 0.01
    model.fit(made_dataset.x_train.astype("float32"), made_dataset.y_train, epochs=12, batch_size=30, verbose=0)
    path = tmp_path_factory.mktemp("models") / "made-paper.keras"
    model.save(path)
    return path, model


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_does_what_the_model_does(name, trained, made_dataset, tmp_path):
    path, model = trained
    output = tmp_path / f"out{EXTENSIONS[name]}"
    report = export_model(path, name, made_dataset, output)
    assert json.loads((tmp_path / "out.json").read_text()) == report
    assert report["accuracy_keras"] > 0.9 and abs(report["drop_points"]) <= 0.3
    assert report["num_test_images"] == 100 and report["parameters"] == model.count_params()
    assert len(report["model_sha256"]) == 64 and report["versions"]["keras"] == keras.__version__
    assert report["agreement"] >= 0.99
    assert report["num_calibration_images"] == (len(made_dataset.x_train) if FORMATS[name].quantized else None)
    if not FORMATS[name].quantized:
        assert report["max_relative_difference"] < 1e-5
    if name != "c-array":  # whose sizes are those of the int8 file in it
        files = [output] if output.is_file() else filter(Path.is_file, sorted(output.rglob("*"), key=str))
        content = b"".join(file.read_bytes() for file in files)
        assert report["size_bytes"] == len(content)
        assert report["gzip_bytes"] == len(gzip.compress(content, 9)) < len(content)
    left = {entry.name for entry in tmp_path.iterdir()}
    assert left == {output.name, "out.json"}, "temporary files stay behind"


def test_the_report_has_the_class_names_of_the_model(trained, made_dataset, tmp_path):
    names = tuple(f"class {k}" for k in range(made_dataset.num_classes))
    save_model(tmp_path / "named.keras", trained[1], describe(dataclasses.replace(made_dataset, class_names=names)))
    numbered = dataclasses.replace(made_dataset, class_names=tuple(map(str, range(made_dataset.num_classes))))
    report = export_model(tmp_path / "named.keras", "litert", numbered, tmp_path / "out.tflite")
    assert report["class_names"] == list(names)


def test_the_command_names_the_file_and_shows_the_report(trained, made_npz, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(trained[0]), f"--dataset={made_npz}", "--format=litert"]) == 0
    written, shown = sorted((tmp_path / "exports").iterdir()), capsys.readouterr().out
    assert [path.name for path in written] == ["made-paper-litert.json", "made-paper-litert.tflite"]
    report = json.loads(written[0].read_text())
    assert f"{report['size_bytes']:,} bytes, {report['gzip_bytes']:,} after gzip" in shown
    assert f"accuracy in Keras    {report['accuracy_keras']:.2%}\n" in shown


@pytest.mark.parametrize(
    ("name", "drop", "is_told"), [("litert", 0.1, True), ("litert", 0.02, False), ("litert-int8", 0.2, False)]
)
def test_a_loss_beyond_the_limit_that_was_accepted_as_chance_is_told(
    name, drop, is_told, trained, made_npz, made_dataset, tmp_path, monkeypatch, capsys
):
    report = export_model(trained[0], name, made_dataset, tmp_path / "out.tflite") | {"drop_points": drop}
    monkeypatch.setattr("lwcnn.export.run.export_model", lambda *options: report)
    assert main(["export", str(trained[0]), f"--dataset={made_npz}", f"--format={name}"]) == 0
    shown = capsys.readouterr().out
    assert ("\naccepted " in shown) == is_told and f"-{drop:.2f} points" in shown


def test_the_program_for_a_device_reads_a_photo_and_prints_its_class(trained, made_npz, tmp_path, monkeypatch, capsys):
    data, page = load_dataset(made_npz), (ROOT / "docs/deployment.md").read_text()
    monkeypatch.chdir(tmp_path)
    export_model(trained[0], "litert-int8", data, "exports/cifar10-wren_30k-litert-int8.tflite")
    logits = run_batches(LitertModel(Path("exports/cifar10-wren_30k-litert-int8.tflite").read_bytes()), data.x_test[:3])
    (program,) = re.findall("```python\n(import json\n.+?)```", page, re.S)
    for image, expected in zip(data.x_test, logits):
        Image.fromarray(image).save("photo.png")
        exec(program, {})
        name, probability = capsys.readouterr().out.split()
        assert name == data.class_names[expected.argmax()]
        assert float(probability) == pytest.approx(softmax(expected).max(), abs=1e-3)


def test_int8_file_is_int8_throughout(trained, made_dataset):
    model = trained[1]
    content = to_litert_int8(model, draw_calibration_images(made_dataset.x_train, 50))
    opened = LitertModel(content)
    assert opened.input_quantization == (1.0, -128)
    images = made_dataset.x_test[:3]
    assert np.array_equal(opened.prepare(images), (images.astype(int) - 128).astype(np.int8))
    assert opened.run(opened.prepare(images)).dtype == np.int8
    graph = read_graph(content)
    assert set(graph.operations) == {"CONV_2D", "MAX_POOL_2D", "RESHAPE", "CONCATENATION", "FULLY_CONNECTED"}
    assert not {"QUANTIZE", "DEQUANTIZE", "SHAPE"} & set(graph.operations)
    assert len(content) < len(to_litert(model))


def test_calibration_images_span_the_range_and_leave_the_data_alone():
    images = np.full((20, 4, 4, 1), 100, np.uint8)
    drawn = draw_calibration_images(images, 5)
    assert drawn.shape == (5, 4, 4, 1) and (drawn.min(), drawn.max()) == (0, 255)
    assert (drawn == 100).sum() == drawn.size - 2 and (images == 100).all()
    distinct = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1).repeat(2, 1)
    first, again = (draw_calibration_images(distinct, 6)[:, 0, 0, 0] for _ in range(2))
    assert np.array_equal(first, again) and len(set(first)) > 3
    assert len(draw_calibration_images(images, 99)) == 20
    for value in (1, 254):  # nearly is not enough
        drawn = draw_calibration_images(np.full_like(images, value), 5)
        assert (drawn.min(), drawn.max()) == (0, 255)


def test_int8_refuses_images_that_do_not_span_the_range(trained):
    with pytest.raises(LwcnnError, match="both 0 and 255.*from images of 100 to 100"):
        to_litert_int8(trained[1], np.full((2, 12, 12, 3), 100, np.uint8))


def test_deployable_has_the_same_results_and_leaves_the_model_alone(made_dataset):
    images = layers.Input((12, 12, 3))
    inner = keras.Sequential([layers.Input((12, 12, 3)), layers.Conv2D(4, 3), layers.BatchNormalization()])
    x = layers.Reshape((50, -1))(inner(layers.Rescaling(1 / 255)(images)))
    model = keras.Model(images, layers.Dense(10)(layers.Flatten()(x)))
    before = [weight.copy() for weight in model.get_weights()]
    deployable = build_deployable(model)
    assert not any(isinstance(layer, (layers.Reshape, layers.Flatten)) for layer in deployable.layers)
    logits = [predict_logits(m, made_dataset.x_test[:5]) for m in (model, deployable)]
    assert np.array_equal(*logits)
    short = build_deployable(model, short_names=True)
    assert all(len(layer.name) <= 3 for layer in short.layers[1:])  # after the input
    assert np.array_equal(logits[0], predict_logits(short, made_dataset.x_test[:5]))
    deployable.set_weights([weight + 1 for weight in before])
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    sequential = keras.Sequential([layers.Input((12, 12, 3)), layers.Flatten(), layers.Dense(10)])
    again = build_deployable(sequential)
    assert np.array_equal(*[predict_logits(m, made_dataset.x_test[:5]) for m in (sequential, again)])


def test_operations_get_short_names_and_augmentation_layers_are_left_out(made_dataset):
    images = layers.Input((12, 12, 3))
    x = layers.Conv2D(4, 3)(layers.RandomFlip()(images / 255.0))
    model = keras.Model(images, layers.Dense(10)(layers.Flatten()(x)))
    short = build_deployable(model, short_names=True)
    assert not any(isinstance(layer, layers.RandomFlip) for layer in short.layers)
    logits = [predict_logits(m, made_dataset.x_test[:5]) for m in (model, short)]
    np.testing.assert_allclose(*logits, rtol=1e-5, atol=1e-6)


def test_a_file_that_the_runtime_rejects_is_told_in_one_line(trained, made_dataset, tmp_path, monkeypatch):
    def reject(content):
        raise RuntimeError("no such operation")

    monkeypatch.setitem(FORMATS, "litert", dataclasses.replace(FORMATS["litert"], open=reject))
    path = tmp_path / "model.keras"
    trained[1].save(path)
    with pytest.raises(LwcnnError, match=r"can be converted to litert \(RuntimeError: no such operation\)"):
        export_model(path, "litert", made_dataset, tmp_path / "model.tflite")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.keras"]


@pytest.mark.parametrize("format_name", FORMATS)
def test_models_that_cannot_be_exported_are_told(format_name, made_dataset, tmp_path):
    two = keras.Model([a := keras.Input((4,)), b := keras.Input((4,))], layers.Add()([a, b]))
    anywhere = keras.Model(x := keras.Input((None, None, 3)), layers.GlobalAveragePooling2D()(x))
    for name, model, message in (("two", two, "one input and one output"), ("any", anywhere, "one image size")):
        model.save(tmp_path / f"{name}.keras")
        with pytest.raises(LwcnnError, match=message):
            export_model(
                tmp_path / f"{name}.keras", format_name, made_dataset, tmp_path / f"out{EXTENSIONS[format_name]}"
            )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["any.keras", "two.keras"]


def test_a_broken_export_is_refused_and_leaves_nothing(trained, made_npz, tmp_path, monkeypatch, capsys):
    calls = LitertModel.__call__
    monkeypatch.setattr(LitertModel, "__call__", lambda self, images: calls(self, images) * 1.01)
    line = ["export", str(trained[0]), f"--dataset={made_npz}"]
    assert main([*line, "--format=litert", f"--output={tmp_path / 'a' / 'b.tflite'}"]) == 1
    assert "of their range" in capsys.readouterr().err
    monkeypatch.setattr(LitertModel, "__call__", lambda self, images: -calls(self, images))
    for name in ("litert", "litert-int8", "c-array"):
        assert main([*line, f"--format={name}", f"--output={tmp_path / 'c'}{EXTENSIONS[name]}"]) == 1
        assert "points of accuracy" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert main([*line, "--format=litert-int8", f"--output={tmp_path / 'c.tflite'}", "--max-drop=100"]) == 0
    assert json.loads((tmp_path / "c.json").read_text())["drop_points"] > 50


def test_what_counts_as_disagreement():
    labels = np.arange(2000) % 2
    expected = np.eye(2)[labels] * 10
    few_wrong = expected.copy()
    few_wrong[:7] = few_wrong[:7, ::-1]
    compared = compare_logits(expected, few_wrong, labels)
    assert compared["drop_points"] == 0.35 and compared["agreement"] == 1 - 7 / 2000
    assert compared["max_abs_difference"] == 10 and compared["max_relative_difference"] == 1
    require_agreement(compared, quantized=True, max_drop=0.35)
    with pytest.raises(LwcnnError, match="100.00% -> 99.65%"):
        require_agreement(compared, quantized=True)
    for max_drop, words in ((0.0, "at most 0.0 points"), (float("nan"), "Received: nan"), (-1.0, "Received: -1")):
        with pytest.raises(LwcnnError, match=words):
            require_agreement(compared, quantized=True, max_drop=max_drop)
    gain = compare_logits(few_wrong, expected, labels)
    require_agreement(gain, quantized=True)
    with pytest.raises(LwcnnError, match="at most 0.05 points"):
        require_agreement(gain, quantized=False)
    for difference, fits in ((0.009, True), (0.011, False)):  # of a range of 10
        near = compare_logits(expected, expected + difference, labels)
        if fits:
            require_agreement(near, quantized=False)
        else:
            with pytest.raises(LwcnnError, match="0.001 of their range"):
                require_agreement(near, quantized=False)
    with pytest.raises(LwcnnError, match="not finite"):
        compare_logits(expected, expected * np.nan, labels)


@pytest.mark.parametrize("quantized", [True, False])
@pytest.mark.parametrize(
    "num_images, lost, gained, fits",
    [(25, 1, 0, True), (25, 2, 0, False), (100, 2, 0, True), (100, 3, 0, False), (100, 4, 2, True), (100, 7, 4, False)]
    + [(1000, 4, 0, True), (1000, 5, 0, False), (1000, 60, 40, True), (1000, 61, 40, False), (1000, 120, 98, False)]
    + [(10_000, 31, 0, False), (10_000, 400, 369, False)],
)
def test_a_few_images_lost_by_chance_are_no_disagreement(num_images, lost, gained, fits, quantized):
    labels = np.zeros(num_images, int)
    expected = np.eye(2)[np.repeat([0, 1], [num_images - gained, gained])]
    exported = np.eye(2)[np.repeat([1, 0], [lost, num_images - lost])]
    compared = compare_logits(expected, exported, labels) | {"max_relative_difference": 0.0}
    assert (compared["num_lost"], compared["num_gained"]) == (lost, gained)
    if fits:
        require_agreement(compared, quantized)
    else:
        few = ", or what chance explains on so few images," if num_images < 5000 else ""
        words = f"points of accuracy{few} may {'be lost' if quantized else 'change'}"
        with pytest.raises(LwcnnError, match=words):
            require_agreement(compared, quantized)
    with pytest.raises(LwcnnError, match="at most 0 points"):  # a limit that is given is kept
        require_agreement(compared, quantized, max_drop=0)


def test_arena_of_two_layers_by_hand():
    """Input 6x6x1 (36 bytes), a convolution to 4x4x2 (32), flattened (32), dense to 3 (3); each a multiple of 16.

    The convolution needs input and output at once, 48 + 32; the reshape 32 + 32; the dense layer 32 + 16. So the
    peak is 80, and the planner reaches it: the input lies at 0 and the convolution's output at 48, the flattened
    map takes the input's place, and the logits go to 48 again.
    """
    images = keras.Input((6, 6, 1))
    x = layers.Flatten()(layers.Conv2D(2, 3, activation="relu")(images))
    model = keras.Model(images, layers.Dense(3)(x))
    content = to_litert_int8(model, np.random.default_rng(0).integers(0, 256, (20, 6, 6, 1), dtype=np.uint8))
    graph = read_graph(content)
    assert graph.operations == ("CONV_2D", "RESHAPE", "FULLY_CONNECTED")
    found = sorted((a.size_bytes, a.first, a.last) for a in graph.activations)
    assert found == [(3, 2, 2), (32, 0, 1), (32, 1, 2), (36, 0, 0)]
    assert plan_arena(graph.activations) == 80


def test_arena_planner():
    def of(*entries):
        return plan_arena([Activation(*entry) for entry in entries])

    assert of() == 0
    assert of((1, 0, 0)) == 16
    assert of((160, 0, 1), (48, 1, 2), (64, 2, 3)) == 160 + 48  # the third lies where the first was
    assert of((160, 0, 1), (160, 2, 3)) == 160
    assert of((16, 1, 2), (48, 3, 3), (16, 1, 3)) == 64  # the largest first: else the small one splits the room
    assert of((32, 0, 1), (32, 0, 2), (32, 2, 2)) == 64  # the third fits exactly below the second
    # 64 and 48 at once, then 48 and 96: the largest lies at 0, 64 over it, 48 above the larger of both.
    assert of((64, 0, 0), (48, 0, 1), (96, 1, 1)) == 96 + 48


def test_a_models_name_stays_in_its_comment():
    header = to_c_array(b"ab", "a\n#error \udce9", Graph((), ()))["model_data.h"].decode()
    assert header.splitlines()[0].startswith("// a #error ?: an int8 LiteRT model of 2 bytes")


def test_c_array_holds_the_int8_file(trained, made_dataset, tmp_path):
    report = export_model(trained[0], "c-array", made_dataset, tmp_path / "array")
    inside = export_model(trained[0], "litert-int8", made_dataset, tmp_path / "model.tflite")
    assert all(report[size] == inside[size] for size in ("size_bytes", "gzip_bytes"))
    source = (tmp_path / "array" / "model_data.cc").read_text()
    header = (tmp_path / "array" / "model_data.h").read_text()
    listed = source.split("{")[1].split("}")[0].replace("\n", "").replace(" ", "").strip(",").split(",")
    assert bytes(int(byte, 16) for byte in listed) == (tmp_path / "model.tflite").read_bytes()
    assert "alignas(16) const unsigned char g_made_paper_model_data[]" in source
    assert f"g_made_paper_model_data_len = {len(listed)};" in source
    assert f"_estimated = {report['arena_bytes_estimated']};" in header and "Estimated" in header
    assert "AddConv2D" in header and "AddFullyConnected" in header
    if compiler := shutil.which("g++"):
        program = tmp_path / "array" / "main.cc"
        program.write_text(
            '#include "model_data.h"\nint main() { return g_made_paper_model_data_len == '
            f"{len(listed)} && g_made_paper_model_data[4] == 'T' ? 0 : 1; }}\n"
        )
        files = [program, tmp_path / "array" / "model_data.cc"]
        subprocess.run([compiler, "-std=c++17", "-Wall", "-Werror", *files, "-o", tmp_path / "main"], check=True)
        assert subprocess.run([tmp_path / "main"]).returncode == 0


def test_saved_model_replaces_only_its_own(trained, made_dataset, tmp_path):
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(LwcnnError, match="holds other files"):
        export_model(trained[0], "saved_model", made_dataset, folder)
    assert (folder / "thesis.tex").read_text() == "years of work"
    for _ in range(2):
        export_model(trained[0], "saved_model", made_dataset, tmp_path / "saved")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["precious", "saved", "saved.json"]


def test_a_folder_and_a_file_do_not_replace_each_other(trained, made_dataset, tmp_path, monkeypatch):
    (tmp_path / "x.tflite").mkdir()
    (tmp_path / "x").write_text("a file")
    monkeypatch.setattr("lwcnn.export.run.convert", None)  # it is told before the work
    with pytest.raises(LwcnnError, match="Give the path of a file. Received: .*x.tflite, a folder"):
        export_model(trained[0], "litert", made_dataset, tmp_path / "x.tflite")
    with pytest.raises(LwcnnError, match="Give the path of a folder. Received: .*x, a file"):
        export_model(trained[0], "saved_model", made_dataset, tmp_path / "x")


@pytest.mark.parametrize("content", ['{"accuracy": 0.9}', "[]", "no JSON"])
def test_a_report_replaces_only_a_report(trained, made_dataset, tmp_path, content):
    (tmp_path / "wren.json").write_text(content)
    with pytest.raises(LwcnnError, match="would replace another file. Received: .*wren.json"):
        export_model(trained[0], "onnx", made_dataset, tmp_path / "wren.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["wren.json"]
    assert (tmp_path / "wren.json").read_text() == content


def test_a_report_replaces_none_of_another_file(trained, made_dataset, tmp_path):
    for _ in range(2):
        export_model(trained[0], "litert", made_dataset, tmp_path / "wren.tflite")
    report = (tmp_path / "wren.json").read_bytes()
    with pytest.raises(LwcnnError, match="would replace another file. Received: .*wren.json"):
        export_model(trained[0], "onnx", made_dataset, tmp_path / "wren.onnx")
    assert (tmp_path / "wren.json").read_bytes() == report and not (tmp_path / "wren.onnx").exists()


def test_mistakes_are_told_in_words(trained, made_npz, made_dataset, tmp_path, capsys):
    path = str(trained[0])
    lines = [
        (["export", path, "--format=onnx"], "give it with --dataset"),
        (["export", path, "--format=onnx", "--dataset=digits"], "(28, 28, 1)"),
        (["export", path, "--format=onnx", f"--dataset={made_npz}", "--output=a.tflite"], "ending in .onnx"),
    ]
    for line, words in lines:
        assert main(line) == 1
        assert words in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["export", path, "--format=pickle"])
    with pytest.raises(LwcnnError, match="Did you mean 'onnx'"):
        export_model(path, "onxn", made_dataset, tmp_path / "x")


def test_missing_packages_and_backends_are_told(trained, made_dataset, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "tf2onnx", None)
        with pytest.raises(LwcnnError, match=r"package tf2onnx: pip install '.\[export\]' in a checkout"):
            export_model(trained[0], "onnx", made_dataset, tmp_path / "a.onnx")
        patch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
        patch.setattr("lwcnn.data.datasets.load_dataset", pytest.fail)  # said before any work
        assert main(["export", str(trained[0]), "--format=litert-int8", "--dataset=digits"]) == 1
        assert "Install the package ai-edge-litert" in capsys.readouterr().err
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(LwcnnError, match="KERAS_BACKEND=tensorflow.*Received: KERAS_BACKEND=jax"):
        to_litert(trained[1])


def test_the_library_needs_none_of_these_packages():
    script = """
import sys
for name in ("ai_edge_litert", "onnx", "onnxruntime", "tf2onnx"):
    sys.modules[name] = None
import lwcnn, lwcnn.cli.main
"""
    run_python(script)


def test_the_paper_s_mnist_model_in_int8(tmp_path):
    if not find_dataset("mnist") or not (ROOT / "models/mnist-paper.keras").exists():
        pytest.skip("MNIST is not at hand")
    line = ["export", str(ROOT / "models/mnist-paper.keras"), "--format=litert-int8"]
    assert main([*line, f"--output={tmp_path / 'm.tflite'}"]) == 0
    report = json.loads((tmp_path / "m.json").read_text())
    assert report["drop_points"] <= 0.3 and report["size_bytes"] < 30_000
    assert (report["input_scale"], report["input_zero_point"]) == (1.0, -128)
    assert report["num_calibration_images"] == 1000


def test_batches_of_an_exported_file_are_in_order():
    images = np.random.default_rng(0).integers(0, 256, (250, 2, 2, 1), dtype=np.uint8)
    sizes = []
    found = run_batches(lambda batch: sizes.append(len(batch)) or batch.reshape(len(batch), 4), images)
    np.testing.assert_array_equal(found, images.reshape(250, 4))
    assert sizes == [100, 100, 50] and found.dtype == np.float32
