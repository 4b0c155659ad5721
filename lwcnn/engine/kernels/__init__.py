"""CPU kernels for what the backends are slow at."""

from lwcnn.engine import compilation  # noqa: F401 - before anything is compiled
