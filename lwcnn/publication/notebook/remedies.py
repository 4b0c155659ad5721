"""Which command makes what a figure or a table of the notebook lacks."""

from lwcnn.experiments.recipes.ablation import BASELINE, PARTS, WHOLE, left_out, only
from lwcnn.experiments.recipes.paper import EXPERIMENTS

WITH_PIXELS = ("confused_pairs", "confident_errors", "gradcam")  # figures that show images


def command_for(name: str, dataset: str, own: bool = False) -> str:
    """The command that makes what a figure or a table lacks, as a sentence.

    Args:
        name: of the figure, or "search" or "kfold".
        dataset: its data set.
        own: whether the results are those of the notebook itself, in `runs/`.
    """
    folders = " --results runs/results --models runs/models" if own else ""
    quick = f"--dataset {dataset} --preset quick --seeds 0 1 2{folders}"
    commands = {
        "int8_bytes": f"lwcnn export models/{dataset}-paper.keras --format litert-int8",
        "latency": f"lwcnn bench models/{dataset}-paper.keras --json results/bench.json",
        "ablation": f"lwcnn train {' '.join(EXPERIMENTS)} {quick}",
        "parts": f"lwcnn train {' '.join([BASELINE, *map(only, PARTS), WHOLE, *map(left_out, PARTS)])} {quick}",
        "search": f"lwcnn search --dataset {dataset} --epochs 12",
        "kfold": f"lwcnn kfold paper --dataset {dataset}",
        "improved": f"lwcnn train residual_se --dataset {dataset} --preset full --seeds 0 1 2{folders}",
    }
    command = commands.get(name, f"lwcnn train paper paper_tuned --dataset {dataset} --preset full{folders}")
    images = "; images are looked for where `lwcnn datasets` says" if name in WITH_PIXELS else ""
    return f"`{command}` makes what it needs{images}."
