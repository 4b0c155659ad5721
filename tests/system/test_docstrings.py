"""Docstrings of the public names: a summary, arguments, result, and examples that run."""

import dataclasses
import doctest
import inspect

import pytest

import lwcnn

CONSTANTS = {"EXPERIMENT_NAMES", "PRESETS"}
PUBLIC = [name for name in lwcnn.__all__ if name not in CONSTANTS]


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
    if isinstance(public, type) and issubclass(public, Exception):
        return
    found = sections(public.__doc__)
    signature = inspect.signature(public)
    if signature.parameters:
        assert found & {"Args", "Attributes"}
    if not isinstance(public, type) and signature.return_annotation not in (None, "None"):
        assert found & {"Returns", "Yields"}


@pytest.mark.parametrize("name", [name for name in PUBLIC if lwcnn._MODULES[name].startswith("lwcnn.models")])
def test_examples_of_models_run(name):
    public = getattr(lwcnn, name)
    globs = {"lwcnn": lwcnn} | vars(inspect.getmodule(inspect.unwrap(public)))
    (example,) = doctest.DocTestFinder(recurse=False).find(public, name, globs=globs)
    assert example.examples, "an example is missing"
    log = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=log.append)
    assert not log, "".join(log)
