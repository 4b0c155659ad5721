# ruff: noqa: F401
"""Tables: functions that return a `Table`, of the evidence or (`steps`) of given models and results."""

from lwcnn.publication.tables import ablations, accuracies, audit, steps
from lwcnn.publication.tables.catalogue import TABLES, make_table
from lwcnn.publication.tables.table import Table
