# ruff: noqa: F401
"""Functions that return a `Table`, made from the evidence or, in `steps`, from given models and results."""

from lwcnn.publication.tables import ablations, accuracies, audit, steps
from lwcnn.publication.tables.catalogue import TABLES, make_table
from lwcnn.publication.tables.table import Table
