"""Requirements of every network: the images and classes it is built for, and the order of its axes."""

import contextlib
from collections.abc import Iterator, Sequence

import keras

from lwcnn.system.errors import LwcnnError


def require_possible(input_shape: Sequence[int], num_classes: int, least: int, why: str) -> None:
    """Checks an image's shape and the number of classes.

    Args:
        input_shape: (height, width, channels) of one image.
        num_classes: at least 2.
        least: pixels that height and width must have.
        why: follows "at least <least>" in the message, such as "for MobileNetV2".

    Raises:
        LwcnnError: the image is too small or has no channels, or there are too few classes.
    """
    if len(input_shape) != 3 or min(input_shape[:2]) < least or input_shape[2] < 1:
        raise LwcnnError(
            f"input_shape must be (height, width, channels) with height and width of at least {least} {why}. "
            f"Received: {tuple(input_shape)}"
        )
    if num_classes < 2:
        raise LwcnnError(f"num_classes must be at least 2. Received: {num_classes}")


@contextlib.contextmanager
def channels_last() -> Iterator[None]:
    """Builds with the channels on the last axis, whatever Keras's configuration (`image_data_format`) says.

    As a decorator of every builder: layers read the configuration when they are created, and `keras.applications`
    builds another network for each order.
    """
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)
