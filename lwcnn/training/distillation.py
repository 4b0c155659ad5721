"""Knowledge distillation with Keras's `Distiller`: the teacher is an ensemble of trained models of one experiment.

Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531.
"""

import hashlib

import keras
from keras import layers

from lwcnn.system.errors import LwcnnError


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


def weights_digest(model: keras.Model) -> str:
    """Names a model's weights, for the cache."""
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(keras.ops.convert_to_numpy(weight).tobytes())
    return digest.hexdigest()[:16]


def build_distiller(teacher: keras.Model, student: keras.Model, temperature: float, label_weight: float) -> keras.Model:
    """Builds Keras's Distiller, which trains the student when it is trained itself.

    The divergence is given as an object: Keras 3.15 applies its own default, the name "kl_divergence", to the logits
    without softmax, and the loss becomes negative.

    Args:
        teacher: Model that gives logits. It does not change.
        student: Model that gives logits.
        temperature: Number that divides both models' logits before the divergence, which counts temperature^2 times.
        label_weight: Float between 0 and 1. Weight of the labels in the loss; the teacher has the rest.
    """
    return keras.distillation.Distiller(
        teacher,
        student,
        keras.distillation.LogitsDistillation(temperature, keras.losses.KLDivergence()),
        student_loss_weight=label_weight,
    )
