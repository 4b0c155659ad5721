"""Writes each released model's description, from its run's JSON, into its file; weights and network keep their bytes.

For models that were released before files carried a description. `python benchmarks/describe_models.py`. Records of
exports and benchmarks that name the file's checksum get the new one.
"""

import json
from pathlib import Path

from lwcnn.experiments.finished import read_result
from lwcnn.experiments.results import run_paths
from lwcnn.models.io import Description, describe_model, file_checksum, read_description

ROOT = Path(__file__).resolve().parent.parent


def run_of(model: Path) -> dict | None:
    """The result of the run that a model in models/ or models/teachers/ comes from; None where none names it."""
    name, _, seed = model.stem.partition("-seed")
    dataset, experiment = name.rsplit("-", 1)
    folder = ROOT / "results" / dataset / experiment
    if seed:
        return read_result(folder / "full" / f"seed{seed}.json")
    results = [read_result(path) for preset in sorted(folder.glob("*")) for path in run_paths(preset)]
    return next((result for result in results if result["weights"] == f"models/{model.name}"), None)


def main() -> None:
    changed = {}
    for model in sorted((ROOT / "models").rglob("*.keras")):
        result = run_of(model)
        if result is None:
            print(f"no run names {model.name}")
        elif read_description(model) != (wanted := Description.of_run(result, tuple(result["per_class_accuracy"]))):
            before = file_checksum(model)
            describe_model(model, wanted)
            changed[before] = file_checksum(model)
    for path in sorted((ROOT / "results").rglob("*.json")):
        text = path.read_text(encoding="utf-8")
        if "model_sha256" in text:
            new = text
            for before, after in changed.items():
                new = new.replace(f'"model_sha256": "{before}"', f'"model_sha256": "{after}"')
            if new != text:
                json.loads(new)
                path.write_text(new, encoding="utf-8")
    print(f"described {len(changed)} models")


if __name__ == "__main__":
    main()
