"""The report: every name in it stands for a value or a table, and it builds."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from made_data import ROOT
from publication.made_results import write_folds, write_run

from lwcnn.cli.main import main
from lwcnn.experiments.results import MissingInput
from lwcnn.publication import report
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.figures.catalogue import FIGURES
from lwcnn.publication.measurement import Measurement
from lwcnn.publication.report import build_pdf, generate, used_names
from lwcnn.publication.tables import TABLES
from lwcnn.publication.values import resolve
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import write_json

SOURCE = ROOT / "research_report.tex"
WITH_LATEX = pytest.mark.skipif(shutil.which("latexmk") is None, reason="latexmk is not installed")
PREAMBLE = SOURCE.read_text(encoding="utf-8").partition(r"\begin{document}")[0]


@pytest.fixture
def evidence(tmp_path):
    """Evidence of made runs: three of 3.5 hours in full, one quick, one of another experiment; folds; two exports."""
    for seed, wrong in enumerate((40, 30, 20)):
        write_run(tmp_path, "cifar10/paper/full", seed, wrong, val_accuracy=0.75, train_seconds=12_600)
    write_run(tmp_path, "cifar10/paper/quick", 0, 50)
    write_run(tmp_path, "cifar10/paper_tuned/full", 0, 25, train_seconds=600)
    write_folds(tmp_path, "mnist/paper/quick", [0.9, 0.92], train_seconds=3600)
    for name, drop in (("paper", 0.1), ("single", 0.4)):
        export = {"model": f"cifar10-{name}.keras", "dataset": "cifar10", "experiment": name, "format": "litert-int8"}
        export |= {"size_bytes": 9, "drop_points": drop, "accuracy_exported": 0.7}
        write_json(tmp_path / f"export/{name}.json", export)
    return Evidence(tmp_path)


@pytest.mark.parametrize(
    "name, shown",
    [
        ("cifar10/paper/full:val", "75.00"),
        ("cifar10/paper/full:train", "95.00"),
        ("cifar10/paper/full:train minus test", "+25.00"),
        ("cifar10/paper/full:spread", "70.00 ± 10.00"),
        ("cifar10/paper:seeds", "3"),  # of full, not of quick
        ("cifar10/paper_tuned/full:minutes", "10"),
        ("cifar10/paper/full:missed by all", "20.0"),
        ("cifar10/paper/full:missed by some", "20.0"),
        ("cifar10/paper/quick pair class0 class1", "10.0"),
        ("mnist/paper folds from scratch:each", "90.0, 92.0"),
        ("number of runs", "5"),
        ("number of hours", "12"),
        ("int8 largest drop", "0.40"),
        ("int8 count", "2"),
        ("mnist/paper/full:params", "14,862"),  # counted, without a run
        ("cifar10/repo_residual_se:trainable", "83,344"),
    ],
)
def test_a_value_is_that_of_the_runs(evidence, name, shown):
    found = resolve(name, evidence)
    assert str(found.bare() if isinstance(found, Measurement) else found) == shown


def test_a_branch_is_measured_at_its_best_epoch_and_averaged_over_seeds(tmp_path):
    for seed, gap in enumerate((0.1, 0.2)):
        records = [{"accuracy": 0.8 + gap, "val_accuracy": 0.8}, {"accuracy": 1.0, "val_accuracy": 0.5}]
        history = [{"name": "original", "best_epoch": 1, "history": records}]
        write_run(tmp_path, "cifar10/paper/full", seed, 10, history=history)
    assert resolve("cifar10/paper/full branch original", Evidence(tmp_path)).value == pytest.approx(15)


def test_a_gain_of_a_trial_is_over_the_other():
    evidence = SimpleNamespace(trials=pd.DataFrame({"trial": ["base", "se+ema"], "val_accuracy": [0.80, 0.85]}))
    assert resolve("trial se+ema gain over base", evidence).value == pytest.approx(5)
    assert resolve("trial base", evidence).value == pytest.approx(80)


def test_unfreezing_moves_the_accuracy_from_the_lowest_to_the_highest_move():
    evidence, moves = Evidence(ROOT / "results"), []
    for dataset in ("cifar10", "fashion_mnist", "mnist"):
        for *_, before, after in evidence.network(dataset, "paper", "full").runs["history"]:
            best = max(record["val_accuracy"] for record in before["history"])
            moves.append(100 * (after["history"][0]["val_accuracy"] - best))
    found = [resolve(f"unfreezing {which}", evidence).value for which in ("lowest", "highest")]
    assert found == pytest.approx([min(moves), max(moves)]) and found[0] < found[1]


def test_what_is_not_there_is_marked(tmp_path):
    none = Evidence(tmp_path)
    for name in ("cifar10/residual_se/full:val", "trial base", "int8 count"):
        assert isinstance(resolve(name, none), MissingInput), name
    for name in ("improved", "method", "parts", "efficiency", "calibration", "audit_paper"):
        assert r"\notrun{}" in TABLES[name](none).latex(), name
    source = tmp_path / "report.tex"
    source.write_text(r"\begin{document}\generated{tta}\generated{improved}\end{document}")
    made = generate(source, tmp_path, none)
    assert r"\notrun{}" in made.tables["tta"] and made.missing


@pytest.mark.parametrize(
    "name, said",
    [
        ("cifar10/papr/full:val", "Did you mean 'paper'"),
        ("cifar/paper/full:val", "Did you mean 'cifar10'"),
        ("cifar10/paper/ful:val", "Did you mean 'full'"),
        ("cifar10/paper/full:vla", "Did you mean 'val'"),
        ("cifar10:val", "A value is named as in"),
        ("mlperf_tiny ResNet-8 int8:byte", "A value is named as in"),
    ],
)
def test_a_name_that_stands_for_nothing_is_an_error(evidence, name, said):
    with pytest.raises(LwcnnError, match=re.escape(said)):
        resolve(name, evidence)


def test_names_are_found_without_comments_and_over_line_ends():
    text = "\\newcommand{\\val}[1]{x}\\begin{document}\n\\val{a\n  b} 5\\% \\val{c}% \\val{d}\n\\generated{e}"
    assert used_names(text) == (["a b", "c"], ["e"])


def test_an_unknown_table_is_an_error(tmp_path, evidence):
    source = tmp_path / "a.tex"
    source.write_text(r"\begin{document}\generated{improvd}")
    with pytest.raises(LwcnnError, match="Did you mean 'improved'"):
        generate(source, tmp_path, evidence)
    with pytest.raises(LwcnnError, match="no such file"):
        generate(tmp_path / "b.tex", tmp_path, evidence)


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """The report's own values and tables, from the committed results, and the folder they are in."""
    work = tmp_path_factory.mktemp("work")
    return generate(SOURCE, work, Evidence(ROOT / "results")), work


