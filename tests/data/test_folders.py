"""Tests datasets from folders of images: layouts, sizes, kinds of files, the drawn test images, and the cache."""

import errno
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lwcnn.data import folders, image_files
from lwcnn.data.datasets import load_dataset, load_unseen
from lwcnn.data.folders import read_folder
from lwcnn.data.image_files import NUM_COPIES, read_image, read_images, resize_images
from lwcnn.data.splits import join_hashes
from lwcnn.system.errors import LwcnnError, Unavailable

COLORS = {"cat": (200, 30, 30), "dog": (30, 30, 200)}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


def paint(path, color, number=0, size=(12, 8), **settings):
    """Saves an image of one color, whose number makes it different from others; `size` is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shade = tuple(min(255, value + number) for value in color) if isinstance(color, tuple) else color + number
    Image.new("L" if isinstance(color, int) else "RGB", size, shade).save(path, **settings)


def fill(folder, count=5, size=(12, 8)):
    for name, color in COLORS.items():
        for number in range(count):
            paint(folder / name / f"{number}.png", color, number, size)
    return folder


def test_subfolders_are_classes_and_a_fifth_of_each_becomes_test_images(tmp_path):
    data = load_dataset(fill(tmp_path / "pets", count=10))
    assert data.name == f"pets-{data.checksum[:8]}" and data.source == "pets"
    assert data.class_names == ("cat", "dog") and data.input_shape == (8, 12, 3) and data.mirror
    for images, labels, count in ((data.x_train, data.y_train, 8), (data.x_test, data.y_test, 2)):
        np.testing.assert_array_equal(np.bincount(labels), [count, count])
        np.testing.assert_array_equal(images[:, 0, 0, 2] > images[:, 0, 0, 0], labels == 1)


def test_gray_images_are_not_mirrored_even_with_three_channels(tmp_path):
    for number in range(10):
        paint(tmp_path / "scans" / "ab"[number % 2] / f"{number}.png", 20 * number)
    for size in (None, 16, (16, 16, 3)):
        assert not load_dataset(tmp_path / "scans", size=size).mirror
    assert load_dataset(fill(tmp_path / "pets"), size=(16, 16, 3)).mirror


def test_the_test_images_are_the_same_at_any_size(tmp_path):
    fill(tmp_path / "pets", count=10)
    drawn = []
    for size in (8, 40):
        data = load_dataset(tmp_path / "pets", size=size)
        drawn.append(sorted(image[0, 0].tolist() for image in data.x_test))
    assert drawn[0] == drawn[1] and len(drawn[0]) == 4


def test_train_may_be_the_name_of_a_class(tmp_path):
    fill(tmp_path / "vehicles")
    (tmp_path / "vehicles" / "dog").rename(tmp_path / "vehicles" / "train")
    assert load_dataset(tmp_path / "vehicles").class_names == ("cat", "train")


@pytest.mark.parametrize("beside", ["test", "Val", "test/unsorted"])
@pytest.mark.parametrize("place", ["", "train"])
def test_val_and_test_are_no_classes(tmp_path, place, beside):
    """Images to predict later, or the parts of a competition, whose file names tell the class."""
    pets = tmp_path / "pets"
    if place:
        paint(pets / place / "cat.1.png", (1, 2, 3)), paint(pets / place / "dog.1.png", (3, 2, 1))
    else:
        fill(pets)
    paint(pets / beside / "1.png", (9, 9, 9))
    with pytest.raises(LwcnnError, match="Put the images of each class into a subfolder"):
        load_dataset(pets)


def test_images_seen_are_for_calibration_and_the_others_for_the_test(tmp_path):
    pets = fill(tmp_path / "pets", count=15)
    images = read_folder(pets, None).train[0]
    for number, expected in ((0, (30, 30)), (9, (30, 21)), (10, (10, 20)), (16, (16, 14)), (30, (30, 30))):
        data = load_unseen(pets, None, ("cat", "dog"), join_hashes(images[:number]))
        assert (len(data.x_train), len(data.x_test)) == expected, number


def test_numbers_are_names_of_classes_unless_they_are_the_labels(tmp_path):
    coins = fill(tmp_path / "coins")
    found = {}
    for names in (("0", "1"), ("1", "2"), ("10", "20")):
        for old, new in zip(sorted(coins.iterdir()), names):
            old.rename(tmp_path / f"coins {new}")
        for new in names:
            (tmp_path / f"coins {new}").rename(coins / new)
        found[names] = load_dataset(coins)
        assert found[names].class_names == names
    assert len({data.checksum for data in found.values()}) == len({data.name for data in found.values()}) == 3
    labeled = found["0", "1"]
    arrays = (labeled.x_train, labeled.y_train), (labeled.x_test, labeled.y_test)
    assert load_dataset(arrays).checksum == labeled.checksum
    for own, names, labels in (
        (("5", "10", "20"), ("5", "10", "20"), [1, 2]),
        (("0", "1"), ("10", "20"), [0, 1]),
        (tuple(map(str, range(30))), tuple(map(str, range(30))), [10, 20]),
    ):
        unseen = load_unseen(coins, None, own, "")
        assert unseen.class_names == names and np.unique(unseen.y_test).tolist() == labels
    with pytest.raises(LwcnnError, match="Give images of the model's classes, 10, 50. Received: 20 .in '"):
        load_unseen(coins, None, ("10", "50"), "")


def test_the_split_depends_on_the_images_only(tmp_path):
    fill(tmp_path / "a"), fill(tmp_path / "b")
    for number, path in enumerate(sorted((tmp_path / "b").glob("*/*.png"), reverse=True)):
        path.rename(path.with_name(f"{number} renamed.png"))
    first, second = load_dataset(str(tmp_path / "a")), load_dataset(tmp_path / "b")
    assert first.checksum == second.checksum


def test_an_image_in_two_classes_is_named(tmp_path, caplog):
    pets = fill(tmp_path / "pets", count=8)
    shutil.copy(pets / "cat" / "2.png", pets / "dog" / "10.png")
    for _ in range(2):  # from the files, then from the cache
        load_dataset(pets)
    told = "Images under more than one class: 1 (cat/2.png and dog/10.png). Keep each in one class."
    assert caplog.messages == [told, told]
    shutil.copy(pets / "cat" / "3.png", pets / "dog" / "11.png")
    load_dataset(pets)
    assert ".png, ...). Keep" in caplog.messages[-1]
    (pets / "dog" / "12.png").write_bytes(b"not readable")  # so which array is of which file is not known
    caplog.clear()
    load_dataset(pets)
    assert caplog.messages[1:] == ["Images under more than one class: 2. Keep each in one class."]


def test_an_image_in_both_parts_is_named(tmp_path, caplog):
    fill(tmp_path / "train", count=4)
    paint(tmp_path / "test" / "cat" / "new.png", COLORS["cat"], 9)
    shutil.copy(tmp_path / "train" / "dog" / "2.png", tmp_path / "test" / "cat")
    load_dataset(tmp_path)
    both, _ = caplog.messages
    assert "Images in both parts: 1 of 2 test images (train/dog/2.png and test/cat/2.png)." in both


def test_copies_of_an_image_never_stand_on_both_sides(tmp_path):
    fill(tmp_path / "pets", count=6)
    for number in range(6):
        for copy in range(3):
            paint(tmp_path / "pets" / "cat" / f"{number} copy {copy}.png", COLORS["cat"], number)
    data = load_dataset(tmp_path / "pets")
    training, test = ({image.tobytes() for image in images} for images in (data.x_train, data.x_test))
    assert len(training) + len(test) == 12 and len(data.x_train) + len(data.x_test) == 30


@pytest.mark.parametrize(
    "parts, counts",
    [
        (("train", "test"), (10, 10)),
        (("Training", "validation"), (10, 10)),
        (("train", "val", "test"), (20, 10)),
        (("train",), (8, 2)),
        (("train", "test/unlabeled"), (8, 2)),
    ],
)
@pytest.mark.parametrize("beside", [".ipynb_checkpoints", "__MACOSX", "$RECYCLE.BIN"])
def test_layouts(tmp_path, parts, counts, beside):
    paint(tmp_path / beside / "1.png", (9, 9, 9))
    for offset, part in enumerate(parts):
        if part == "test/unlabeled":
            paint(tmp_path / "test" / "1.png", (9, 9, 9))
            continue
        for name, color in COLORS.items():
            for number in range(5):
                paint(tmp_path / part / name / f"{number}.png", color, 10 * offset + number)
    data = load_dataset(tmp_path)
    assert (len(data.x_train), len(data.x_test)) == counts


def fill_three_parts(folder):
    """Images of two classes, whose red is 0 to 4, 50 to 52 and 100 to 103 in the three parts."""
    for place, (part, count) in enumerate({"train": 5, "val": 3, "test": 4}.items()):
        for label, name in enumerate(COLORS):
            for number in range(count):
                paint(folder / part / name / f"{number}.png", (50 * place, 100 * label, 0), number)
    return folder


def test_of_three_parts_each_has_its_use(tmp_path):
    data = load_dataset(fill_three_parts(tmp_path))
    assert sorted(data.x_train[:, 0, 0, 0] // 50) == [0] * 10 + [1] * 6
    assert list(data.x_test[:, 0, 0, 0] // 50) == [2] * 8
    for images, labels in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        np.testing.assert_array_equal(images[:, 0, 0, 1] // 100, labels)
    for size in (None, None, 6):  # from the files, from the cache, resized
        again = load_dataset(tmp_path, size=size)
        np.testing.assert_array_equal(again.is_validation, again.x_train[:, 0, 0, 0] // 50 == 1)
    drawn = load_dataset(((data.x_train, data.y_train), (data.x_test, data.y_test)))
    assert drawn.is_validation is None and load_unseen(tmp_path / "train", None, (), "").is_validation is None
    shutil.rmtree(tmp_path / "test")
    data = load_dataset(tmp_path)
    assert len(data.x_test) == 6 and data.is_validation is None, "now they are the test images"


def test_the_checksum_covers_which_images_are_for_validation(tmp_path):
    pets = fill_three_parts(tmp_path / "pets")
    shutil.copytree(pets, tmp_path / "drawn" / "pets")
    shutil.copytree(pets, tmp_path / "other" / "pets")
    for path in sorted((tmp_path / "drawn").glob("pets/val/*/*")):
        path.rename(path.parents[2] / "train" / path.parent.name / f"more {path.name}")
    (tmp_path / "other" / "pets" / "val" / "cat" / "0.png").rename(tmp_path / "other/pets/train/cat/9.png")
    one, drawn, other = (load_dataset(folder) for folder in (pets, tmp_path / "drawn/pets", tmp_path / "other/pets"))
    for data in (drawn, other):
        np.testing.assert_array_equal(data.x_train, one.x_train)
    assert len({data.checksum for data in (one, drawn, other)}) == len({data.name for data in (one, drawn, other)}) == 3
    assert drawn.is_validation is None and other.is_validation.sum() == 5


def test_copies_of_a_validation_image_are_for_validation(tmp_path):
    fill_three_parts(tmp_path)
    shutil.copy(tmp_path / "val" / "cat" / "1.png", tmp_path / "train" / "cat" / "copy.png")
    data = load_dataset(tmp_path)
    np.testing.assert_array_equal(data.is_validation, data.x_train[:, 0, 0, 0] // 50 == 1)
    assert data.is_validation.sum() == 7 and len(data.x_train) == 17


def test_validation_images_that_cannot_be_read_are_left_out(tmp_path):
    fill_three_parts(tmp_path)
    for part in ("train", "val"):
        (tmp_path / part / "cat" / "1.png").write_text("no image")
    data = load_dataset(tmp_path)
    np.testing.assert_array_equal(data.is_validation, data.x_train[:, 0, 0, 0] // 50 == 1)
    assert data.is_validation.sum() == 5 and len(data.x_train) == 14
    for path in (tmp_path / "val").glob("*/*"):
        path.write_text("no image")
    with pytest.raises(LwcnnError, match="that can be read into the validation folder, or remove it. Received: no"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_upright(tmp_path, orientation):
    """The eight orientations of the EXIF standard; the stored pixels have 3 rows and 4 columns."""
    stored = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    upright = {
        1: stored,
        2: np.fliplr(stored),
        3: np.rot90(stored, 2),
        4: np.flipud(stored),
        5: stored.T,
        6: np.rot90(stored, -1),
        7: np.rot90(stored, 2).T,
        8: np.rot90(stored),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    shape = image_files.choose_shape([tmp_path / "a.png"], None)
    assert shape == (*upright.shape, 1)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", shape)[..., 0], upright)


def test_resized_images_keep_their_rows_and_columns(tmp_path):
    quadrants = np.array([[0, 80], [160, 240]], np.uint8)
    Image.fromarray(quadrants.repeat(20, axis=0).repeat(12, axis=1)).save(tmp_path / "a.png")  # 40x24 pixels
    found = read_image(tmp_path / "a.png", (20, 12, 1))[..., 0]
    np.testing.assert_array_equal(found[np.ix_([2, 17], [2, 9])], quadrants)


def test_sizes_become_the_median_or_the_chosen_one(tmp_path):
    fill(tmp_path / "pets", size=(12, 8))
    turned = Image.Exif()
    turned[0x0112] = 6  # by a quarter: 8 x 12 pixels are shown as 12 x 8
    paint(tmp_path / "pets" / "cat" / "turned.jpg", COLORS["cat"], 50, (8, 12), exif=turned)
    paint(tmp_path / "pets" / "cat" / "large.webp", COLORS["cat"], 50, (900, 300))
    assert load_dataset(tmp_path / "pets").input_shape == (8, 12, 3)
    for size, shape in ((16, (16, 16, 3)), ((9, 7), (9, 7, 3)), ((9, 7, 1), (9, 7, 1))):
        assert load_dataset(tmp_path / "pets", size=size).input_shape == shape


def test_a_large_median_is_reduced_and_gray_images_stay_gray(tmp_path, caplog):
    for name, level in (("night", 20), ("day", 180)):
        for number in range(4):
            paint(tmp_path / name / f"{number}.png", level, number, (300, 200))
    data = load_dataset(tmp_path)
    assert data.input_shape == (64, 96, 1) and not data.mirror
    assert caplog.messages == [
        "The images, of median size 200x300, are reduced to 64x96; choose another size with --size, or size= in Python"
    ]
    assert load_dataset(tmp_path, mirror=True).mirror
    paint(tmp_path / "day" / "color.png", (1, 2, 3))
    assert load_dataset(tmp_path).input_shape == (64, 96, 3)
    assert "8 of 9 images are stored as gray, the others in color: the network gets three" in caplog.text


def test_images_of_12_of_16_bits_are_warned_of_once(tmp_path, caplog):
    image_files._warn_of_dark_images.cache_clear()
    for i in range(3):
        Image.fromarray(np.full((4, 4), 40 << 8, np.uint16)).save(tmp_path / f"{i}.png")
    assert read_image(tmp_path / "0.png", (4, 4, 1)).max() == 40 and not caplog.messages
    for i in range(3):
        Image.fromarray(np.full((4, 4), 4095, np.uint16)).save(tmp_path / f"{i}.png")
    assert {read_image(tmp_path / f"{i}.png", (4, 4, 1)).max() for i in range(3)} == {15}
    (message,) = caplog.messages
    assert "no value above 4095 and is read as nearly black" in message


def test_a_class_without_images_is_told_and_is_no_class(tmp_path, caplog):
    pets = fill(tmp_path / "pets")
    (pets / "fish").mkdir()
    assert load_dataset(pets).class_names == ("cat", "dog")
    assert caplog.messages == ["Left out subfolders without images: fish"]


def test_what_lies_beside_the_classes_is_told_and_left_out(tmp_path, caplog):
    pets = fill(tmp_path / "pets")
    paint(pets / "stray.png", (1, 2, 3))
    (pets / "notes.txt").write_text("no image")
    assert load_dataset(pets).class_names == ("cat", "dog")
    assert caplog.messages == ["Left out files and folders outside the class folders: stray.png"]
    caplog.clear()
    split = tmp_path / "split"
    for part in ("train", "test"):
        shutil.copytree(pets, split / part)
    shutil.copytree(pets / "cat", split / "more" / "cat")
    (split / "notes").mkdir()
    (split / "train" / "fish").mkdir()
    assert load_dataset(split).class_names == ("cat", "dog")
    assert caplog.messages[:2] == [
        "Left out subfolders without images: train/fish",
        "Left out files and folders outside the class folders: more, notes, test/stray.png and 1 more",
    ]


def test_what_cannot_be_read_is_named_and_left_out(tmp_path, caplog):
    pets = fill(tmp_path / "pets")
    for name in ("broken0.heic", "broken1.AVIF", "broken2.jp2", "broken3.jpg"):
        (pets / "cat" / name).write_text("no image")
    (pets / "dog" / "dead.png").symlink_to(tmp_path / "nowhere")
    (pets / "dog" / "notes.txt").write_text("no image")
    (pets / "__MACOSX").mkdir()
    (pets / "__MACOSX" / "._1.png").write_text("no image")
    for _ in range(2):
        caplog.clear()
        data = load_dataset(pets)
        assert len(data.x_train) + len(data.x_test) == 10
        assert caplog.messages == [
            "Left out unreadable images, 5 of 15: cat/broken0.heic (not an image, or damaged); cat/broken1.AVIF (not "
            "an image, or damaged); cat/broken2.jp2 (not an image, or damaged); ..."
        ]


@pytest.mark.parametrize("name", COLORS)
def test_a_class_without_readable_images_is_named(tmp_path, name):
    pets = fill(tmp_path / "pets")
    paint(pets / "hen" / "1.png", 9), paint(pets / "hen" / "2.png", 8), paint(pets / "hen" / "3.png", 7)
    for path in (pets / name).iterdir():
        path.write_text("no image")
    with pytest.raises(
        LwcnnError, match=f"to every class. Received: no training image of class {name} \\(in .*pets'\\)"
    ):
        load_dataset(pets)


def test_what_became_readable_is_read(tmp_path, monkeypatch):
    pets, read = fill(tmp_path / "pets"), image_files.read_image

    def fail(path, shape):
        if path.name == "3.png":
            raise OSError(errno.EACCES, "Permission denied")
        return read(path, shape)

    with monkeypatch.context() as patch:
        patch.setattr(image_files, "read_image", fail)
        patch.setattr("os.access", lambda path, mode: path.name != "3.png")
        assert len(load_dataset(pets).x_train) == 6
    assert len(load_dataset(pets).x_train) == 8


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "Input/output error"), OSError(errno.ENOTCONN, ""), MemoryError()]
)
@pytest.mark.parametrize("place", ["PIL.Image.open", "PIL.ImageFile.ImageFile.load"])
def test_an_error_that_may_pass_does_not_make_another_dataset(error, place, tmp_path, monkeypatch):
    pets = fill(tmp_path / "pets")

    def fail(*_):
        raise error

    with monkeypatch.context() as patch, pytest.raises(Unavailable, match="Try again: .*Received: '.*/cat/0.png'"):
        patch.setattr(place, fail)
        load_dataset(pets)
    assert len(load_dataset(pets).x_train) == 8


def test_resized_images_are_all_there_or_none(monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr("PIL.Image.Image.resize", fail)
    with pytest.raises(Unavailable):
        resize_images(np.zeros((10, 8, 8, 3), np.uint8), 64)


def test_thumbnails_of_a_server_are_no_images(tmp_path):
    pets = fill(tmp_path / "pets")
    shutil.copytree(pets / "cat", pets / "cat" / "@eaDir" / "thumbnails")
    data = load_dataset(pets)
    assert len(data.x_train) + len(data.x_test) == 10


@pytest.mark.parametrize(
    ("training", "test"),
    [("training_set", "test_set"), ("train", "test1"), ("seg_train", "seg_test"), ("traindata", "testset")],
)
def test_parts_under_other_names_are_no_classes(training, test, tmp_path):
    made = fill(tmp_path / "made")
    for part in (training, test):
        shutil.copytree(made / "cat" if training == "train" else made, tmp_path / "pets" / part)
    with pytest.raises(LwcnnError, match=f"a subfolder of `train`.*Received: {test} among the classes"):
        load_dataset(tmp_path / "pets")


def test_one_damaged_image_does_not_keep_the_others_from_the_cache(tmp_path, monkeypatch):
    pets, read, calls = fill(tmp_path / "pets"), folders.read_images, []
    (pets / "cat" / "9.png").write_bytes(b"")
    monkeypatch.setattr(folders, "read_images", lambda *args: calls.append(1) or read(*args))
    assert load_dataset(pets).checksum == load_dataset(pets).checksum and len(calls) == 1
    paint(pets / "cat" / "9.png", COLORS["cat"], 44)
    assert len(load_dataset(pets).x_train) == 9 and len(calls) == 2


def test_a_fourth_channel_is_resized_like_the_others():
    images = np.full((1, 8, 8, 4), (100, 200, 200, 2), np.uint8)
    assert (resize_images(images, 4) == images[:, :4, :4]).all()
    colors = np.random.default_rng(0).integers(0, 256, (3, 9, 7, 3), np.uint8)
    as_one = [Image.fromarray(one).resize((5, 4), Image.Resampling.BILINEAR) for one in colors]
    np.testing.assert_array_equal(resize_images(colors, (4, 5)), np.stack(as_one))


def test_an_image_that_is_left_out_does_not_give_gray_images_colors(tmp_path):
    for name in ("cat", "dog"):
        for number in range(4):
            paint(tmp_path / name / f"{number}.png", 40 * number + (name == "dog"))
    Image.fromarray(np.zeros((8, 8), np.float32)).save(tmp_path / "cat" / "9.tif")
    assert load_dataset(tmp_path).input_shape[2] == 1


def test_a_second_time_the_arrays_come_from_one_file_unless_an_image_changed(tmp_path, monkeypatch):
    pets, read, calls = fill(tmp_path / "pets"), folders.read_images, []
    monkeypatch.setattr(folders, "read_images", lambda *args: calls.append(1) or read(*args))
    first = load_dataset(pets)
    assert load_dataset(pets).checksum == first.checksum and len(calls) == 1
    paint(pets / "cat" / "0.png", COLORS["cat"], 44)
    assert load_dataset(pets).checksum != first.checksum and len(calls) == 2
    (cached,) = (tmp_path / "keras" / "datasets" / "folders").iterdir()
    cached.write_bytes(b"half")
    load_dataset(pets)
    (pets / "cat" / "0.png").unlink()
    assert len(load_dataset(pets).x_train) == 7 and len(calls) == 4
    load_dataset(pets, size=20)
    assert len(calls) == 5, "another size is not enlarged from the cache"


def test_arrays_that_were_not_used_for_a_month_are_deleted_when_others_are_kept(tmp_path):
    load_dataset(fill(tmp_path / "old")), load_dataset(fill(tmp_path / "recent"))
    cache = tmp_path / "keras" / "datasets" / "folders"
    for name, days in (("old", 31), ("recent", 29)):
        (kept,) = cache.glob(f"{name}-*")
        os.utime(kept, (time.time() - days * 86_400, 0))
    load_dataset(fill(tmp_path / "new"))
    assert sorted(path.name.split("-")[0] for path in cache.iterdir()) == ["new", "recent"]


def test_mistakes_are_told_in_words(tmp_path):
    paint(tmp_path / "flat" / "1.png", (1, 2, 3))
    fill(tmp_path / "few", count=2)
    fill(tmp_path / "other" / "train"), fill(tmp_path / "other" / "test")
    paint(tmp_path / "other" / "test" / "cow" / "1.png", (1, 2, 3))
    (tmp_path / "none" / "train").mkdir(parents=True)
    fill(tmp_path / "tests" / "Test"), fill(tmp_path / "tests" / ".git"), fill(tmp_path / "tests" / "__MACOSX")
    for part, name in (("train", "caf\xe9"), ("train", "tea"), ("test", "cafe\u0301")):
        for level in (1, 2, 3):
            paint(tmp_path / "forms" / part / name / f"{level}.png", (level, len(name), 3))
    fill(tmp_path / "beside"), paint(tmp_path / "beside" / "val" / "cat" / "1.png", (1, 2, 3))
    for name, said in (
        ("flat", "the images of each class into a subfolder.*Received: .*flat"),
        ("few", "three images that differ and are in no other class. Received: fewer of 'cat', 'dog' .in .*few"),
        ("other", "Received: only test images of 'cow' in .*other"),
        ("forms", r"only test images of .* \(another Unicode form of a training class: rename one"),
        ("none", "into a subfolder.*none"),
        ("tests", "Give the subfolder itself to test.*or add a folder `train`.* Received: only test in .*tests"),
        ("beside", "into a folder `train`. Received: cat also within val or test in .*beside"),
        ("gone", "no such file"),
    ):
        with pytest.raises(LwcnnError, match=said):
            load_dataset(tmp_path / name)


def test_a_size_for_which_there_is_no_memory_is_refused_before_any_is_taken(made_npz):
    with pytest.raises(
        LwcnnError, match=r"fewer images, or smaller ones .*: this machine has .*Received: .* 300 images of shape"
    ):
        load_dataset(made_npz, size=99_999)


def test_resized_images_need_memory_once(monkeypatch):
    monkeypatch.setattr(os, "sysconf", lambda name: 1 if name == "SC_PAGE_SIZE" else int(1.4 * 10 * 64 * 64 * 3))
    assert resize_images(np.zeros((10, 8, 8, 3), np.uint8), 64).shape == (10, 64, 64, 3)


@pytest.mark.parametrize(("memory", "fits"), [(3.9, False), (4.1, True)])
def test_a_folder_needs_memory_for_three_copies_of_its_pixels(memory, fits, tmp_path, monkeypatch):
    """At most three quarters of the memory are used."""
    for number in range(10):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number}.png")
    found, size = sorted(tmp_path.glob("*.png")), 10 * 100 * 100 * 3
    monkeypatch.setattr(os, "sysconf", lambda name: 1 if name == "SC_PAGE_SIZE" else int(memory * size))
    if fits:
        assert read_images(found, (100, 100, 3), NUM_COPIES)[0].shape == (10, 100, 100, 3)
    else:
        with pytest.raises(LwcnnError, match="Give fewer images, or smaller ones.*3 x 10 images of shape"):
            read_images(found, (100, 100, 3), NUM_COPIES)


def test_the_only_class_is_named(tmp_path):
    for number in range(5):
        paint(tmp_path / "dataset" / "cat" / f"{number}.png", COLORS["cat"], number)
    with pytest.raises(LwcnnError, match=r"Give at least two classes .in a folder, each.*Received: 1 \(dataset\)"):
        load_dataset(tmp_path)


def test_a_folder_with_the_name_of_a_dataset_is_mentioned(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "digits")
    assert load_dataset("digits").name == "digits"
    assert caplog.messages == ["Reading the dataset digits. For the folder of this name, give ./digits"]
    assert load_dataset("./digits").class_names == load_dataset(Path("digits")).class_names == ("cat", "dog")
