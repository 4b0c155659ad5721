"""What a user installs: metadata, pinned requirements, the Makefile's setup, the files kept in git."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import lwcnn
from lwcnn.experiments.recipes import NETWORKS

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.11", "3.12", "3.13")
PIN = re.compile(r'[a-z0-9][a-z0-9.-]*==[0-9][0-9A-Za-z.+!]*( ; python_version == "3\.1[1-3]")?')


@pytest.fixture(scope="module")
def project():
    """The [project] table of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def pins():
    """The lines of requirements.txt that are not comments."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def environment(python: str) -> dict[str, str]:
    """The markers' environment of a Python version on Linux x86_64."""
    linux = {"sys_platform": "linux", "platform_machine": "x86_64", "platform_system": "Linux", "extra": ""}
    return default_environment() | linux | {"python_version": python, "python_full_version": f"{python}.5"}


def locked(pins: list[str], python: str) -> dict[str, str]:
    """Version by canonical name of what the pins install on a Python version."""
    found = [Requirement(pin) for pin in pins]
    applying = [r for r in found if r.marker is None or r.marker.evaluate(environment(python))]
    return {canonicalize_name(r.name): next(iter(r.specifier)).version for r in applying}


def wanted(project: dict, extras: list[str], python: str) -> list[Requirement]:
    """What the package with extras depends on directly, extras of its own resolved."""
    texts = [*project["dependencies"], *(t for e in extras for t in project["optional-dependencies"][e])]
    found = []
    for requirement in map(Requirement, texts):
        if requirement.name == project["name"]:
            own = dict(project, dependencies=[])
            found += wanted(own, sorted(requirement.extras), python)
        elif requirement.marker is None or requirement.marker.evaluate(environment(python)):
            found.append(requirement)
    return found


def test_version_is_the_library_s(project):
    assert project["version"] == lwcnn.__version__


def test_every_requirement_is_pinned_once_and_names_no_place(pins):
    assert [pin for pin in pins if not PIN.fullmatch(pin)] == []
    names = [canonicalize_name(Requirement(pin).name) for pin in pins]
    assert names == sorted(set(names))
    assert not {"tensorflow", "lwcnn"} & set(names)  # with tensorflow-cpu, tensorflow must never be there


@pytest.mark.parametrize("python", PYTHONS)
def test_requirements_cover_the_package_s_dependencies(project, pins, python):
    versions = locked(pins, python)
    requirements = wanted(project, ["tensorflow", "test"], python)
    assert {"keras", "tensorflow-cpu", "pytest", "papermill"} <= {r.name for r in requirements}
    unmet = [str(r) for r in requirements if versions.get(canonicalize_name(r.name)) not in r.specifier]
    assert unmet == []


@pytest.mark.parametrize("python", PYTHONS)
def test_requirements_are_complete(pins, python):
    """Set-up installs them without looking for dependencies, so what they need must be among them."""
    versions, unmet = locked(pins, python), []
    for name in versions:
        try:
            needed = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # not on this Python, or tests that run in an environment of another making
        for requirement in map(Requirement, needed):
            applies = requirement.marker is None or requirement.marker.evaluate(environment(python))
            version = versions.get(canonicalize_name(requirement.name))
            if applies and (version is None or not requirement.specifier.contains(version, prereleases=True)):
                unmet.append(f"{name} needs {requirement}, pinned: {version}")
    assert unmet == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built without isolation."""
    builder = pytest.importorskip("hatchling.builders.wheel").WheelBuilder(str(ROOT))
    return Path(next(builder.build(directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"])))


def test_the_wheel_carries_the_package_and_what_list_models_names(wheel):
    carried = {name for name in zipfile.ZipFile(wheel).namelist() if "dist-info" not in name}
    package = {str(path.relative_to(ROOT)) for path in (ROOT / "lwcnn").rglob("*") if path.is_file()}
    models = lwcnn.list_models()
    files = {f"{dataset}-{NETWORKS[name]}.keras" for name, dataset in zip(models["name"], models["dataset"])}
    assert carried - package == {f"lwcnn/pretrained/{file}" for file in files}
    assert {name for name in package - carried if "__pycache__" not in name} == set()
    assert wheel.stat().st_size < 3_000_000


def test_an_unpacked_wheel_lists_its_networks_outside_the_repository(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = "import lwcnn; print(lwcnn.__file__); print(lwcnn.list_models().to_csv(index=False))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    place, listed = done.stdout.split("\n", 1)
    assert place.startswith(str(tmp_path)) and listed.strip() == lwcnn.list_models().to_csv(index=False).strip()


def test_every_subpackage_is_found(project):
    folders = {path.parent for path in (ROOT / "lwcnn").rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []
    assert project["scripts"] == {"lwcnn": "lwcnn.__main__:main"}


def test_set_up_refuses_another_python(tmp_path):
    """Through the Makefile, with an interpreter that says it is too old; nothing must be made."""
    old = tmp_path / "python3.8"
    old.write_text(
        '#!/bin/sh\nif [ "$1" = --version ]; then echo Python 3.8.18; else echo 3.8 /usr/bin/python3.8; fi\n'
    )
    old.chmod(0o755)
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    make = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(
        ["make", "setup", f"PYTHON={old}"], cwd=tmp_path, env=make, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr
    assert "Python 3.8.18" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_no_tracked_file_names_a_place_on_this_machine():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    places = [str(ROOT), *([str(Path.home())] if len(Path.home().parts) > 2 else [])]
    place = "|".join(map(re.escape, places))
    pattern = re.compile(rf"(?<![\w.])({place})[/\"']".encode())
    files = [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]
    assert [str(path.relative_to(ROOT)) for path in files if pattern.search(path.read_bytes())] == []
