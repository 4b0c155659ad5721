"""Knowledge distillation with Keras's `Distiller`; the teacher is an ensemble of trained models of one experiment.

Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531.
"""

import hashlib

import keras

from lwcnn.models.layers import SoftVoting
from lwcnn.system.errors import LwcnnError


def build_ensemble(members: list[keras.Model]) -> keras.Model:
    """Builds a model that returns the log of its members' mean probabilities, as `lwcnn evaluate` averages them."""
    shapes = {(tuple(m.input_shape), tuple(m.output_shape)) for m in members}
    if len(shapes) != 1:
        raise LwcnnError(f"An ensemble needs members of one input and output shape. Received: {sorted(shapes)}")
    images = keras.Input(members[0].input_shape[1:], name="images")
    logits = []
    for i, member in enumerate(members):
        member.name = f"member{i}"
        logits.append(member(images))
    voted = SoftVoting(dtype="float32", name="logits")(logits) if len(logits) > 1 else logits[0]
    return keras.Model(images, voted, name="ensemble")


def weights_digest(model: keras.Model) -> str:
    """Returns a hash of a model's weights that identifies them in cache keys."""
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(keras.ops.convert_to_numpy(weight).tobytes())
    return digest.hexdigest()[:16]


def build_distiller(teacher: keras.Model, student: keras.Model, temperature: float, label_weight: float) -> keras.Model:
    """Builds Keras's Distiller, whose training trains the student; both models return logits."""
    divergence = keras.losses.KLDivergence()  # Keras 3.15 applies its default, a string, to logits without a softmax
    losses = keras.distillation.LogitsDistillation(temperature, divergence)
    return keras.distillation.Distiller(teacher, student, losses, student_loss_weight=label_weight)
