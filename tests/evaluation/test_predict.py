"""Tests CSV predictions for folders, .npz files and datasets: unreadable images, errors, constant memory."""

import csv
import io
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from made_data import describe, make_images, randomize, write_npz
from PIL import Image
from scipy.special import softmax

from lwcnn.cli.main import main
from lwcnn.data import image_files, streams
from lwcnn.data.datasets import load_dataset
from lwcnn.data.image_files import find_images, read_image
from lwcnn.data.streams import find_inputs, read_class_list, stream_files
from lwcnn.evaluation.predict import class_names_of, predict_images, predict_logits, require_classes
from lwcnn.models.dual import build_merged_model
from lwcnn.models.io import save_model
from lwcnn.system.errors import LwcnnError
from lwcnn.system.safe_text import csv_cell

MODELS = Path(__file__).resolve().parents[2] / "models"
SHAPE = (12, 12, 3)
NAMES = ["zero, zero", "one", "two", "three"]


@pytest.fixture(scope="module")
def model():
    """Builds a model of one dense layer with a pattern per class, so that predictions differ between images."""
    image, dense = keras.Input(SHAPE), keras.layers.Dense(4)
    model = keras.Model(image, dense(keras.layers.Flatten()(image / 255.0 - 0.5)))
    dense.set_weights([0.05 * (make_images(4, SHAPE, 4)[0].reshape(4, -1).T / 255 - 0.5), np.zeros(4)])  # not certain
    return model


@pytest.fixture(scope="module")
def model_file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "mine.keras"
    model.save(path)
    return str(path)


@pytest.fixture
def names_file(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("\n".join(NAMES) + "\n")
    return f"--classes={path}"


@pytest.fixture
def folder(tmp_path):
    """Makes a folder with img0.png to img11.png and other files."""
    folder = tmp_path / "images"
    folder.mkdir()
    for i, image in enumerate(make_images(12, SHAPE, 4)[0]):
        Image.fromarray(image).save(folder / f"img{i}.png")
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").write_text("no image")
    return folder


def read_csv(path):
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


def wanted_rows(model, ids, images, names, temperature=1.0):
    rows = [["id", "label", "probability"]]
    for name, logits in zip(ids, predict_logits(model, images), strict=True):
        share = softmax(logits / temperature)
        rows.append([name, names[share.argmax()], f"{share.max():.4f}"])
    return rows


def test_one_image_several_a_pattern_and_a_folder(model, model_file, names_file, folder, monkeypatch, capsys):
    images = make_images(12, SHAPE, 4)[0]
    monkeypatch.chdir(folder)
    (folder / "sub").mkdir()
    (folder / "img9.png").rename(folder / "sub" / "two.png")
    (folder / "img8.png").rename(folder / "photo")  # named, it is read whatever it is called
    for inputs, found in (
        (["img3.png"], {"img3.png": 3}),
        (["img3.png", "photo"], {"img3.png": 3, "photo": 8}),
        (["img?.png"], {f"img{i}.png": i for i in range(8)}),
        (["img1.png", "sub"], {"img1.png": 1, "sub/two.png": 9}),
        (["[is][mu][gb]3.png", "s?b"], {"img3.png": 3, "sub/two.png": 9}),
    ):
        assert main(["predict", model_file, *inputs, names_file]) == 0
        said = capsys.readouterr()
        rows = wanted_rows(model, found, images[list(found.values())], NAMES)
        assert list(csv.reader(said.out.splitlines())) == rows and said.err == ""


def test_standard_input(model, model_file, names_file, folder, monkeypatch, capsys):
    line = ["predict", model_file, "-", names_file]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((folder / "img7.png").read_bytes())))
    assert main(line) == 0
    rows = wanted_rows(model, ["stdin"], make_images(12, SHAPE, 4)[0][7:8], NAMES)
    assert list(csv.reader(capsys.readouterr().out.splitlines())) == rows
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"no image")))
    assert main(line) == 1
    assert "Pipe one image file into standard input" in capsys.readouterr().err


