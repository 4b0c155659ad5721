"""TrivialAugment and AutoAugment: the operations of RandAugment, drawn by other rules."""

import numpy as np

from lwcnn.data.augment.draws import Draws, Purpose
from lwcnn.data.augment.randaugment import (
    MAX_BITS_TAKEN,
    MAX_DEGREES,
    MAX_FACTOR_CHANGE,
    MAX_SHEAR,
    MAX_TRANSLATION,
    OPERATIONS,
    operate,
    random_signs,
)

WIDE = {
    "rotate": 135 / MAX_DEGREES,
    "posterize": 6 / MAX_BITS_TAKEN,
    **dict.fromkeys(("color", "contrast", "brightness", "sharpness"), 0.99 / MAX_FACTOR_CHANGE),
    **dict.fromkeys(("shear_x", "shear_y"), 0.99 / MAX_SHEAR),
    **dict.fromkeys(("translate_x", "translate_y"), 1 / MAX_TRANSLATION),  # 32 pixels of CIFAR's 32
}
"""TrivialAugment's largest strengths, relative to RandAugment's; 1 for other operations."""

NUM_LEVELS = 31

# Two operations, each with its probability and its level from 0 to 9.
CIFAR_POLICY = (
    (("invert", 0.1, 0), ("contrast", 0.2, 6)),
    (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
    (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
    (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.5, 0), ("equalize", 0.9, 0)),
    (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
    (("color", 0.4, 3), ("brightness", 0.6, 7)),
    (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
    (("equalize", 0.6, 0), ("equalize", 0.5, 0)),
    (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
    (("color", 0.7, 7), ("translate_x", 0.5, 8)),
    (("equalize", 0.3, 0), ("autocontrast", 0.4, 0)),
    (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)),
    (("brightness", 0.9, 6), ("color", 0.2, 8)),
    (("solarize", 0.5, 2), ("invert", 0.0, 0)),
    (("equalize", 0.2, 0), ("autocontrast", 0.6, 0)),
    (("equalize", 0.2, 0), ("equalize", 0.6, 0)),
    (("color", 0.9, 9), ("equalize", 0.6, 0)),
    (("autocontrast", 0.8, 0), ("solarize", 0.2, 8)),
    (("brightness", 0.1, 3), ("color", 0.7, 0)),
    (("solarize", 0.4, 5), ("autocontrast", 0.9, 0)),
    (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.9, 0), ("solarize", 0.8, 3)),
    (("equalize", 0.8, 0), ("invert", 0.1, 0)),
    (("translate_y", 0.7, 9), ("autocontrast", 0.9, 0)),
)
MAX_LEVEL = 9


def trivial_augment(images: np.ndarray, fill: str, draws: Draws) -> np.ndarray:
    """Returns the images after one random operation of random strength, in TrivialAugment's wide ranges.

    Source: Müller and Hutter 2021, arXiv 2103.10158.
    """
    uniform, names = draws.uniform(Purpose.TRIVIAL_AUGMENT, 3), tuple(OPERATIONS)
    drawn = np.floor(len(names) * uniform[:, 0]).astype(np.int64)
    largest = np.array([WIDE.get(name, 1.0) for name in names])[drawn]
    levels = np.floor(NUM_LEVELS * uniform[:, 1]) / (NUM_LEVELS - 1)
    changed = images.copy(order="C")
    operate(changed, names, drawn, largest * levels * random_signs(uniform[:, 2]), fill)
    return changed


def auto_augment(images: np.ndarray, fill: str, draws: Draws) -> np.ndarray:
    """Returns the images after one of the 25 pairs of operations of AutoAugment's policy for CIFAR-10.

    Source: Cubuk et al. 2018, arXiv 1805.09501.
    """
    uniform = draws.uniform(Purpose.AUTO_AUGMENT, 5)
    pairs = np.floor(len(CIFAR_POLICY) * uniform[:, 0]).astype(np.int64)
    changed = images.copy(order="C")
    for i in (0, 1):
        names, probabilities, levels = zip(*(pair[i] for pair in CIFAR_POLICY), strict=True)
        drawn = np.where(uniform[:, 1 + i] < np.array(probabilities)[pairs], pairs, -1)
        strengths = np.array(levels)[pairs] / MAX_LEVEL * random_signs(uniform[:, 3 + i])
        operate(changed, names, drawn, strengths, fill)
    return changed


POLICIES = {"trivial_augment": trivial_augment, "auto_augment": auto_augment}
"""Functions from (images, fill, draws) to changed images, by name."""
