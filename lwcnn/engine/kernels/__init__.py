"""CPU kernels for operations at which the backends are slow."""
