"""Files are written whole or not at all, and broken ones are refused with a message that says what to do."""

import errno
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lwcnn.system.errors import LwcnnError, unknown_name
from lwcnn.system.files import read_json, write_atomically, write_folder_atomically, write_json
from lwcnn.system.locking import locked
from lwcnn.system.npz import load_npz, save_npz


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def fail_with(code):
    def raise_error(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    return raise_error


def test_unknown_name_suggests_near_names_and_lists_them_where_they_are_few():
    error = unknown_name("dataset", "cifr10", ("mnist", "cifar10", "cifar100"))
    assert isinstance(error, ValueError)
    assert str(error) == (
        "Unknown dataset. Did you mean 'cifar10' or 'cifar100'? Known: mnist, cifar10, cifar100. Received: 'cifr10'"
    )
    error = unknown_name("trial", "rate_9x", [f"rate_{i}" for i in range(60)])
    assert str(error).startswith("Unknown trial. Did you mean 'rate_9' or ") and "Known" not in str(error)


def test_unknown_name_ignores_case():
    assert "Did you mean 'MNIST'?" in str(unknown_name("dataset", "mnits", ("MNIST", "digits")))


def test_unknown_name_does_not_guess_wildly():
    assert "Did you mean" not in str(unknown_name("dataset", "xyzzy", ("mnist", "cifar10")))


def test_write_makes_folders_and_replaces(tmp_path):
    path = tmp_path / "a" / "b" / "file.bin"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert names_in(path.parent) == ["file.bin"]


def test_written_file_has_ordinary_permissions(tmp_path):
    (tmp_path / "ordinary").write_bytes(b"")
    write_atomically(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_a_file_is_replaced_where_its_mode_cannot_be_copied(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(os, "chmod", fail_with(errno.EPERM))
    write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new" and names_in(tmp_path) == ["file"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("code", "advice"), [(errno.ENOSPC, "disk is full"), (errno.EACCES, "writable"), (errno.EIO, "Check the folder")]
)
def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step, code, advice):
    path = tmp_path / "results.json"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, step, fail_with(code))
    with pytest.raises(LwcnnError, match=advice) as caught:
        write_atomically(path, b"new")
    assert str(caught.value).endswith(f"Received: {str(path)!r}")
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["results.json"]


def test_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", b"new")
    assert names_in(tmp_path) == []


def test_write_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LwcnnError, match="Cannot write"):
        write_atomically(tmp_path / "file" / "below", b"")


def test_json_round_trip_keeps_the_order(tmp_path):
    path = tmp_path / "r.json"
    obj = {"z": 1, "a": [1.5, None, True], "ä": {"b": "c"}}
    write_json(path, obj)
    assert read_json(path) == obj
    assert list(read_json(path)) == ["z", "a", "ä"]
    assert path.read_text(encoding="utf-8") == '{\n "z": 1,\n "a": [1.5, null, true],\n "ä": {"b": "c"}\n}\n'


def test_a_list_or_object_without_another_is_on_one_line_of_json(tmp_path):
    odd = '[\n1,\n2\n] \\ " \u2028  \x85 {'
    found = {"matrix": [[1, -2.5], [3e-9, 4]], "names": [odd, ""], "of": {odd: None, " b ": True}, "empty": [{}, []]}
    write_json(tmp_path / "a.json", found)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == found
    quoted = json.dumps(odd, ensure_ascii=False)
    assert text.split("\n") == [
        "{",
        ' "matrix": [',
        "  [1, -2.5],",
        "  [3e-09, 4]",
        " ],",
        f' "names": [{quoted}, ""],',
        f' "of": {{{quoted}: null, " b ": true}},',
        ' "empty": [',
        "  {},",
        "  []",
        " ]",
        "}",
        "",
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32(1), {1, 2}])
def test_json_refuses_what_it_has_no_form_for(tmp_path, value):
    with pytest.raises(LwcnnError, match="as JSON"):
        write_json(tmp_path / "r.json", {"value": value})
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    "content",
    [b"", b'{"a": 1', b"\xff\xfe", b"not json", b"null", b"[1]", b"[" * 100_000],
    ids=lambda content: content[:9],
)
def test_broken_json_is_refused(tmp_path, content):
    path = tmp_path / "r.json"
    path.write_bytes(content)
    with pytest.raises(LwcnnError, match="Not a complete JSON file.*Received:.*r.json"):
        read_json(path)


