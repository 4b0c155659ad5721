"""Each Keras layer as an operation on arrays, forward and backward; one module a kind of layer."""
