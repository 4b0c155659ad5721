"""Tests that malicious, huge and special files are rejected without a crash or large allocations."""

import gzip
import os
import struct
import zipfile

import numpy as np
import pytest

from lwcnn.data.datasets import load_dataset
from lwcnn.system.errors import LwcnnError
from lwcnn.system.npz import load_npz

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
        with pytest.raises(LwcnnError, match="^Give a smaller file.*: this machine has 4.0 GiB.*Received: 4.0 GiB in"):
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
    with pytest.raises(LwcnnError, match="corrupt.*Received: .*mnist"):
        load_dataset("mnist", tmp_path)


def test_bytes_after_the_end_of_an_idx_file_are_refused(tmp_path):
    (tmp_path / "mnist").mkdir()
    path = tmp_path / "mnist" / "train-images-idx3-ubyte"
    path.write_bytes(struct.pack(">HBBIII", 0, 8, 3, 1, 2, 2) + b"12345")
    with pytest.raises(LwcnnError, match="does not have 4 bytes"):
        load_dataset("mnist", tmp_path)
