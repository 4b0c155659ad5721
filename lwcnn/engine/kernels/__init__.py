"""CPU kernels for operations at which the backends are slow."""

from lwcnn.engine import compilation  # noqa: F401 - before anything is compiled
