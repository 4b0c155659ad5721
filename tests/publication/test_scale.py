"""docs/scale.md says what the results say."""

from made_data import ROOT

from lwcnn.experiments.results import load_benchmark, load_results

TEXT = " ".join((ROOT / "docs/scale.md").read_text().split())


def test_what_a_cluster_loses_by_kills_is_as_measured():
    found = load_benchmark(ROOT / "results", "cluster_kills")
    assert found["exit_code"] == 0 and found["epochs_trained_twice"] == 0
    assert found["results"] == found["same_weights_as_without_cluster"] == found["runs"]
    assert found["epochs_trained"] == found["epochs_of_the_runs"]
    killed = [kill["killed"].split()[0] for kill in found["kills"]]
    assert (killed.count("worker"), killed.count("node")) == (3, 2)
    assert f"{found['runs']} queued runs, three workers and two nodes killed" in TEXT
    assert f"their {found['epochs_of_the_runs']} epochs, none" in TEXT


def test_the_plan_is_made_from_the_runs():
    runs = load_results(ROOT / "results").query("dataset == 'cifar10' and preset == 'full'")
    seconds = runs[runs["experiment"] == "residual_se_muon"]["train_seconds"]
    spread = f"(mean of {len(seconds)} seeds; {seconds.min():,.0f} to {seconds.max():,.0f})"
    assert f"{seconds.mean():,.0f} s on one thread {spread}" in TEXT
    assert f"{round(10_000 * seconds.mean() / 3600, -2):,.0f} core-hours" in TEXT
