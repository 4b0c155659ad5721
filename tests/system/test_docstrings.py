"""Docstrings of the public names: a summary, arguments, result, and examples that run."""

import dataclasses
import doctest
import inspect
from pathlib import Path
from unittest.mock import create_autospec

import numpy as np
import pytest
from made_data import make_images

import lwcnn

PUBLIC = lwcnn.__all__


def sections(docstring):
    """Returns the titles of a docstring's sections, such as "Args"."""
    lines = inspect.cleandoc(docstring).splitlines()
    return {line.removesuffix(":") for line in lines if line.endswith(":") and line.removesuffix(":").isalpha()}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_documented(name):
    public = getattr(lwcnn, name)
    assert public.__doc__ and not (dataclasses.is_dataclass(public) and public.__doc__.startswith(f"{name}("))
    summary, *rest = inspect.cleandoc(public.__doc__).splitlines()
    assert summary[0].isupper() and summary.endswith(".") and (not rest or not rest[0]), summary
    if inspect.ismodule(public) or (isinstance(public, type) and issubclass(public, Exception)):
        return
    found = sections(public.__doc__)
    signature = inspect.signature(public)
    if signature.parameters:
        assert found & {"Args", "Attributes"}
    if not isinstance(public, type) and signature.return_annotation not in (None, "None"):
        assert found & {"Returns", "Yields"}


def test_the_reference_has_all_public_names():
    page = (Path(__file__).resolve().parents[2] / "docs/api.md").read_text()
    assert [name for name in PUBLIC if f".{name}\n" not in page and f"`lwcnn.{name}" not in page] == []
    listed = {line.rsplit(".", 1)[1] for line in page.splitlines() if line.startswith("::: ")}
    assert listed - set(PUBLIC) == {"PhaseState", "MixUpCutMix"}  # a return value; in `lwcnn.augment`


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """Names that examples may use besides the public ones: a small dataset, its parts, a model for it and a folder."""
    images, labels = make_images(80)
    parts = [lwcnn.Images(images, labels, part) for part in np.split(np.arange(80), [60])]
    known = {name: getattr(lwcnn, name) for name in lwcnn.__all__} | {"lwcnn": lwcnn, "np": np, "Path": Path}
    known["folder"] = tmp_path_factory.mktemp("folder")
    model = lwcnn.build_merged_model(images.shape[1:], 10)
    data = lwcnn.load_dataset(((images, labels), (images, labels)))
    return known | {"data": data, "training": parts[0], "validation": parts[1], "model": model}


@pytest.mark.parametrize("name", PUBLIC)
def test_examples_run(name, names):
    public = getattr(lwcnn, name)
    has_example = run_examples(public, names)
    assert has_example or inspect.ismodule(public) or name in ("Dataset", "LwcnnError"), "an example is missing"


def run_examples(documented, names):
    """Runs the examples of a docstring; returns whether there are any."""
    known = {documented.__name__: documented, **names}
    (example,) = doctest.DocTestFinder(recurse=False).find(documented, documented.__name__, globs=known)
    for one in example.examples:
        if one.options.get(doctest.SKIP):  # trains too long; its arguments must fit all the same
            exec(one.source, known | {documented.__name__: create_autospec(documented)})
    log = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=log.append)
    assert not log, "".join(log)
    return bool(example.examples)
