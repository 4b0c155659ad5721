# ruff: noqa: F401
"""Tables, each a function of the evidence that returns a `Table`."""

from lwcnn.publication.tables import ablations, accuracies, audit, steps
from lwcnn.publication.tables.catalogue import TABLES, make_table
from lwcnn.publication.tables.table import Table
