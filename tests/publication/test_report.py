"""The report: that every name in it stands for something true, whichever way the numbers fall, and that it builds."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from made_data import ROOT

from lwcnn.cli.main import main
from lwcnn.evaluation.comparison import paired_difference
from lwcnn.experiments.recipes import EXPERIMENT_NAMES
from lwcnn.experiments.recipes.ablation import BASELINE, PARTS, WHOLE, left_out, only
from lwcnn.experiments.run import Folders
from lwcnn.publication.claims.goals import GOALS
from lwcnn.publication.figures.catalogue import FIGURES
from lwcnn.publication.report import document, latex
from lwcnn.publication.report.document import MAX_OVERFULL, build_pdf, generate, used_names
from lwcnn.publication.report.evidence import Evidence
from lwcnn.publication.report.sentences.improved import claimed_points
from lwcnn.publication.report.values import resolve
from lwcnn.publication.tables.report import TABLES
from lwcnn.publication.tables.report.ablations import TITLES
from lwcnn.publication.tables.report.audit import text_as_latex
from lwcnn.system.errors import LwcnnError

SOURCE = ROOT / "research_report.tex"
WITH_LATEX = pytest.mark.skipif(shutil.which("latexmk") is None, reason="latexmk is not installed")
NUM_IMAGES = 1000
LABELS = np.arange(NUM_IMAGES) % 10
PREAMBLE = SOURCE.read_text(encoding="utf-8").partition(r"\begin{document}")[0]


@pytest.fixture
def evidence(tmp_path):
    """Evidence of a results folder that is empty until a test puts runs there."""
    return Evidence(Folders(results=tmp_path / "results"))


def add_runs(evidence, group, accuracies, **changes):
    """A run a seed with made predictions: that share of each class is right, the rest is taken for the next class."""
    dataset, experiment, preset = group.split("/")
    folder = evidence.folders.results / dataset / experiment / preset
    folder.mkdir(parents=True)
    np.save(evidence.folders.results / dataset / "test_labels.npy", LABELS.astype(np.uint8))
    for seed, share in enumerate(accuracies):
        classes = np.where(np.arange(NUM_IMAGES) // 10 < share * NUM_IMAGES / 10, LABELS, (LABELS + 1) % 10)
        np.save(folder / f"seed{seed}_classes.npy", classes.astype(np.uint8))
        matrix = np.zeros((10, 10), dtype=int)
        np.add.at(matrix, (LABELS, classes), 1)
        run = {
            "dataset": dataset,
            "experiment": experiment,
            "preset": preset,
            "seed": seed,
            "test_accuracy": float((classes == LABELS).mean()),
            "val_accuracy": share,
            "ece": 0.1,
            "train_seconds": 120.0,
            "per_class_accuracy": {f"class{k}": matrix[k, k] / matrix[k].sum() for k in range(10)},
            "confusion_matrix": matrix.tolist(),
            "history": [],
        }
        (folder / f"seed{seed}.json").write_text(json.dumps(run | changes))


def test_numbers_as_latex():
    assert latex.whole(29362.4) == "29,362"
    assert latex.percent(0.6733) == "67.33"
    assert [latex.signed(p) for p in (-1.564, 0.945, 0.001)] == ["$-1.56$", "$+0.94$", r"$\pm 0.00$"]
    assert latex.mean_and_spread([0.67, 0.68, 0.69]) == r"68.00\,$\pm$\,1.00"
    assert latex.mean_and_spread([0.67]) == "67.00" and latex.interval([0.67]) == "--"
    assert latex.interval([0.99, 1.0]) == "[93.15, 100.00]"  # cut off: no accuracy is above 100
    assert latex.p_values([0.0002, 0.0001]) == r"all $<$.001"
    assert latex.p_values([0.0002, 0.0194, 1.0]) == r"$<$.001, .019, 1.00"
    assert latex.joined(["a"]) == "a" and latex.joined(["a", "b", "c"], "or") == "a, b or c"
    assert latex.escape("50 % of a_b & c") == r"50 \% of a\_b \& c"


def test_a_gain_has_its_interval():
    better, worse = (np.arange(100) < right for right in (80, 70))
    shown = latex.gain(paired_difference([better] * 2, [worse] * 2))
    mean, low, high = (float(n.replace("$", "")) for n in re.findall(r"\$[+-][0-9.]+\$|\$[+-]\$[0-9.]+", shown))
    assert mean == 10 and 3 < low < 10 < high < 17


def test_a_table_has_its_rules_and_groups():
    text = latex.tabular("ll", ["a", "b"], [[["1", "2"]], [], [["3", "4"]]])
    assert text.count(r"\midrule") == 2 and "1 & 2 \\\\" in text and text.endswith(r"\end{tabular}")


def test_a_value_is_that_of_the_runs(evidence):
    add_runs(evidence, "cifar10/paper/full", [0.6, 0.7, 0.8])
    add_runs(evidence, "cifar10/paper/quick", [0.5])
    add_runs(evidence, "cifar10/paper_tuned/full", [0.75])
    assert resolve("cifar10/paper/full:test", evidence) == "70.00"
    assert resolve("cifar10/paper/full:spread", evidence) == r"70.00\,$\pm$\,10.00"
    assert resolve("cifar10/paper/largest:seeds", evidence) == "3"  # of full, not of quick
    assert resolve("cifar10/paper/quick:minutes", evidence) == "2"
    assert resolve("cifar10/paper_tuned/full minus cifar10/paper/full", evidence) == "$+5.00$"
    assert resolve("cifar10/paper_tuned/full against cifar10/paper/full", evidence) == "5.00 points above"
    assert resolve("cifar10/paper/full against cifar10/paper_tuned/full", evidence) == "5.00 points below"
    assert resolve("cifar10/paper/full against cifar10/paper/full", evidence) == "level with"
    assert evidence.missing == []


def test_parameters_are_counted_and_need_no_run(evidence):
    assert resolve("mnist/paper/full:params", evidence) == "14,862"
    assert resolve("cifar10/repo_baseline/largest:params", evidence) == "334,706"
    assert resolve("cifar10/repo_residual_se/largest:trainable", evidence) == "83,344"
    assert evidence.counts("cifar10", "repo_baseline").convolutional == 4200
    assert evidence.counts("mnist", "residual_se").params < 15_000 < evidence.counts("cifar10", "residual_se").params
    assert evidence.counts("cifar10", "paper", 64).params > 4 * evidence.counts("cifar10", "paper").params
    assert evidence.counts("cifar10", "residual_se", 64).params == evidence.counts("cifar10", "residual_se").params


def test_what_is_not_there_is_marked_and_counted_once(evidence):
    assert resolve("cifar10/residual_se/full:test", evidence) == latex.NOT_RUN
    assert resolve("cifar10/residual_se/full:seeds", evidence) == latex.NOT_RUN
    assert evidence.missing == ["`residual_se` on cifar10 with preset full was not run"]
    for name, table in TABLES.items():
        if name != "image_sizes":
            assert re.search(r"\\notrun|not trained here", table(evidence)), name


@pytest.mark.parametrize(
    "name, said",
    [
        ("cifar10/papr/full:test", "Did you mean 'paper'"),
        ("cifar/paper/full:test", "Did you mean 'cifar10'"),
        ("cifar10/paper/fool:test", "Did you mean 'full'"),
        ("cifar10/paper/full:tets", "Did you mean 'test'"),
        ("cifar10/paper:test", "A group is"),
        ("paper reachd", "Did you mean 'paper reached'"),
        ("a/b/c minus d/e/f minus g/h/i", "data set"),
    ],
)
def test_a_name_that_stands_for_nothing_is_an_error(evidence, name, said):
    with pytest.raises(LwcnnError, match=re.escape(said)):
        resolve(name, evidence)


def test_the_audit_s_words_are_set_as_latex(evidence):
    text = "`a_b` 67.33 ± 0.63 %; -1.56 points [-2.45, +0.78], 1x1, ResNet-18"
    shown = text_as_latex(text)
    assert shown.startswith(r"\texttt{a\_\allowbreak{}b} 67.33\,$\pm$\,0.63\,\%; $-$1.56 points [$-$2.45, $+$0.78]")
    assert shown.endswith(r"$1\times1$, ResNet-18")
    paper, large = TABLES["audit_paper"](evidence), TABLES["audit_resnets"](evidence)
    assert latex.NOT_RUN in paper and "14,862" in paper and "lwcnn train" not in paper
    assert "not trained here" in large and latex.NOT_RUN not in large and "4,754,218" in large
    assert any("lwcnn train paper --dataset cifar10" in what for what in evidence.missing)


def test_the_sentence_on_the_paper_s_figures_follows_the_numbers(evidence):
    add_runs(evidence, "mnist/paper/full", [0.99])
    add_runs(evidence, "fashion_mnist/paper/full", [0.88])
    add_runs(evidence, "cifar10/paper/full", [0.8])
    found = resolve("paper reached", evidence)
    assert found == "reaches it on MNIST and CIFAR-10, and stays below it on Fashion-MNIST"


def test_lost_classes_are_counted(evidence):
    add_runs(evidence, "mnist/paper/full", [0.9, 0.9])
    lost = {"one": 0.9, "two": 0.01}
    add_runs(evidence, "mnist/paper_as_published/full", [0.9], per_class_accuracy=lost)
    found = resolve("lost classes", evidence)
    assert found.startswith("one of one with the code as published (class `two' on MNIST, seed 0) and none of two")


@pytest.mark.parametrize(
    "single, side", [(0.4, "lies below zero for"), (0.8, "above zero for"), (0.6, "includes zero")]
)
def test_the_ablation_s_sentence_follows_the_intervals(evidence, single, side):
    add_runs(evidence, "mnist/paper/quick", [0.6, 0.6])
    add_runs(evidence, "mnist/single/quick", [single, single])
    found = resolve("ablation mnist", evidence)
    assert side in found and r"\texttt{single}" in found and "no\\_" not in found


def test_claimed_gains_are_judged_by_the_interval(evidence):
    for name in (BASELINE, left_out("residual"), left_out("se")):
        add_runs(evidence, f"cifar10/{name}/quick", [0.6, 0.6])
    for name, share in ((only("residual"), 0.7), (only("se"), 0.6), (WHOLE, 0.61)):
        add_runs(evidence, f"cifar10/{name}/quick", [share, share])
    alone, within = resolve("parts", evidence).split(". ")
    assert "reaches what is claimed for residual connections" in alone
    assert "lies below the claim for squeeze-and-excitation" in alone
    assert "lies below the claim for residual connections" in within
    assert all(claimed_points(part.claim) > 0 for part in PARTS.values() if part.claim)


def test_calibration_is_that_of_the_seeds_that_were_scaled(evidence):
    add_runs(
        evidence, "mnist/paper/full", [0.9, 0.9], ece_scaled=0.02, test_loss=0.5, test_loss_scaled=0.4, temperature=2.0
    )
    add_runs(evidence, "cifar10/paper/full", [0.9])  # never scaled, not released
    mnist, *_, cifar10 = (row for row in TABLES["calibration"](evidence).splitlines() if r"\texttt{paper} " in row)
    assert r"10.00 & 2.00 & 0.500 & 0.400 & 2.00 & validation & 2" in mnist
    assert latex.NOT_RUN in cifar10
    assert resolve("scaling lowers", evidence) == "one of the one networks measured"


def test_goals_are_met_missed_or_open(evidence):
    add_runs(evidence, "cifar10/residual_se/full", [0.9])
    add_runs(evidence, "cifar10/residual_se_small/quick", [0.5])
    found = resolve("goals", evidence)
    assert re.search(r"met by \S*residual\\_\S*se\S* on CIFAR-10; missed by", found)
    assert "not yet tried for" in found and "Fashion-MNIST" in found


def test_every_experiment_that_is_named_exists():
    named = {goal.experiment for goal in GOALS} | set(TITLES)
    assert named <= set(EXPERIMENT_NAMES)


def test_names_are_found_without_comments_and_over_line_ends():
    text = "\\newcommand{\\val}[1]{x}\\begin{document}\n\\val{a\n  b} 5\\% \\val{c} % \\val{d}\n\\generated{e}"
    assert used_names(text) == (["a b", "c"], ["e"])


def test_an_unknown_table_is_an_error(tmp_path, evidence):
    source = tmp_path / "a.tex"
    source.write_text(r"\begin{document}\generated{improvd}")
    with pytest.raises(LwcnnError, match="Did you mean 'improved'"):
        generate(source, tmp_path, evidence)
    with pytest.raises(LwcnnError, match="Can't read"):
        generate(tmp_path / "b.tex", tmp_path, evidence)


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """The report's own values and tables, from the committed results, and the folder they are in."""
    work = tmp_path_factory.mktemp("work")
    return generate(SOURCE, work, Evidence(Folders(results=ROOT / "results"))), work


def test_all_that_the_report_names_is_made(generated):
    made, work = generated
    values = (work / "generated/values.tex").read_text(encoding="utf-8")
    names, tables = used_names(SOURCE.read_text(encoding="utf-8"))
    assert names and set(names) == set(re.findall(r"csname lwcnn:(.*?)\\endcsname", values))
    assert set(tables) == {path.stem for path in (work / "generated").glob("*.tex")} - {"values"} == set(TABLES)
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
    monkeypatch.setattr(document.shutil, "which", lambda name: None)
    with pytest.raises(LwcnnError, match="texlive-latex-recommended"):
        build_pdf(SOURCE, tmp_path)


def test_the_command_says_what_is_missing(tmp_path, capsys):
    source = tmp_path / "a.tex"
    source.write_text(r"\begin{document}\val{cifar10/residual_se/full:test} \val{mnist/paper/full:params}")
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
    assert MAX_OVERFULL < 5 and str(tmp_path).encode() not in first
