"""What the engine raises when a model is not for it."""


class Unsupported(Exception):
    """The engine cannot compile a model; the message is one line that names the layer or setting."""
