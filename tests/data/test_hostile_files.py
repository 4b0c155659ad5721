"""Tests that malicious, huge and special files are rejected without a crash or large allocations."""

import gzip
import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest

from lwcnn.data import load_dataset
from lwcnn.data.pickles import read_pickle
from lwcnn.system.errors import LwcnnError
from lwcnn.system.npz import load_npz

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 3072), dtype=np.uint8)


# Pickles


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_batch_reads_as_it_was_pickled(protocol, order):
    batch = {b"data": np.asarray(PIXELS, order=order), b"labels": [*range(5), 300, -(2**70)], b"name": "testing 1 ü"}
    found = read_pickle(pickle.dumps(batch, protocol))
    np.testing.assert_array_equal(found.pop(b"data"), PIXELS)
    assert found == {b"labels": batch[b"labels"], b"name": batch[b"name"]}


def reconstructed(state):
    """Makes a pickle with an arbitrary array state, as malicious archives do."""
    out = io.BytesIO()
    pickler = pickle._Pickler(out, 2)
    pickler.proto = 2
    out.write(b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n")
    out.write(b"cnumpy\nndarray\nK\x00\x85c_codecs\nencode\nX\x01\x00\x00\x00bX\x06\x00\x00\x00latin1\x86R\x87R")
    out.write(b"(K\x01")
    pickler.save(state["shape"])
    out.write(b"cnumpy\ndtype\n")
    pickler.save(state["dtype"])
    out.write(b"R")
    if "dtype_state" in state:
        pickler.save(state["dtype_state"])
        out.write(b"b")
    pickler.save(state.get("fortran", False))
    pickler.save(state["values"])
    out.write(b"tb.")
    return out.getvalue()


@pytest.mark.parametrize(
    "state",
    [
        {"shape": (2**40,), "dtype": ("u1", False, True), "values": b"abc"},
        {"shape": (-3,), "dtype": ("u1", False, True), "values": b"abc"},
        {"shape": (1,) * 70 + (3,), "dtype": ("u1", False, True), "values": b"abc"},
        {"shape": (3.0,), "dtype": ("u1", False, True), "values": b"abc"},
        {"shape": 3, "dtype": ("u1", False, True), "values": b"abc"},
        {"shape": (3,), "dtype": ("O8", False, True), "values": b"abc"},
        {"shape": (3,), "dtype": ("O8", False, True), "values": [1, 2, 3]},
        {"shape": (3,), "dtype": ("V3", False, True), "values": b"abc"},
        {"shape": (1,), "dtype": ("i8", False, True), "values": b"abcdefgh"},
        {"shape": (3,), "dtype": ("u1", False, True), "values": ["a", "b", "c"]},
        {"shape": (3,), "dtype": ({"names": ["a"], "formats": ["u1"], "offsets": [-9]},), "values": b"abc"},
    ],
)
def test_a_crafted_array_is_refused(state):
    with pytest.raises((ValueError, TypeError)):
        read_pickle(reconstructed(state))


@pytest.mark.parametrize("fields", [None, {"a": (np.uint8, -(2**40))}])
def test_the_state_of_a_crafted_type_never_reaches_numpy(fields):
    state = {"shape": (3,), "dtype": ("u1", False, True), "values": b"abc"}
    state["dtype_state"] = (3, "|", None, fields and ("a",), fields, 2**30, 2**40, 255)
    np.testing.assert_array_equal(read_pickle(reconstructed(state)), np.frombuffer(b"abc", np.uint8))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"\x80\x02K\x01",
        b"cos\nsystem\n(S'true'\ntR.",
        b"\x80\x02}(]K\x01u.",  # a list as key
        b"\x80\x02h\x05.",  # nothing in that place
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",  # bytes of 8 EB
        b"\x80\x02]" + b"0" * 3 + b".",
        b"\x80\x02K\x01K\x02b.",
        b"\x80\x04" + b"]" * 5 + b"aaaaaaaa.",
        b"\x82\x01.",
    ],
)
def test_broken_and_foreign_pickles_are_refused(data):
    with pytest.raises((ValueError, IndexError, KeyError, StopIteration)):
        read_pickle(data)


def test_flipped_bytes_of_an_archive_are_read_or_refused():
    whole = bytearray(pickle.dumps({b"data": PIXELS[:1], b"labels": [1]}, 2))
    generator = np.random.default_rng(0)
    for _ in range(3000):
        broken = bytearray(whole)
        for place in generator.integers(0, len(whole), 3):
            broken[place] = generator.integers(0, 256)
        try:
            found = read_pickle(bytes(broken))
        except Exception as error:
            assert not isinstance(error, MemoryError)
        else:
            assert not isinstance(found, np.ndarray) or found.dtype == np.uint8


