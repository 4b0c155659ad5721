"""The exception for models that the engine does not support."""


class Unsupported(Exception):
    """The engine cannot compile a model; the message is one line that names the layer or setting."""
