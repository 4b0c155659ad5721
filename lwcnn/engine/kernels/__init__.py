"""CPU kernels for operations that are slow in the backends."""
