"""Which Keras layer has which operation, and with which settings."""

import keras
from keras import layers

from lwcnn.fused import ConvReluMaxPool, FusedBatchNormalization, FusedDepthwiseBlock
from lwcnn.models.blocks import ScheduledDropout
from lwcnn.native import operations


def operation_class(layer: keras.Layer) -> type[operations.Operation] | None:
    """The operation of a layer; None if there is none."""
    for kinds, possible, found in _TABLE:
        if type(layer) in kinds:
            return found if layer.compute_dtype == "float32" and possible(layer) else None
    return None


def _is_pointwise(layer) -> bool:
    is_dense = isinstance(layer, layers.Dense)
    simple = is_dense or (
        layer.kernel_size == (1, 1) and layer.strides == (1, 1) and layer.groups == 1 and _channels_last(layer)
    )
    return bool(simple and layer.activation in (keras.activations.linear, keras.activations.relu))


def _pools_by_two(layer) -> bool:
    by_two = tuple(layer.pool_size) == tuple(layer.strides) == (2, 2)
    return by_two and layer.padding == "valid" and _channels_last(layer)


def _channels_last(layer) -> bool:
    return layer.data_format == "channels_last"


def _is_number(layer) -> bool:
    return isinstance(layer.scale, (int, float)) and isinstance(layer.offset, (int, float))


def _always(layer) -> bool:
    return True


_TABLE = (
    ((layers.Rescaling,), _is_number, operations.Rescale),
    ((layers.ZeroPadding2D,), _channels_last, operations.Pad),
    ((ConvReluMaxPool,), _always, operations.ConvPool),
    ((FusedBatchNormalization,), lambda layer: layer.center and layer.scale, operations.Norm),
    ((FusedDepthwiseBlock,), lambda layer: layer.by_kernel, operations.DepthwiseBlock),
    ((layers.MaxPooling2D,), _pools_by_two, operations.MaxPool),
    ((layers.Dense, layers.Conv2D), _is_pointwise, operations.Linear),
    ((layers.GlobalAveragePooling2D,), _channels_last, operations.GlobalAverage),
    ((layers.Flatten, layers.Reshape), _always, operations.Reshape),
    ((layers.Concatenate,), lambda layer: layer.axis in (-1, len(layer.output.shape) - 1), operations.Join),
    ((layers.Dropout,), lambda layer: layer.noise_shape is None, operations.Drop),
    ((ScheduledDropout,), _always, operations.Drop),
    ((layers.Average,), _always, operations.Mean),
    ((layers.Identity,), _always, operations.Pass),
)
