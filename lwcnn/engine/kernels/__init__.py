"""CPU kernels for what the backends are slow at."""
