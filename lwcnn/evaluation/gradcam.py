"""Grad-CAM: where in an image a layer saw what speaks for a class. On TensorFlow and JAX.

Source: Selvaraju et al., "Grad-CAM", arXiv 1610.02391, equations 1 and 2.
"""

import cv2
import keras
import numpy as np

from lwcnn.evaluation.logits import require_classifier_of
from lwcnn.system.errors import LwcnnError, unknown_name


def gradcam_heatmap(
    model: keras.Model, images: np.ndarray, class_index: int | np.ndarray, layer: str, batch_size: int = 100
) -> np.ndarray:
    """Heat maps of images for a class.

    The layer's channels are weighted by the mean gradient of the class's logit, added up, and cut at zero; each
    map is divided by its largest value and enlarged, bilinearly, to the image's size.

    Args:
        model: a functional model of one input, (n, h, w, c), and logits (n, classes) as its output.
        images: (n, h, w, c), as the model takes them.
        class_index: the class looked for in all images, or one an image, shape (n,).
        layer: name of a layer with an output of (n, rows, columns, channels).
        batch_size: images at a time; it does not change the result beyond rounding.

    Returns:
        float32, (n, h, w), 0 to 1; all zero where nothing in the layer speaks for the class.

    Raises:
        LwcnnError: A model of several inputs or outputs, images of another size, an unknown layer, one without a map,
            classes that the model has not, or another backend.
    """
    require_classifier_of(images, model)
    names = [each.name for each in model.layers]
    if layer not in names:
        raise unknown_name("layer", layer, names)
    activation = model.get_layer(layer).output
    if isinstance(activation, (list, tuple)) or len(activation.shape) != 4:
        raise LwcnnError(f"Give a layer with an output of (n, rows, columns, channels). Received: {layer!r}")
    num_classes, classes = model.output_shape[-1], np.asarray(class_index)
    fits = np.issubdtype(classes.dtype, np.integer) and classes.shape in ((), (len(images),))
    if not fits or (classes.size and not 0 <= classes.min() <= classes.max() < num_classes):
        raise LwcnnError(
            f"class_index must be a class, 0 to {num_classes - 1}, or one for each of {len(images)} images. "
            f"Received: {class_index!r}"
        )
    classes = np.broadcast_to(classes, len(images))
    trunk = keras.Model(model.inputs[0], activation)
    # The rest of the model still reads the images: they may reach the logits by other ways than through this layer.
    rest = keras.Model([model.inputs[0], activation], model.outputs[0])
    maps = []
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        pixels = keras.ops.convert_to_tensor(np.asarray(images[part], dtype=np.float32))
        activations = trunk(pixels, training=False)
        chosen = keras.ops.one_hot(classes[part].astype(np.int32), num_classes)
        gradients = _gradients(rest, pixels, activations, chosen)
        maps.append(_weighted_sum(np.array(activations), np.array(gradients)))
    return _enlarge(np.concatenate(maps), images.shape[1:3]) if maps else np.zeros(images.shape[:3], np.float32)


def last_maps(model: keras.Model) -> list[str]:
    """The layers to look at where none is named: the last convolution or normalization with a map, of each branch.

    Raises:
        LwcnnError: a model without such a layer.
    """
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.BatchNormalization)
    found: dict[str, str] = {}
    for each in model.layers:
        if isinstance(each, kinds) and min(each.output.shape[1:3]) > 1:
            branch = each.name.removesuffix("_conv2").removesuffix("_conv1")
            found[branch if each.name != branch else ""] = each.name
    if not found:
        raise LwcnnError(f"Give a model with convolutions on maps. Received: {model.name!r}")
    return [name for branch, name in found.items() if branch] or [found[""]]


def _gradients(rest: keras.Model, pixels, activations, chosen):
    """Gradient of each image's chosen logit by its activations, the activations' shape."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(activations)
            total = tf.reduce_sum(rest([pixels, activations], training=False) * chosen)
        return tape.gradient(total, activations)
    if backend == "jax":
        import jax

        weights = [[v.value for v in group] for group in (rest.trainable_variables, rest.non_trainable_variables)]

        def total(activations):
            logits, _ = rest.stateless_call(*weights, [pixels, activations], training=False)
            return (logits * chosen).sum()

        return jax.grad(total)(activations)
    raise LwcnnError(f"Heat maps need the backend tensorflow or jax; set KERAS_BACKEND. Received: {backend!r}")


def _weighted_sum(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """(n, rows, columns): equations 1 and 2, each map divided by its largest value."""
    weights = gradients.mean(axis=(1, 2), keepdims=True)  # (n, 1, 1, channels)
    maps = np.maximum((weights * activations).sum(axis=-1), 0)
    largest = maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps, largest, out=np.zeros_like(maps), where=largest > 0)


def _enlarge(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if maps.shape[1:] == tuple(size):
        return maps.astype(np.float32)
    height, width = size
    enlarged = [cv2.resize(one.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) for one in maps]
    return np.clip(np.stack(enlarged), 0, 1)
