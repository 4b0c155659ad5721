"""CPU kernels for what the backends are slow at, and their bridge into each backend."""
