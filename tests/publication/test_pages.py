"""The commands and the code on the pages: they can be parsed, and name what there is."""

import ast
import re
import shlex

import pytest
from made_data import ROOT

import lwcnn
from lwcnn.cli.main import build_parser

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PLACEHOLDERS = {"MODEL": "wren", "NAME": "paper", "NAME...": "paper", "MODEL...": "wren", "INPUT...": "photo.png"}
PLACEHOLDERS |= {"D": "digits", "P": "quick", "FORMAT": "litert", "A": "wren", "B": "wren", "C": "wren", "K": "3"}


def commands(text: str) -> list[str]:
    """The `lwcnn` commands in indented lines, blocks and code spans that have an argument."""
    text = re.sub(r"\\\n\s*", " ", text)
    lines = re.findall(r"^(?: {4}|\w+=\S+ )?(lwcnn [^#\n]+)", text, re.MULTILINE)
    return lines + [" ".join(span.split()) for span in re.findall(r"`(lwcnn [a-z]+ [^`]+)`", text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_on_the_pages_are_valid(page, tmp_path, monkeypatch, capsys):
    """Code spans may leave out arguments that are required."""
    monkeypatch.chdir(tmp_path)
    for folder in ("my/images", "pets", "holiday"):
        (tmp_path / folder).mkdir(parents=True)
    for photo in ("photo.png", "photo.jpg"):
        (tmp_path / photo).touch()
    for command in commands(page.read_text(encoding="utf-8")):
        words = [word.strip("[]") for word in shlex.split(command.split(";")[0])[1:] if word not in ("...", "|")]
        words = ["wren" if word.endswith(".keras") else PLACEHOLDERS.get(word, word) for word in words]
        try:
            build_parser().parse_args(words)
        except SystemExit as error:
            assert error.code == 0 or "are required" in capsys.readouterr().err, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_on_the_pages_uses_public_names(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "lwcnn":
                assert node.attr in lwcnn.__all__, node.attr


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "models/README.md"], ids=lambda one: one.name
)
def test_links_lead_to_files_and_headings(page):
    """Of the folders outside `docs`, the website has those that `make docs` copies."""
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)", page.read_text(encoding="utf-8")):
        path = page.parent / target if target else page
        assert path.exists(), target
        if page.parent.name == "docs" and target.startswith("../"):
            assert re.match(r"../(visualizations/|models/[^/]+\.md$)", target), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}, (
                anchor
            )


def test_the_steps_of_the_method_run_as_written():
    page = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    (block,) = (one for one in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "train_phase" in one)
    names = {"lwcnn": lwcnn, "data": lwcnn.load_dataset("digits")}
    exec(re.sub(r"epochs=\d", "epochs=1", block.replace("54_000", "1_300")), names)
    assert names["merged"].predict(names["data"].x_test[:2], verbose=0).shape == (2, 10)


def test_the_pages_have_commands_and_code():
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    assert sum(len(commands(text)) for text in texts) > 50
    assert sum(text.count("```python") for text in texts) > 6