def test_the_most_probable_classes_as_csv_and_json(model, model_file, names_file, folder, capsys):
    shares = softmax(predict_logits(model, make_images(12, SHAPE, 4)[0][3:4]), axis=1)[0]
    best = np.argsort(-shares)
    line = ["predict", model_file, str(folder / "img3.png"), names_file]
    assert main([*line, "--top=2"]) == 0
    rows = list(csv.reader(capsys.readouterr().out.splitlines()))
    assert rows[0] == ["id", "label", "probability", "label_2", "probability_2"]
    assert rows[1][1:] == [cell for k in best[:2] for cell in (NAMES[k], f"{shares[k]:.4f}")]
    assert main([*line, "--top=9", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert list(found.values())[1::2] == [NAMES[k] for k in best] and list(found)[-1] == "probability_4"
    np.testing.assert_allclose(list(found.values())[2::2], shares[best], atol=1e-6)


FLIPS = {"config": {"phases": [{"augmentation": {"horizontal_flip": True}}]}}


@pytest.mark.parametrize(
    "told, mirrored",
    [(FLIPS, True), (json.loads(json.dumps(FLIPS).replace("true", "false")), False), ({}, False), (None, False)],
)
def test_with_tta_the_mirror_image_counts_if_the_training_had_mirrored_images_and_else_tta_is_refused(
    model, names_file, folder, tmp_path, made_dataset, told, mirrored, capsys
):
    data = replace(made_dataset, class_names=tuple(NAMES))
    save_model(path := tmp_path / "own.keras", model, None if told is None else describe(data, **told))
    image = make_images(12, SHAPE, 4)[0][3:4]
    seen = [predict_logits(model, np.asarray(view)) for view in (image, image[:, :, ::-1])]
    shares = np.mean([softmax(logits, axis=1) for logits in seen], axis=0)[0]
    command = ["predict", str(path), str(folder / "img3.png"), names_file, "--tta"]
    if not mirrored:
        assert main(command) == 1 and "not trained on mirrored images" in capsys.readouterr().err
        return
    assert main(command) == 0
    (_, row) = csv.reader(capsys.readouterr().out.splitlines())
    assert row[1:] == [NAMES[shares.argmax()], f"{shares.max():.4f}"]


def test_floats_are_refused(model, monkeypatch):
    monkeypatch.setattr(model, "class_names", tuple(NAMES), raising=False)
    with pytest.raises(LwcnnError, match="as uint8, 0..255"):
        predict_images(model, make_images(2, SHAPE, 4)[0] / 255)


@pytest.mark.parametrize("images", [Image.new("RGB", (12, 12)), [np.zeros(SHAPE, "uint8")] * 2, None])
def test_images_are_paths_or_one_array(model, images):
    with pytest.raises(
        LwcnnError, match=r"such as numpy.stack\(images\). Received: (Image|ndarray in a list|NoneType)$"
    ):
        predict_images(model, images)


def test_a_tensor_is_an_array_of_images_and_one_image_is_not(model, monkeypatch):
    monkeypatch.setattr(model, "class_names", tuple(NAMES), raising=False)
    images = make_images(2, SHAPE, 4)[0]
    assert predict_images(model, keras.ops.convert_to_tensor(images)).equals(predict_images(model, images))
    for image in (images[0], np.zeros((40, 30, 3), np.uint8)):  # a photo of another size
        said = re.escape(f"of shape {SHAPE}; for a single one, image[np.newaxis]. Received: shape {image.shape}")
        with pytest.raises(LwcnnError, match=said):
            predict_images(model, image)


def test_an_empty_path_is_refused(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (12, 12)).save("a.png")
    with pytest.raises(LwcnnError, match="Received: an empty path"):
        predict_images(model, "")


@pytest.mark.parametrize("low, high", [(0.0, 1.0), (-1.0, 1.0), (-2.1, 2.6), (-1.0, 255.0)])
def test_scaled_and_standardized_pixels_are_refused(model, low, high):
    images = np.linspace(low, high, 2 * 12 * 12 * 3).reshape(2, *SHAPE)
    with pytest.raises(LwcnnError, match=f"Give pixels from 0 to 255, .* Received: float64 from {low:g} to {high:g}$"):
        predict_logits(model, images)


@pytest.mark.parametrize("convert", [lambda x: x.astype(np.uint16) * 257, lambda x: x * 257.0, lambda x: x > 127])
def test_pixels_of_other_ranges_are_refused_and_a_rounding_error_is_not(model, convert):
    images = make_images(2, SHAPE, 4)[0]
    with pytest.raises(LwcnnError, match="Give pixels from 0 to 255"):
        predict_logits(model, convert(images))
    with pytest.raises(LwcnnError, match="Give pixels from 0 to 255"):
        predict_logits(model, (images.astype(int) - 128).astype(np.int8))
    expected = predict_logits(model, images)
    np.testing.assert_allclose(predict_logits(model, 255.0 * (images / 255)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(16, 16, 3), (28, 28, 1)])
def test_an_npz_with_a_single_image_is_refused(tmp_path, shape):
    np.savez(tmp_path / "one.npz", x=np.zeros(shape, np.uint8))
    with pytest.raises(LwcnnError, match=r"for a single image, image\[np.newaxis\]"):
        streams.read_npz_images(tmp_path / "one.npz")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_no_numbers_are_refused(model, value):
    images = np.full((2, *SHAPE), 100.0)
    images[1, 0, 0, :2] = value
    with pytest.raises(LwcnnError, match="Give images without NaN and infinity. Received: 2 such values"):
        predict_logits(model, images)


def test_with_tta_digits_are_not_mirrored(tmp_path, capsys):
    digits = load_dataset("digits").x_test[:1]
    Image.fromarray(digits[0, :, :, 0]).save(path := tmp_path / "digit.png")
    assert main(["predict", str(MODELS / "cifar10-paper_tuned.keras"), str(path), "--tta"]) == 0
    assert main(["predict", str(MODELS / "mnist-paper_tuned.keras"), str(path), "--tta"]) == 1
    assert "was not trained on mirrored images" in capsys.readouterr().err


def test_from_python_as_a_table(model, folder, monkeypatch):
    monkeypatch.setattr(model, "class_names", tuple(NAMES), raising=False)
    images = make_images(12, SHAPE, 4)[0]
    table = predict_images(model, folder, top=2)
    assert list(table.columns) == ["image", "label", "probability", "label_2", "probability_2"]
    rows = wanted_rows(model, [f"img{i}.png" for i in range(12)], images, NAMES)[1:]
    assert [[*row[:2], f"{row[2]:.4f}"] for row in table.to_numpy()[:, :3]] == rows
    assert list(predict_images(model, images).label) == list(table.label)
    paths = np.array([str(folder / f"img{i}.png") for i in range(12)])
    assert list(predict_images(model, paths).label) == list(table.label)
    (folder / "img3.png").write_text("no image")
    with pytest.raises(LwcnnError, match="can be read .not an image, or damaged.. Received: .*img3.png"):
        predict_images(model, [folder / "img1.png", folder])
    with pytest.raises(LwcnnError, match="Give a Keras model.*lwcnn.load_model.*Received: 'wren'"):
        predict_images("wren", folder)
    with pytest.raises(LwcnnError, match="Give top as a number.*Received: '2'"):
        predict_images(model, folder, top="2")


def test_a_folder_in_its_natural_order(model, model_file, names_file, folder, tmp_path, capsys):
    output = tmp_path / "predictions.csv"
    assert main(["predict", model_file, str(folder), f"--output={output}", names_file]) == 0
    rows = wanted_rows(model, [f"img{i}.png" for i in range(12)], make_images(12, SHAPE, 4)[0], NAMES)
    assert read_csv(output) == rows
    assert {row[1] for row in rows[1:]} == set(NAMES)  # also the name with a comma
    said = capsys.readouterr()
    assert "12 images" in said.out and said.err == ""
    assert main(["predict", model_file, str(folder), "--output=-", names_file]) == 0
    assert capsys.readouterr().out == output.read_text() and not Path("-").exists()


def test_unreadable_images_are_listed_counted_and_left_out(model_file, names_file, folder, tmp_path, capsys):
    (folder / "img3.png").write_bytes((folder / "img3.png").read_bytes()[:100])
    (folder / "img7.png").write_text("no image")
    output = tmp_path / "predictions.csv"
    assert main(["predict", model_file, str(folder), f"--output={output}", names_file]) == 4
    assert [row[0] for row in read_csv(output)[1:]] == [f"img{i}.png" for i in range(12) if i not in (3, 7)]
    said = capsys.readouterr()
    listed = [line for line in said.err.splitlines() if line.startswith("unreadable: ")]
    assert len(listed) == 2 and "img3.png (" in listed[0] and "img7.png (" in listed[1]
    assert "10 images are in" in said.out


def test_nothing_is_written_where_nothing_can_be_read(model_file, names_file, folder, tmp_path, capsys):
    for path in folder.glob("img*.png"):
        path.write_text("no image")
    output = tmp_path / "predictions.csv"
    output.write_text("earlier")
    assert main(["predict", model_file, str(folder), f"--output={output}", names_file]) == 1
    assert output.read_text() == "earlier" and "Give at least one readable image" in capsys.readouterr().err
    assert [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []


def test_a_large_photo_is_averaged_over_all_its_pixels(tmp_path):
    """A JPEG may be decoded at half its size, but no smaller than needed."""
    stripes = np.zeros((960, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "photo.jpg", quality=95)
    image = read_image(tmp_path / "photo.jpg", (15, 10, 3))
    assert image.shape == (15, 10, 3) and np.all(np.abs(image.astype(int) - 127) < 6)


def test_kinds_of_images_become_those_of_the_model(tmp_path):
    gray = np.arange(144, dtype=np.uint8).reshape(12, 12)
    Image.fromarray(gray).save(tmp_path / "gray.png")
    Image.fromarray(gray.astype(np.uint16) * 256 + 7).save(tmp_path / "deep.png")
    deep = (gray.astype(np.uint16) * 256 + 7).astype(">u2").tobytes()
    (tmp_path / "deep.pgm").write_bytes(b"P5 12 12 65535\n" + deep)
    Image.fromarray(np.dstack([gray] * 4)).save(tmp_path / "clear.png")
    turned = Image.Exif()
    turned[0x0112] = 3  # by half a turn
    Image.fromarray(gray).save(tmp_path / "turned.png", exif=turned)
    seen = {name: image for names, images in read_all(tmp_path, (12, 12, 3)) for name, image in zip(names, images)}
    color = np.dstack([gray] * 3)
    for name in ("gray.png", "deep.png", "deep.pgm"):
        np.testing.assert_array_equal(seen[name], color, err_msg=name)
    opacity = color / 255  # of "clear": the same numbers
    np.testing.assert_allclose(seen["clear.png"], color * opacity + 255 * (1 - opacity), atol=1)
    np.testing.assert_array_equal(seen["turned.png"], color[::-1, ::-1])
    ((_, images),) = read_all(tmp_path, (12, 12, 1))
    np.testing.assert_array_equal(images[1, :, :, 0], gray)
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "float.tiff")
    reasons = []
    list(stream_files(find_images(tmp_path), SHAPE, lambda name, reason: reasons.append((name, reason))))
    assert len(reasons) == 1 and reasons[0][0] == "float.tiff" and "32 bits" in reasons[0][1]
    with pytest.raises(LwcnnError, match="with 1, 3 or 4 channels"):
        list(read_all(tmp_path, (12, 12, 2)))


def test_hidden_colors_are_shown_on_white_unless_the_model_takes_the_transparency(tmp_path):
    pixels = np.full((12, 12, 4), 60, np.uint8)
    pixels[:6, :, 3], pixels[6:, :, 3] = 0, 255
    Image.fromarray(pixels).save(tmp_path / "rgba.png")
    Image.fromarray(pixels[..., 2:]).save(tmp_path / "gray_alpha.png")
    Image.fromarray(pixels).quantize(4).save(tmp_path / "palette.png")
    ((_, images),) = read_all(tmp_path, SHAPE)
    for image in images:
        assert (image[:6] == 255).all() and (image[6:] == 60).all()
    ((names, images),) = read_all(tmp_path, (12, 12, 4))
    np.testing.assert_array_equal(images[names.index("rgba.png")], pixels)


@pytest.mark.parametrize("exif", [b"GARBAGE", b"Exif\0\0II*\0\x08\0\0\0\x02\0\x12\1\2\0\2\0\0\x006\0\0\0"])
def test_damaged_exif_data_leave_the_pixels_as_they_are(tmp_path, exif):
    Image.new("RGB", (12, 12), (9, 99, 199)).save(tmp_path / "a.png", exif=exif)
    ((_, images),) = read_all(tmp_path, SHAPE)
    assert (images == (9, 99, 199)).all()


def test_linked_folders_count_once_and_pipes_and_dead_links_are_told(tmp_path):
    folder, elsewhere = tmp_path / "in", tmp_path / "elsewhere"
    folder.mkdir(), elsewhere.mkdir()
    for path in (elsewhere / "a.jfif", folder / "b.jpe"):
        Image.new("RGB", (12, 12)).save(path, "JPEG")
    (folder / "linked").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder)
    os.mkfifo(folder / "pipe.png")
    (folder / "dead.png").symlink_to(tmp_path / "nowhere")
    told = []
    batches = list(stream_files(find_images(folder), SHAPE, lambda name, reason: told.append(name)))
    assert [names for names, _ in batches] == [["b.jpe", "linked/a.jfif"]] and sorted(told) == ["dead.png", "pipe.png"]


def test_odd_names_of_files_stay_apart_and_can_be_written(tmp_path):
    names = [b"caf\xe9.png", "café.jpg".encode(), "²x.png".encode(), "x٣.png".encode(), b"new\nline.png", b"=1+1.png"]
    for name in names:
        (tmp_path / os.fsdecode(name)).touch()
    found = find_images(tmp_path)
    assert len(found) == len(names)
    "".join(found).encode("utf-8")
    (tmp_path / "café.jpg").unlink()
    assert {"café.png", "²x.png", "new\nline.png", "=1+1.png"} < set(find_images(tmp_path))
    (tmp_path / "café.png").touch()  # readable as the name that is not UTF-8
    assert len(find_images(tmp_path)) == len(names)


@pytest.mark.parametrize(
    "text, cell",
    [
        *(("=1+1", "'=1+1"), ("@a", "'@a"), ("-x", "'-x"), ("+x", "'+x"), ("-5", "-5"), ("+1.5", "+1.5")),
        *(("a=b", "a=b"), ("a\r.png", "a\\r.png")),
    ],
)
def test_no_cell_is_a_formula_or_two_lines(text, cell):
    assert csv_cell(text) == cell


def test_a_list_of_classes_with_a_byte_order_mark_and_lists_that_are_none(tmp_path):
    path = tmp_path / "names.txt"
    path.write_bytes("\ufeffcat\r\n\r\n kő \r\n".encode())
    assert read_class_list(path) == ("cat", "kő")
    for content, said in ((b"", "one class name per line"), (b"a\na\n", "'a' more than once"), (b"\xe9", "UTF-8")):
        path.write_bytes(content)
        with pytest.raises(LwcnnError, match=f"{said}.*names.txt"):
            read_class_list(path)
    with pytest.raises(LwcnnError, match="give a regular file. Received: .*/dev/zero"):
        read_class_list("/dev/zero")


def read_all(folder, shape):
    return stream_files(find_images(folder), shape, pytest.fail)


def test_names_of_files(tmp_path):
    for name in ("b/2.png", "b/10.JPG", "1.png", "a.b.png", ".c/3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list(find_images(tmp_path)) == ["1.png", "a.b.png", "b/2.png", "b/10.JPG"]
    numbered = tmp_path / "numbered"
    numbered.mkdir()
    for name in ("10.png", "2.png"):
        (numbered / name).touch()
    assert list(find_images(numbered)) == ["2", "10"]  # the ids of a competition
    (numbered / "2.jpg").touch()
    assert list(find_images(numbered)) == ["2.jpg", "2.png", "10.png"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(LwcnnError, match="a folder with image files .*Received: .*empty"):
        find_inputs([str(tmp_path / "empty")])
    (tmp_path / "images.npz").touch()
    with pytest.raises(LwcnnError, match="an .npz file alone. Received: .*images.npz. among 2 inputs"):
        find_inputs([str(tmp_path / "a.b.png"), str(tmp_path / "images.npz")])


def test_an_npz_in_its_own_order_with_its_own_names(model, model_file, tmp_path):
    path = write_npz(tmp_path / "made.npz", SHAPE, 4, num_test=30)
    arrays = dict(np.load(path))
    np.savez_compressed(path, **arrays, class_names=NAMES, images=arrays["x_train"])
    output = tmp_path / "predictions.csv"
    assert main(["predict", model_file, str(path), f"--output={output}", f"--dataset={path}"]) == 0
    assert read_csv(output) == wanted_rows(model, map(str, range(30)), arrays["x_test"], NAMES)


def test_a_data_set_by_name(tmp_path):
    write_npz(tmp_path / "mnist.npz", (28, 28, 1), num_test=20)
    model = randomize(build_merged_model((28, 28, 1), 10))
    model.save(tmp_path / "any.keras")
    output = tmp_path / "predictions.csv"
    line = ["predict", str(tmp_path / "any.keras"), "mnist", "--dataset=mnist", f"--output={output}"]
    line.append(f"--data-dir={tmp_path}")
    assert main(line) == 0
    images = load_dataset("mnist", tmp_path).x_test
    assert read_csv(output) == wanted_rows(model, map(str, range(20)), images, "0123456789")


@pytest.mark.parametrize("inputs, wanted", [(["mnist"], "mnist"), (["mnist", "-"], None), (["-"], None)])
def test_a_data_set_is_predicted_by_the_weights_of_it(inputs, wanted, monkeypatch, capsys):
    def find(model, dataset):
        raise LwcnnError(f"{model} on {dataset}")

    monkeypatch.setattr("lwcnn.experiments.shipped.model_file", find)
    assert main(["predict", "wren-15k", *inputs]) == 1
    assert f"wren-15k on {wanted}" in capsys.readouterr().err
    assert main(["predict", "wren-15k", *inputs, "--dataset=cifar10"]) == 1
    assert "wren-15k on cifar10" in capsys.readouterr().err


def test_names_are_given_once(model_file, names_file, folder, capsys):
    line = ["predict", str(model_file), str(folder), f"--classes={names_file}", "--dataset=cifar10"]
    assert main(line) == 1
    assert "with --dataset or with --classes. Received: both" in capsys.readouterr().err


def test_names_of_classes_from_a_folder_of_few_images(model, model_file, folder, made_dataset, tmp_path, capsys):
    for name in "dbca":
        (tmp_path / "few" / name).mkdir(parents=True)
        (folder / f"img{'abcd'.index(name)}.png").rename(tmp_path / "few" / name / "1.png")
    line, images = [str(folder / "img7.png"), f"--dataset={tmp_path / 'few'}"], make_images(12, SHAPE, 4)[0]
    assert main(["predict", model_file, *line]) == 0
    rows = wanted_rows(model, [line[0]], images[7:8], "abcd")
    assert list(csv.reader(capsys.readouterr().out.splitlines())) == rows
    save_model(path := tmp_path / "own.keras", model, describe(replace(made_dataset, class_names=tuple("dcba"))))
    assert main(["predict", str(path), *line]) == 1
    assert "in the same order: d, c, b, a. Received: a, b, c, d, the classes of" in capsys.readouterr().err


@pytest.mark.parametrize("images", ["FOLDER", "cifar10", "FILE"])
def test_the_model_file_tells_the_classes_whatever_the_images_are(tmp_path, folder, made_dataset, images):
    """Class names come neither from the file's name nor from the images' dataset."""
    path, output = tmp_path / "cifar10-paper.keras", tmp_path / "predictions.csv"
    names = tuple(f"class {k}" for k in range(10))
    save_model(path, build_merged_model(SHAPE, 10), describe(replace(made_dataset, class_names=names)))
    write_npz(tmp_path / "cifar10.npz", (32, 32, 3), num_test=20)
    np.savez(tmp_path / "own.npz", x_test=np.zeros((3, *SHAPE), np.uint8), class_names=np.array(list("abcdefghij")))
    if images == "cifar10":
        save_model(path, build_merged_model((32, 32, 3), 10), describe(replace(made_dataset, class_names=names)))
    given = {"FOLDER": str(folder), "FILE": str(tmp_path / "own.npz")}.get(images, images)
    assert main(["predict", str(path), given, f"--output={output}", f"--data-dir={tmp_path}"]) == 0
    rows = read_csv(output)[1:]
    assert rows and {row[1] for row in rows} <= set(names)


@pytest.mark.parametrize(
    "more, said",
    [
        (["IMAGES"], "does not name its classes: give its dataset with --dataset"),
        (["IMAGES", "--dataset=cifar10"], "each of the model's 4 classes.*Received: 10 names"),
        (["IMAGES", "--classes=no/names.txt"], "no/names.txt"),
        (["IMAGES", "--dataset=digits"], "Received: 10 names"),
    ],
)
def test_mistakes_are_told_in_words(model_file, folder, names_file, tmp_path, more, said, capsys):
    paths = {"IMAGES": str(folder), "NAMES": names_file}
    output = tmp_path / "predictions.csv"
    assert main(["predict", model_file, *(paths.get(word, word) for word in more), f"--output={output}"]) == 1
    error = capsys.readouterr().err

    assert re.search(said, error) and "Traceback" not in error and not output.exists()


def test_arrays_of_another_size_become_that_of_the_model_as_image_files_do(model, model_file, names_file, tmp_path):
    images, output = np.random.default_rng(0).integers(0, 256, (3, 9, 7), dtype=np.uint8), tmp_path / "predictions.csv"
    np.savez(tmp_path / "gray.npz", images=images)
    assert main(["predict", model_file, str(tmp_path / "gray.npz"), f"--output={output}", names_file]) == 0
    files = [tmp_path / "files" / f"{number}.png" for number in range(3)]
    files[0].parent.mkdir()
    for file, image in zip(files, images):
        Image.fromarray(image).save(file)
    found = predict_images(model, list(map(str, files)))
    rows = [[NAMES[int(row.label)], f"{row.probability:.4f}"] for row in found.itertuples()]
    assert [row[1:] for row in read_csv(output)[1:]] == rows


def test_calibrated_probabilities_are_those_of_the_logits_divided_by_the_temperature(
    model, model_file, names_file, made_dataset, folder, tmp_path, monkeypatch, capsys
):
    path = tmp_path / "calibrated.keras"
    save_model(path, model, describe(made_dataset, temperature=2.0))
    monkeypatch.chdir(folder)
    assert main(["predict", str(path), "img3.png", names_file, "--calibrated"]) == 0
    calibrated = list(csv.reader(capsys.readouterr().out.splitlines()))
    image = make_images(12, SHAPE, 4)[0][3:4]
    assert (
        calibrated
        == wanted_rows(model, ["img3.png"], image, NAMES, 2.0)
        != wanted_rows(model, ["img3.png"], image, NAMES)
    )
    assert main(["predict", model_file, "img3.png", names_file, "--calibrated"]) == 1
    assert "no temperature" in capsys.readouterr().err


def test_arrays_stay_as_they_are_for_a_model_of_any_size(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 9, 7, 1), dtype=np.uint8)
    np.savez(tmp_path / "gray.npz", images=images)
    layers = [keras.Input((None, None, 1)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
    model = keras.Sequential(layers)
    for given in (str(tmp_path / "gray.npz"), images):
        labels = predict_images(model, given)["label"].astype(int).tolist()
        assert labels == predict_logits(model, images).argmax(1).tolist()


def test_arrays_of_another_kind_are_refused(model_file, names_file, tmp_path, capsys):
    path, output = tmp_path / "images.npz", tmp_path / "predictions.csv"
    for arrays, said in [
        ({"images": np.zeros((3, 9, 9, 2), np.uint8)}, "(3, 9, 9, 2)"),
        ({"images": np.zeros((3, *SHAPE))}, "as uint8"),
        ({"pictures": np.zeros((3, *SHAPE), np.uint8)}, "keys pictures"),
    ]:
        np.savez(path, **arrays)
        assert main(["predict", model_file, str(path), f"--output={output}", names_file]) == 1
        assert said in capsys.readouterr().err and not output.exists()
    np.savez(path, images=np.random.default_rng(0).integers(0, 256, (50, *SHAPE), dtype=np.uint8))
    data = bytearray(path.read_bytes())
    data[5_000] ^= 1
    path.write_bytes(data)  # only the checksum, at the very end, tells
    assert main(["predict", model_file, str(path), f"--output={output}", names_file]) == 1
    assert "corrupt" in capsys.readouterr().err and not output.exists()


def test_files_are_read_as_they_are_wanted(folder, monkeypatch):
    opened = []
    monkeypatch.setattr(image_files, "read_image", lambda path, shape: opened.append(path) or read_image(path, shape))
    monkeypatch.setattr(streams, "images_at_once", lambda shape: 4)
    batches = stream_files(find_images(folder), SHAPE, pytest.fail)
    next(batches)
    assert len(opened) == 4


@pytest.mark.parametrize(
    "own, names, refused",
    [
        (NAMES, NAMES[::-1], True),
        (NAMES, [*NAMES[:3], "four"], True),
        (NAMES, NAMES, False),
        (NAMES, list("0123"), False),
        (["10", "20", "50", "100"], ["10", "20", "50", "200"], True),
        (list("0123"), list("0132"), True),
    ],
)
def test_evaluation_needs_the_classes_of_the_model_in_their_order(
    model, made_dataset, tmp_path, own, names, refused, capsys
):
    data, path = replace(made_dataset, class_names=tuple(own)), tmp_path / "own.keras"
    save_model(path, model, describe(data))
    images, labels = make_images(40, SHAPE, 4)
    np.savez(
        tmp_path / "d.npz", x_train=images, y_train=labels, x_test=images[:8], y_test=labels[:8], class_names=names
    )
    assert main(["evaluate", str(path), f"--dataset={tmp_path / 'd.npz'}"]) == refused
    told = capsys.readouterr().err
    assert (f"in the same order: {', '.join(own)}. Received: {', '.join(names)}" in told) == refused


@pytest.mark.parametrize("own, given", [(("ant", "bee", "cat", "dog"), tuple("0123")), (tuple("0123"), tuple("wxyz"))])
def test_names_win_over_numbers(model, made_dataset, tmp_path, own, given):
    save_model(path := tmp_path / "own.keras", model, describe(replace(made_dataset, class_names=own)))
    data = replace(made_dataset, class_names=given)
    assert "".join(class_names_of(path, data)) in ("antbeecatdog", "wxyz")


def test_names_that_are_taken_for_mere_labels_are_told(model, made_dataset, tmp_path, caplog):
    save_model(path := tmp_path / "labels.keras", model, describe(replace(made_dataset, class_names=tuple("0123"))))
    require_classes(path, tuple("0123"), "pets")
    assert caplog.messages == []
    require_classes(path, ("ant", "bee", "cat", "dog"), "pets")
    assert caplog.messages == [f"Assuming that the classes of {path}, 0, 1, 2, 3, are ant, bee, cat, dog"]


def test_names_and_unreadable_files_are_those_of_their_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "images_at_once", lambda shape: 2)
    files = {}
    for i in range(5):
        files[f"{i}.png"] = tmp_path / f"{i}.png"
        Image.fromarray(np.full((4, 4, 3), 10 * i, np.uint8)).save(files[f"{i}.png"])
    files["3.png"].write_bytes(b"no image")
    unreadable = []
    batches = streams.stream_files(files, (4, 4, 3), lambda name, reason: unreadable.append(name))
    seen = [(name, int(image[0, 0, 0])) for names, images in batches for name, image in zip(names, images, strict=True)]
    assert seen == [("0.png", 0), ("1.png", 10), ("2.png", 20), ("4.png", 40)]
    assert unreadable == ["3.png"]