def test_a_key_that_json_lacks_is_an_error_that_names_the_file(tmp_path):
    path = tmp_path / "r.json"
    write_json(path, {"rows": [{"name": "litert"}]})
    found = read_json(path)
    assert found["rows"][0]["name"] == "litert" and found.get("models") is None and "models" not in found
    for record, key in ((found, "models"), (found["rows"][0], "batch1")):
        with pytest.raises(LwcnnError, match=f"lacks '{key}'.*Received:.*r.json"):
            record[key]


@pytest.mark.parametrize("read", [read_json, load_npz])
def test_missing_file_and_folder_are_refused(tmp_path, read):
    with pytest.raises(LwcnnError, match="no such file.*Received:.*gone"):
        read(tmp_path / "gone")
    with pytest.raises(LwcnnError, match="a folder"):
        read(tmp_path)


ARRAYS = {
    "file": np.arange(6, dtype=np.uint8).reshape(2, 3),
    "weights": np.linspace(0, 1, 1000, dtype=np.float32),
    "names": np.array(["a", "bc"]),
    "scalar": np.float64(2.5),
    "empty": np.zeros((0, 3)),
}


@pytest.mark.parametrize("compressed", [False, True])
def test_npz_round_trip(tmp_path, compressed):
    path = tmp_path / "arrays.npz"
    save_npz(path, compressed=compressed, **ARRAYS)
    with np.load(path) as by_numpy:
        for arrays in (load_npz(path), by_numpy):
            assert sorted(arrays) == sorted(ARRAYS)
            for name, expected in ARRAYS.items():
                np.testing.assert_array_equal(arrays[name], expected)
                assert arrays[name].dtype == expected.dtype
    assert names_in(tmp_path) == ["arrays.npz"]


def test_same_arrays_give_the_same_bytes(tmp_path, monkeypatch):
    save_npz(tmp_path / "a.npz", **ARRAYS)
    monkeypatch.setattr("time.time", lambda: 2e9)
    save_npz(tmp_path / "b.npz", **ARRAYS)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_object_arrays_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        save_npz(tmp_path / "a.npz", x=np.array([{}, None], dtype=object))
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_truncated_npz_is_refused(tmp_path, compressed, kept):
    path = tmp_path / "a.npz"
    save_npz(path, compressed=compressed, **ARRAYS)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(LwcnnError, match=r"truncated.*Received:.*a\.npz"):
        load_npz(path)