def test_all_that_the_report_names_is_made(generated):
    made, work = generated
    values = (work / "generated/values.tex").read_text(encoding="utf-8")
    names, tables = used_names(SOURCE.read_text(encoding="utf-8"))
    assert names and set(names) == set(re.findall(r"csname lwcnn:(.*?)\\endcsname", values))
    assert set(tables) == {path.stem for path in (work / "generated").glob("*.tex")} - {"values"} <= set(TABLES)
    for text in [*made.values.values(), *made.tables.values()]:
        assert text.count("{") == text.count("}") and "None" not in text and "nan" not in text


def test_references_labels_and_figures_of_the_report_exist():
    text = SOURCE.read_text(encoding="utf-8")
    cited = {key for keys in re.findall(r"\\cite\{([^}]*)\}", text) for key in keys.split(",")}
    entries = re.findall(r"^@\w+\{([^,]+),", (ROOT / "research_report.bib").read_text(encoding="utf-8"), re.MULTILINE)
    assert cited == set(entries) and len(entries) == len(set(entries))
    assert set(re.findall(r"\\ref\{([^}]*)\}", text)) <= set(re.findall(r"\\label\{([^}]*)\}", text))
    drawn = re.findall(r"\\drawn\{([^}#]*)\}", text)
    assert drawn and all(name.partition("/")[2] in FIGURES for name in drawn)


def test_the_committed_pdf_is_there_and_small():
    pdf = SOURCE.with_suffix(".pdf").read_bytes()
    assert pdf.startswith(b"%PDF") and len(pdf) < 2_000_000


def test_without_latexmk_the_error_names_the_packages(monkeypatch, tmp_path):
    monkeypatch.setattr(report.shutil, "which", lambda name: None)
    with pytest.raises(LwcnnError, match="texlive-latex-recommended"):
        build_pdf(SOURCE, tmp_path)


def test_the_command_says_what_is_missing(tmp_path, capsys):
    source = tmp_path / "a.tex"
    source.write_text(r"\begin{document}\val{cifar10/residual_se/full:val} \val{mnist/paper/full:params}")
    arguments = ["--source", source, "--results", tmp_path, "--work", tmp_path / "work", "--no-pdf"]
    assert main(["report", *map(str, arguments)]) == 0
    said = capsys.readouterr().out
    assert "2 values and 0 tables" in said and "not run  `residual_se` on cifar10" in said
    assert (tmp_path / "work/generated/values.tex").read_text().count("\\notrun{}") == 1


def small_document(folder: Path, body: str) -> Path:
    """A document with the report's preamble, without values."""
    (folder / "work/generated").mkdir(parents=True, exist_ok=True)
    (folder / "work/generated/values.tex").write_text("")
    source = folder / "a.tex"
    source.write_text(f"{PREAMBLE}\\begin{{document}}\n{body}\n\\end{{document}}\n", encoding="utf-8")
    return source


@WITH_LATEX
@pytest.mark.parametrize(
    "body, said",
    [
        (r"\val{nothing}", "`nothing' stands for nothing"),
        (r"\undefinedmacro", "Undefined control sequence"),
        (r"See~\ref{sec:nowhere}.", "sec:nowhere"),
        (r"\noindent\rule{1.2\textwidth}{1pt}", "stick out"),
        (r"\generated{nowhere}", "nowhere.tex"),
        (r"\begin{table}\rule{1pt}{1.2\textheight}\end{table}", "do not fit a page"),
    ],
)
def test_a_broken_document_does_not_build(tmp_path, body, said):
    with pytest.raises(LwcnnError, match=re.escape(said)):
        build_pdf(small_document(tmp_path, body), tmp_path / "work")


@WITH_LATEX
def test_the_report_builds_to_the_same_bytes(generated, tmp_path):
    first = build_pdf(SOURCE, generated[1]).read_bytes()
    shutil.copytree(generated[1] / "generated", tmp_path / "elsewhere/generated")
    assert build_pdf(SOURCE, tmp_path / "elsewhere").read_bytes() == first
    assert str(tmp_path).encode() not in first
