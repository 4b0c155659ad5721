"""Public functions raise an LwcnnError for an argument of another type, before they train or write."""

import numpy as np
import pytest

from lwcnn import finetune, get_experiment, load_dataset, run_experiment
from lwcnn.evaluation.gradcam import gradcam_heatmap
from lwcnn.experiments.kfold import run_kfold
from lwcnn.experiments.zoo import create_model
from lwcnn.export.run import export_model
from lwcnn.system.errors import LwcnnError

IMAGE = np.zeros((12, 12, 3), "uint8")


@pytest.fixture(scope="module")
def model():
    return create_model("wren-5k", input_shape=IMAGE.shape)


WRONG = {
    "finetune": (
        lambda model, data: finetune(model=model, dataset=data),
        "Give a model as the name .* Received: <Functional",
    ),
    "export": (
        lambda model, data: export_model(model=model, format_name="litert", dataset=data, output="a.tflite"),
        "Give a model as the name",
    ),
    "export data": (
        lambda model, data: export_model("wren-5k", "litert", "cifar10", "a.tflite"),
        "Give a dataset as lwcnn.load_dataset returns it. Received: 'cifar10'",
    ),
    "run": (lambda model, data: run_experiment(model, data), "Give the name of an exp.* Received: <Functional"),
    "kfold": (
        lambda model, data: run_kfold(
            get_experiment("wren", dataset=data), (data.x_train, data.y_train), num_folds=2.5
        ),
        "Give num_folds as an integer of 2 or more. Received: num_folds=2.5",
    ),
    "experiment": (
        lambda model, data: get_experiment("wren", dataset=(16, 16, 3)),
        r"Give a Dataset, its spec, or the name of a public dataset. Received: \(16, 16, 3\)",
    ),
    "classes": (
        lambda model, data: gradcam_heatmap(model, [IMAGE, IMAGE], [0, 1, 2]),
        r"Give class_index as an integer, or as one for each of 2 images. Received: int64 of shape \(3,\)",
    ),
    "class": (lambda model, data: gradcam_heatmap(model, [IMAGE], 0.5), "Give class_index as an integer"),
    "mirror": (
        lambda model, data: load_dataset((data.x_train, data.y_train), mirror=1),
        "Give mirror as True, False or None. Received: 1",
    ),
}


@pytest.mark.parametrize(("call", "message"), WRONG.values(), ids=WRONG)
def test_another_type_is_refused(call, message, model, made_dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LwcnnError, match=message):
        call(model, made_dataset)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_heatmaps_of_a_list_of_images(model):
    images = np.random.default_rng(0).integers(0, 256, (2, 12, 12, 3), "uint8")
    np.testing.assert_array_equal(gradcam_heatmap(model, list(images), [3, 4]), gradcam_heatmap(model, images, [3, 4]))
