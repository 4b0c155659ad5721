"""Each Keras layer as an operation on arrays, forward and backward; one module per kind of layer."""
