"""Grad-CAM (arXiv 1610.02391): heatmaps of the image regions that support a class. Requires TensorFlow or JAX."""

import cv2
import keras
import numpy as np

from lwcnn.evaluation.predict import require_classifier_of
from lwcnn.models.graph import layer_outputs
from lwcnn.system.errors import wrong


def gradcam_heatmap(
    model: keras.Model, images: np.ndarray, class_index: int | np.ndarray, layer: str | None = None
) -> np.ndarray:
    """Computes Grad-CAM heatmaps: how much each image region supports a class.

    Args:
        model: Keras model that returns logits.
        images: Array of shape (n, height, width, channels), 0 to 255.
        class_index: Label of one class for all images, or an integer array of shape (n,).
        layer: Name of a layer with feature maps. None is the last convolution or batch normalization whose output has
            more than one row and column; with several branches, that of the first.

    Returns:
        Heatmaps of shape (n, height, width), float32 between 0 and 1. Each is divided by its maximum and resized
        bilinearly; it is zero if nothing supports the class.

    Raises:
        LwcnnError: The images do not fit the model, a class or the layer does not exist, or the backend is Torch.

    Examples:
        >>> import numpy as np
        >>> import lwcnn
        >>> wren = lwcnn.create_model("wren", pretrained="cifar10")
        >>> gradcam_heatmap(wren, np.zeros((2, 32, 32, 3), "uint8"), wren.class_names.index("cat")).shape
        (2, 32, 32)

    Source: arXiv 1610.02391.
    """
    images, classes = np.asarray(images), np.asarray(class_index)
    require_classifier_of(images, model)
    outputs = layer_outputs(model)
    layer = layer or default_layers(model)[0]
    if layer not in outputs or len(outputs[layer].shape) != 4:
        raise wrong("Give the name of a layer with feature maps; model.summary() lists the layers", repr(layer))
    activation = outputs[layer]
    num_classes = model.output_shape[-1]
    if classes.dtype.kind not in "iu" or classes.shape not in ((), images.shape[:1]):
        advice = f"Give class_index as an integer, or as one for each of {len(images)} images"
        raise wrong(advice, f"{classes.dtype} of shape {classes.shape}")
    if not 0 <= classes.min() <= classes.max() < num_classes:
        raise wrong(f"Give classes from 0 to {num_classes - 1}", f"{classes.min()} to {classes.max()}")
    trunk = keras.Model(model.inputs[0], activation)
    # The images are an input of `rest` as well: they may reach the logits along paths around this layer.
    rest = keras.Model([model.inputs[0], activation], model.outputs[0])
    chosen = np.broadcast_to(classes.astype(np.int32), len(images))
    pixels = keras.ops.convert_to_tensor(np.asarray(images, dtype=np.float32))
    activations = trunk(pixels, training=False)
    gradients = _gradients(rest, pixels, activations, keras.ops.one_hot(chosen, num_classes))
    return _heatmaps(np.array(activations), np.array(gradients), *images.shape[1:3])


def default_layers(model: keras.Model) -> list[str]:
    """Returns the last convolution or batch normalization of each branch whose output is higher and wider than 1."""
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.BatchNormalization)
    outputs, found = layer_outputs(model), dict[str, str]()
    names = {each.name for each in model.layers}
    for each in model.layers:
        shape = outputs[each.name].shape if isinstance(each, kinds) else ()
        if len(shape) == 4 and min(side or 2 for side in shape[1:3]) > 1:
            branch = each.name.removesuffix("_conv2").removesuffix("_conv1")
            is_branch = names & {f"{branch}_{head}" for head in ("logits", "dense", "dense_as_conv")}
            found[branch if is_branch else ""] = each.name
    if not found:
        raise wrong("Give a model with convolutions on feature maps", repr(model.name))
    return [name for branch, name in found.items() if branch] or [found[""]]


def _gradients(rest: keras.Model, pixels, activations, chosen):
    """Returns the gradient of each image's selected logit with respect to the activations, in their shape."""
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
    raise wrong("Set KERAS_BACKEND to tensorflow or jax to compute heatmaps", repr(backend))


def _heatmaps(activations: np.ndarray, gradients: np.ndarray, height: int, width: int) -> np.ndarray:
    """Applies equations 1 and 2; returns maps of shape (n, height, width), each divided by its maximum."""
    weights = gradients.mean(axis=(1, 2), keepdims=True)  # (n, 1, 1, channels)
    maps = np.maximum((weights * activations).sum(axis=-1), 0)
    largest = maps.max(axis=(1, 2), keepdims=True)
    maps = np.divide(maps, largest, out=np.zeros_like(maps), where=largest > 0)
    resized = [cv2.resize(one.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) for one in maps]
    return np.clip(np.stack(resized), 0, 1)
