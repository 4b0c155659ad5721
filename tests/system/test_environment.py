"""Properties that depend on the machine and the C library."""

import platform
import subprocess
import sys

import pytest

from lwcnn.system import environment

FREED_AND_ALLOCATED_AGAIN = """
import resource
import numpy as np
from lwcnn.system.environment import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        arrays = [np.ones(600_000, np.float32) for _ in range(12)]
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
assert keep_freed_memory()
faults()
print(before, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_freed_memory_is_allocated_again_without_a_page_fault():
    done = subprocess.run([sys.executable, "-c", FREED_AND_ALLOCATED_AGAIN], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert after < 100 < before


@pytest.mark.parametrize(
    ("limits", "gigabytes"),
    [((), 4), (("max",), 4), ((2**30,), 1), ((2**50,), 4), (("max", 3 * 2**30), 3), ((2**63 - 4096,), 4)],
)
def test_the_memory_is_that_of_the_container_if_it_has_less_than_the_machine(limits, gigabytes, tmp_path, monkeypatch):
    paths = [tmp_path / name for name in ("memory.max", "memory.limit_in_bytes")]
    for path, limit in zip(paths, limits):
        path.write_text(f"{limit}\n")
    monkeypatch.setattr(environment, "_MEMORY_LIMITS", paths)
    monkeypatch.setattr(environment.os, "sysconf", lambda name: 2**16)
    assert environment.memory() == gigabytes * 2**30


def test_a_processor_is_named_with_its_family_and_model(monkeypatch):
    two = "processor\t: 0\nmodel name\t: AMD EPYC\ncpu family\t: 26\nmodel\t\t: 2\n\n"
    monkeypatch.setattr(environment.Path, "read_text", lambda self: two + two.replace("26", "99"))
    assert environment.processor() == "AMD EPYC (family 26, model 2)"
    monkeypatch.setattr(environment.Path, "read_text", lambda self: "CPU implementer : 0x41\n")
    assert environment.processor() == platform.machine()
