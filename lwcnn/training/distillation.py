"""Knowledge distillation with Keras's `Distiller`: the teacher is an ensemble of trained models of one experiment.

Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531.
"""

import hashlib
from pathlib import Path

import keras
from keras import layers

from lwcnn.engine.fused import copy_weights
from lwcnn.experiments.recipes.types import Distillation, Teacher
from lwcnn.models.configs import Network, ResidualSE
from lwcnn.models.io import load_model
from lwcnn.models.residual_se import build_residual_se
from lwcnn.system.errors import LwcnnError


def find_teacher(teacher: Teacher, dataset: str, cache: Path, models: Path) -> list[Path]:
    """The files of a teacher's models: those in the cache, else the committed ones.

    Args:
        teacher: whose.
        dataset: the data set's name.
        cache: folder of trained models, `<dataset>/<experiment>/<preset>/seed<k>.keras`.
        models: folder of released models, with `teachers/<dataset>-<experiment>-seed<k>.keras`.

    Raises:
        LwcnnError: if one of them is nowhere; the message has the command that trains it.
    """
    paths = []
    for seed in teacher.seeds:
        trained = Path(cache) / dataset / teacher.experiment / teacher.preset / f"seed{seed}.keras"
        released = teacher_path(models, dataset, teacher.experiment, seed)
        found = [path for path in (trained, released) if path.exists()]
        if not found:
            raise LwcnnError(
                f"A model to teach is missing: train it by `lwcnn train {teacher.experiment} --dataset {dataset} "
                f"--preset {teacher.preset} --seeds {seed}`. Looked for {trained} and {released}"
            )
        paths.append(found[0])
    return paths


def teacher_path(models: Path, dataset: str, experiment: str, seed: int) -> Path:
    """Where a seed's model is committed, for experiments that teach."""
    return Path(models) / "teachers" / f"{dataset}-{experiment}-seed{seed}.keras"


def build_ensemble(members: list[keras.Model]) -> keras.Model:
    """A model that gives the mean of its members' logits, (n, height, width, channels) -> (n, num_classes).

    Args:
        members: models of one input and one output, all of the same shapes.

    Raises:
        LwcnnError: no members, or members of other shapes.
    """
    shapes = {(tuple(m.input_shape), tuple(m.output_shape)) for m in members}
    if len(shapes) != 1:
        raise LwcnnError(f"An ensemble needs members of one input and output shape. Received: {sorted(shapes)}")
    images = keras.Input(members[0].input_shape[1:], name="images")
    logits = []
    for i, member in enumerate(members):
        member.name = f"member{i}"
        logits.append(member(images))
    mean = layers.Average(name="logits")(logits) if len(logits) > 1 else logits[0]
    return keras.Model(images, mean, name="ensemble")


def load_teacher(paths: list[Path], network: Network | None = None) -> keras.Model:
    """The ensemble of the models in files.

    Args:
        paths: of the models.
        network: their description; a `ResidualSE` teaches in its fused form, which is faster on a CPU.
    """
    members = [load_model(path) for path in paths]
    if isinstance(network, ResidualSE):
        members = [_fused(member, network) for member in members]
    return build_ensemble(members)


def _fused(member: keras.Model, network: ResidualSE) -> keras.Model:
    """The fused form of a model; of one that is not as described, of another version say, the model itself."""
    twin = build_residual_se(member.input_shape[1:], member.output_shape[-1], network, fused=True)
    try:
        copy_weights(member, twin)
    except LwcnnError:
        return member
    return twin


def weights_digest(model: keras.Model) -> str:
    """Names a model's weights, for the cache."""
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(keras.ops.convert_to_numpy(weight).tobytes())
    return digest.hexdigest()[:16]


def build_distiller(teacher: keras.Model, student: keras.Model, settings: Distillation) -> keras.Model:
    """Keras's Distiller: trained in the student's place, it trains the student.

    The divergence is given as an object. Keras 3.15 takes its own default, the name "kl_divergence", for a function of
    something else and applies it to the logits themselves, without softmax: the loss falls below nought.

    Args:
        teacher: gives logits; it stays as it is.
        student: gives logits.
        settings: the temperature and the weights of the two losses.
    """
    return keras.distillation.Distiller(
        teacher,
        student,
        keras.distillation.LogitsDistillation(settings.temperature, keras.losses.KLDivergence()),
        student_loss_weight=settings.label_weight,
    )