@pytest.mark.parametrize("compressed", [False, True])
def test_every_flipped_byte_of_an_array_is_noticed(tmp_path, compressed):
    path = tmp_path / "a.npz"
    save_npz(path, compressed=compressed, x=np.arange(50, dtype=np.uint8))
    whole = path.read_bytes()
    start = whole.index(b"x.npy") + len(b"x.npy") + 20  # past zip's local header, whose extra field is not checked
    end = whole.rindex(b"PK\x01\x02")
    for position in range(start, end, 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        try:
            np.testing.assert_array_equal(load_npz(path)["x"], np.arange(50))
        except LwcnnError as error:
            assert "corrupt" in str(error)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x93NUMPY\x01\x00"])
def test_what_is_not_an_npz_is_refused(tmp_path, content):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(LwcnnError, match="Not an .npz file.*Download or write it again. Received: .*a.npz") as error:
        load_npz(path)
    assert "images" not in str(error.value)  # it may be any file of the library


def test_zip_of_other_things_is_refused(tmp_path):

    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(LwcnnError, match="readme.txt"):
        load_npz(tmp_path / "a.npz")


def test_folder_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    folder = tmp_path / "above" / "model"
    write_folder_atomically(folder, {"a.bin": b"1", "inner/b.bin": b"2"})
    assert (folder / "a.bin").read_bytes() == b"1" and (folder / "inner" / "b.bin").read_bytes() == b"2"
    write_folder_atomically(folder, {"a.bin": b"3", "inner/b.bin": b"4"})

    def interrupted(path, data):
        if path.name == "b.bin":
            raise KeyboardInterrupt
        path.write_bytes(data)

    monkeypatch.setattr("lwcnn.system.files._write_new", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_folder_atomically(folder, {"a.bin": b"5", "inner/b.bin": b"6"})
    monkeypatch.undo()
    (folder / "mine.txt").write_text("kept")
    with pytest.raises(LwcnnError, match="holds other files"):
        write_folder_atomically(folder, {"a.bin": b"7", "inner/b.bin": b"8"})
    assert (folder / "a.bin").read_bytes() == b"3" and (folder / "mine.txt").read_text() == "kept"
    assert [entry.name for entry in folder.parent.iterdir()] == ["model"]
    (folder / "mine.txt").rename(folder / "inner" / "mine.txt")
    with pytest.raises(LwcnnError, match="holds other files"):
        write_folder_atomically(folder, {"a.bin": b"7", "inner/b.bin": b"8"})
    assert (folder / "inner" / "mine.txt").read_text() == "kept"
    with pytest.raises(LwcnnError, match="is a file"):
        write_folder_atomically(folder / "a.bin", {"a.bin": b"9"})


def test_a_full_disk_is_told_with_the_path_that_was_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", fail_with(errno.ENOSPC))
    for write in (write_atomically, lambda path, data: write_folder_atomically(path, {"inner/a.bin": data})):
        with pytest.raises(LwcnnError, match=rf"The disk is full.*Received: '{tmp_path / 'model'}'$"):
            write(tmp_path / "model", b"data")
    assert names_in(tmp_path) == []


# Links, devices, pipes, modes, and what a killed process has left


def test_a_link_is_followed_and_a_mode_is_kept(tmp_path):
    target = tmp_path / "shared" / "file.csv"
    write_atomically(target, b"old")
    target.chmod(0o600)
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "dangling").symlink_to(tmp_path / "shared" / "new.csv")
    write_atomically(tmp_path / "link", b"new")
    write_atomically(tmp_path / "dangling", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "dangling").is_symlink()
    assert target.read_bytes() == (tmp_path / "shared" / "new.csv").read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_link_to_a_folder_is_followed(tmp_path):
    (tmp_path / "models").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "models")
    write_folder_atomically(tmp_path / "link", {"a.txt": b"a"})
    assert (tmp_path / "link").is_symlink() and (tmp_path / "models" / "a.txt").read_bytes() == b"a"
    assert (tmp_path / "models").stat().st_mode & 0o777 == 0o700


def test_a_device_and_a_pipe_are_written_to_and_stay(tmp_path):
    write_atomically(os.devnull, b"nothing")
    assert not os.path.isfile(os.devnull)
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(tmp_path / "pipe", b"through")
    assert os.read(reader, 100) == b"through" and names_in(tmp_path) == ["pipe"]
    os.close(reader)


@pytest.mark.parametrize("path", ["", ".", "..", "/", "a\0b"])
def test_a_path_that_can_be_no_files_is_refused_in_words(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for write in (write_atomically, lambda path, data: write_folder_atomically(path, {"a": data})):
        with pytest.raises(LwcnnError, match="Received: "):
            write(path, b"data")
    assert names_in(tmp_path) == []


def test_the_longest_file_name_can_be_written(tmp_path):
    write_atomically(tmp_path / ("ü" * 127), b"")
    assert names_in(tmp_path) == ["ü" * 127]


def test_json_of_a_text_that_is_no_unicode_is_whole_json(tmp_path):
    write_json(tmp_path / "a.json", {"name": "caf\udce9"})
    assert read_json(tmp_path / "a.json") == {"name": "caf\udce9"}


def test_of_the_processes_of_one_training_only_the_first_writes_and_locks(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_DISTRIBUTION_PROCESS_ID", "1")
    write_json(tmp_path / "folder" / "result.json", {})
    with locked(tmp_path / "result.json", print), locked(tmp_path / "result.json", print):
        assert not list(tmp_path.iterdir())
    monkeypatch.setenv("KERAS_DISTRIBUTION_PROCESS_ID", "0")
    write_json(tmp_path / "folder" / "result.json", {})
    assert (tmp_path / "folder" / "result.json").exists()


def test_a_folder_that_cannot_be_renamed_leaves_the_old_one_in_place(tmp_path, monkeypatch):
    folder, replace = tmp_path / "model", os.replace
    write_folder_atomically(folder, {"a.bin": b"1"})

    def interrupt(source, target):
        if Path(source).name == "new":  # when the old folder has been moved away
            assert not folder.exists()
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_folder_atomically(folder, {"a.bin": b"2"})
    assert (folder / "a.bin").read_bytes() == b"1" and [path.name for path in tmp_path.iterdir()] == ["model"]
