"""Tables: one object in two formats, values from made results, and the README's from the committed ones."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest
from made_data import ROOT
from publication.made_results import write_folds, write_run
from scipy.stats import binomtest

from lwcnn.experiments.recipes.ablation import BASELINE, OPTIMIZERS, PARTS, WHOLE, leave_one_out, only
from lwcnn.experiments.results import MissingInput
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.measurement import Measurement
from lwcnn.publication.names import named
from lwcnn.publication.tables import ablations, accuracies, benchmarks, networks
from lwcnn.publication.tables.benchmarks import benchmark_table
from lwcnn.publication.tables.catalogue import all_tables, fill, write_tables
from lwcnn.publication.tables.table import Table, to_latex
from lwcnn.system.errors import LwcnnError


@pytest.fixture
def evidence(tmp_path):
    for seed, (wrong, wrong_alone) in enumerate([(10, 20), (12, 18)]):
        write_run(tmp_path, "mnist/paper/quick", seed, wrong, ece=0.01 * (seed + 1))
        write_run(tmp_path, "mnist/single/quick", seed, wrong_alone)
    return Evidence(tmp_path)


def cells(table, name):
    """The cells of the row that shows a name, as Markdown."""
    (row,) = (line for line in table.markdown().splitlines() if f"`{name}`" in line)
    return [cell.strip() for cell in row.split("|")[1:-1]]


def test_one_table_in_two_formats():
    gain = Measurement(-1.5, "points", interval=(-2, 0.5), signed=True)
    table = Table(["what & who", "`a_b`"], [[["5%", gain]], [], [["1x1 < 2", MissingInput("run it")]]], "lr")
    assert table.markdown() == (
        "| what & who | `a_b` |\n|---|---|\n| 5% | -1.50 [-2.00, +0.50] |\n| 1x1 < 2 | not run |"
    )
    latex = table.latex()
    assert latex.count(r"\midrule") == 2 and r"what \& who & \texttt{a\_\allowbreak{}b} \\" in latex
    assert r"5\% & $-$1.50 [$-$2.00, $+$0.50] \\" in latex and r"$1\times1$ $<$ 2 & \notrun{} \\" in latex
    assert to_latex(named("residual_se_muon")) == "Wren" and "`residual_se_muon`" in named("residual_se_muon")
    assert [isinstance(one, MissingInput) for one in table.measured] == [False, True]
    assert Table(["a"], []).markdown() == ""


def test_latex_is_escaped():
    assert to_latex("50% of a_b & c ± 1") == r"50\% of a\_b \& c\,$\pm$\,1"
    assert to_latex("`x+y` 0.4–0.2, 10-20") == r"\texttt{x+\allowbreak{}y} 0.4--0.2, 10-20"


def test_results_have_mean_and_deviation(evidence):
    assert cells(accuracies.accuracies(evidence), "paper")[:9] == [
        *("MNIST", "paper's method (`paper`)", "quick", "14,862", "2", "89.00", "89.00 ± 1.41", "99", "1.5")
    ]


def test_a_scaled_error_of_some_seeds_is_not_shown(evidence):
    write_run(evidence.folder, "mnist/paper/quick", 1, 12, ece=0.02, ece_scaled=0.005)
    assert cells(accuracies.accuracies(Evidence(evidence.folder)), "paper")[9] == ""
    write_run(evidence.folder, "mnist/paper/quick", 0, 10, ece=0.01, ece_scaled=0.003)
    assert cells(accuracies.accuracies(Evidence(evidence.folder)), "paper")[9] == "0.4"


def test_calibration_compares_the_same_seeds(tmp_path):
    scaled = {"ece_scaled": 0.02, "test_loss": 0.5, "test_loss_scaled": 0.4, "temperature": 2.0}
    write_run(tmp_path, "mnist/paper/full", 0, 10, ece=0.3)  # never scaled
    write_run(tmp_path, "mnist/paper/full", 1, 10, ece=0.1, **scaled)
    runs = Evidence(tmp_path).network("mnist", "paper").scaled_runs
    assert runs[["seed", "ece", "ece_scaled"]].to_numpy().tolist() == [[1, 0.1, 0.02]]


def test_ablations_pair_the_seeds(evidence):
    row = cells(ablations.method(evidence, ["mnist"]), "single")
    assert row[1].startswith("-8.00 [-1") and row[1].endswith("]")
    # Seed 0: 10 images right only with `paper`, none only with `single`; seed 1: 6.
    assert row[2] == ", ".join(f"{binomtest(0, n).pvalue:.3f}"[1:] for n in (10, 6))


def test_only_the_seeds_of_both_are_compared(tmp_path):
    for name, runs in {"paper": {0: 50, 1: 10}, "single": {1: 20, 2: 0}}.items():
        for seed, wrong in runs.items():
            write_run(tmp_path, f"mnist/{name}/quick", seed, wrong)
    found = Evidence(tmp_path).network("mnist", "single").minus("paper")
    assert found.by_seed == pytest.approx((-0.1,)) and found.mean == pytest.approx(-0.1)


def test_parts_name_what_was_not_run(tmp_path):
    write_run(tmp_path, f"cifar10/{BASELINE}/quick", 0, 75)
    write_run(tmp_path, f"cifar10/{only('se')}/quick", 0, 50)
    write_run(tmp_path, f"cifar10/{only('se')}/quick", 1, 0)  # no baseline with this seed
    write_run(tmp_path, f"cifar10/{WHOLE}/quick", 0, 10)
    write_run(tmp_path, f"cifar10/{leave_one_out('residual')}/quick", 0, 30)
    table = ablations.parts(Evidence(tmp_path))
    assert len(table.rows) == 1 + len(PARTS) + len(OPTIMIZERS)
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.markdown().splitlines()[2:]]
    assert lines[0][:5] == ["none; all", "25.00", "", "", "90.00"]
    shortcuts, se = (next(line for line in lines if line[0] == PARTS[key].title) for key in ("residual", "se"))
    assert shortcuts[1:3] == ["not run", "not run"]
    assert shortcuts[4] == "70.00" and shortcuts[5].startswith("+20.00 ["), "what is lost without them"
    assert se[1] == "75.00 ± 35.36"  # 50 and 100, of both seeds
    assert se[2].startswith("+25.00 [") and se[3] == "<.001" and se[4:6] == ["not run", "not run"]


def test_trials_run_down_the_columns():
    names = ["a", "b", "c+rate_0.02+smoothing_0", "d+ema_batch_norm+rate_0.02+smoothing_0", "e"]
    frame = pd.DataFrame({"trial": names, "params": 29_960, "val_accuracy": [0.9, 0.8, 0.7, 0.6, 0.5]})
    assert ablations.trials(SimpleNamespace(trials=frame), 2).rows == [
        ["`a`", "30.0", "90.0", "`d+A`", "30.0", "60.0"],
        ["`b`", "30.0", "80.0", "`e`", "30.0", "50.0"],
        ["`c+R`", "30.0", "70.0", "", "", ""],
    ]


def test_folds_show_the_leak(tmp_path):
    group = "mnist/paper_as_published/quick"
    write_folds(tmp_path, group, [0.99, 0.995], leaky=True, test_accuracy=0.98, leak=0.0125)
    assert accuracies.folds(Evidence(tmp_path)).markdown().splitlines()[2] == (
        "| MNIST | paper's code (`paper_as_published`), model never reset, as published | quick | 99.00 99.50 | "
        "99.25 ± 0.35 | 98.00 | +1.25 |"
    )


def test_references_quote_claims_apart_from_what_was_trained_here(tmp_path):
    (tmp_path / "networks").mkdir()
    cost = {"params": 1234, "macs": 5_600_000, "float32_bytes": 4936, "memory_mb": {"total": 2.25}}
    for name in ("narrow_resnet18", "mobilenet_v2"):
        (tmp_path / "networks" / f"{name}.json").write_text(json.dumps(cost | {"model": name}))
    rows = [{"name": "litert", "batch1": {"p50_ms": 1.25, "p90_ms": 1.5}}]
    measured = {"dataset": "", "experiment": "mobilenet_v2", "rows": rows}
    (tmp_path / "bench_networks.json").write_text(json.dumps({"models": [measured], "machine": {"device": "a CPU"}}))
    write_run(tmp_path, "cifar10/mobilenet_v2_momentum/quick", 0, 20)
    table = networks.references(Evidence(tmp_path))
    resnet = cells(table, "narrow_resnet18")
    assert resnet[:5] == ["narrow ResNet-18 (`narrow_resnet18`)", "1,234", "5.6", "0.0", "2.2"]
    assert resnet[5:8] == ["not run", "95.53", "not run"]
    assert cells(table, "mobilenet_v2_momentum")[5:8] == ["1.25 (1.50)", "", "80.00 (15 epochs)"]


def test_the_command_of_a_run_has_its_backend_epochs_and_precision(tmp_path):
    run = {"backend": "jax", "config": {"computing": {"precision": "mixed_bfloat16", "devices": 2}}}
    write_run(tmp_path, "cifar10/narrow_resnet18-epochs100/full", 0, 50, **run)
    command = "lwcnn train narrow_resnet18 --dataset cifar10 --preset full --epochs 100 --seeds 0"
    trained = Evidence(tmp_path).network("cifar10", "narrow_resnet18-epochs100")
    assert trained.command == f"KERAS_BACKEND=jax {command} --precision mixed_bfloat16 --devices 2"


def test_tables_of_few_runs_are_shown_and_a_folder_without_runs_is_refused(evidence, tmp_path):
    shown = all_tables(evidence.folder)
    assert "`single`" in shown and "| part |" not in shown, "none of the parts was run"
    with pytest.raises(LwcnnError, match="no results.*Received: .*none"):
        all_tables(tmp_path / "none")


def test_a_training_step_is_compared_with_the_rivals_that_were_measured():
    base = {"threads": 2, "workload": "paper", "timed_images": 12_800}
    ours, keras = (
        base | {"contender": name, "median": s, "seconds": [s]} for name, s in (("lwcnn", 4.0), ("keras", 10.0))
    )
    assert [cell for cell in benchmark_table("train_step", [ours]).rows[0][-2:] if cell] == []
    assert benchmark_table("train_step", [keras, ours]).rows[0][-2:] == ["2.50", ""]


def test_formats_that_were_not_benchmarked_are_marked(tmp_path):
    row = {
        "name": "litert-int8", "batch1": {"p50_ms": 1.25, "p90_ms": 1.5}, "images_per_second": 1234.4,
        "peak_memory_bytes": 56_000_000,
    }  # fmt: skip
    found = {"models": [{"model": "mine.keras", "rows": [row]}], "machine": {"device": "a CPU"}}
    (tmp_path / "bench.json").write_text(json.dumps(found))
    (shown,) = benchmarks.bench(Evidence(tmp_path)).markdown().splitlines()[2:]
    assert shown == f"| mine |{' not run |' * 4} 1.250 (1.500) | 1,234 | 56 | not run |"


def test_tables_are_filled_between_their_marks(evidence, tmp_path):
    page, other = tmp_path / "page.md", tmp_path / "other.md"
    page.write_text("before\n<!-- accuracies -->\nSTALE\n<!-- end of accuracies -->\nafter\n")
    other.write_text("no marks")
    write_tables([page, other], evidence.folder)
    table = accuracies.accuracies(evidence).markdown()
    assert page.read_text() == f"before\n<!-- accuracies -->\n{table}\n<!-- end of accuracies -->\nafter\n"
    assert other.read_text() == "no marks" and table in all_tables(evidence.folder)
    with pytest.raises(LwcnnError, match="Put marks"):
        write_tables([other], evidence.folder)
    page.write_text("<!-- robustness -->\n<!-- end of robustness -->")
    write_tables([page], evidence.folder)
    assert page.read_text() == "<!-- robustness -->\n| result |\n|---|\n| not run |\n<!-- end of robustness -->"
    page.write_text("<!-- acuracies -->\n<!-- end of acuracies -->")
    with pytest.raises(LwcnnError, match="Did you mean 'accuracies'"):
        write_tables([page], evidence.folder)


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_pages_have_the_tables_of_the_committed_results(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert fill(text, Evidence(ROOT / "results")) == text, "run: lwcnn table --write README.md docs/*.md"


def test_p_values_of_many_seeds_are_a_range():
    assert ablations.p_values([0.0004, 0.25, 1.0]) == "<.001, .250, 1"
    assert ablations.p_values([0.25, 0.0004, 1.0, 0.01]) == "<.001 to 1"
    assert ablations.p_values([0.0004] * 5) == "all <.001"