@pytest.mark.parametrize("labels", [np.arange(7), ["a"] * 7, [1.5] * 7, [True] * 7, {b"a": 1}, None, [10**30] * 7])
def test_labels_of_another_kind_are_refused(tmp_path, labels):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        (folder / name).write_bytes(pickle.dumps({b"data": PIXELS, b"labels": labels}, 2))
    with pytest.raises(LwcnnError, match="Extract the official archive again: .* Received: .*data_batch_1"):
        load_dataset("cifar10", tmp_path)


# .npz


def npy(header, values=b""):
    """Returns the content of an .npy file with a given header."""
    text = header.encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + values


def write_npz(path, header, values=b"", name="x_train.npy"):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, npy(header, values))
    return path


@pytest.mark.parametrize(
    "header, said",
    [
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000, 32, 32, 3)}", "its header says"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", "its header says"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 3)}", "are not those of numbers"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (2,)}", "its header says"),  # bytes left over
        ("{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000000000,)}", "are not those of numbers"),
        ("{'descr': '|V3', 'fortran_order': False, 'shape': (1,)}", "are not those of numbers"),
        ("{'descr': [('a', '|u1'), ('b', '|u1')], 'fortran_order': False, 'shape': (1,)}", "are not those of numbers"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "never unpickled"),
        ("{'descr': '|u1', 'fortran_order': False}", "corrupt"),
        ("[" * 2000, "corrupt"),
    ],
)
def test_a_header_that_does_not_fit_its_bytes_is_refused(tmp_path, header, said):
    with pytest.raises(LwcnnError, match=f"{said}.*Received: .*a.npz"):
        load_npz(write_npz(tmp_path / "a.npz", header, b"abc"))


def test_arrays_beyond_the_memory_are_refused_before_they_are_read(tmp_path):
    path, size = tmp_path / "a.npz", 2**50
    write_npz(path, f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({size},)}}")
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02") + 24  # the uncompressed size in the table of contents
    content[place : place + 4] = struct.pack("<I", 2**32 - 2)
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "sysconf", lambda name: 2**16)  # a machine of 4 GiB
        with pytest.raises(LwcnnError, match="do not fit into this machine's memory of 4.0 GiB.*Received: 4.0 GiB"):
            load_npz(path)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 4)])
def test_arrays_read_as_numpy_reads_them(tmp_path, shape):
    arrays = {
        "bytes": np.arange(np.prod(shape, dtype=int), dtype=np.uint8).reshape(shape),
        "text": np.full(shape, "kő"),
        "fortran": np.asfortranarray(np.random.default_rng(0).normal(size=shape)),
        "flags": np.ones(shape, bool),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        found = load_npz(tmp_path / "a.npz")
        assert set(found) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
            assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape) and found[name].flags.writeable


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    for path in ("/dev/zero", tmp_path / "pipe.npz"):
        with pytest.raises(LwcnnError, match="a pipe or a device; give a regular file. Received: "):
            load_dataset(path)
    with pytest.raises(LwcnnError, match="no such file"):
        load_dataset("a\0b.npz")


# IDX


@pytest.mark.parametrize("content", [b"\0\0\x08\x03" + b"\xff" * 12, b"\0\0\x08\xff" + b"\0" * 2000, b"\0\0\x08\x01"])
@pytest.mark.parametrize("compressed", [False, True])
def test_an_idx_file_of_another_size_than_it_says_is_refused(tmp_path, content, compressed):
    name = "train-images-idx3-ubyte" + (".gz" if compressed else "")
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / name).write_bytes(gzip.compress(content) if compressed else content)
    with pytest.raises(LwcnnError, match="corrupt.*Received: .*train-images"):
        load_dataset("mnist", tmp_path)


def test_bytes_after_the_end_of_an_idx_file_are_refused(tmp_path):
    (tmp_path / "mnist").mkdir()
    path = tmp_path / "mnist" / "train-images-idx3-ubyte"
    path.write_bytes(struct.pack(">HBBIII", 0, 8, 3, 1, 2, 2) + b"12345")
    with pytest.raises(LwcnnError, match="does not have 4 bytes"):
        load_dataset("mnist", tmp_path)
