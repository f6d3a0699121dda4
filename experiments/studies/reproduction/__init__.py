"""Published tables, and how each of their cells is run here."""

from experiments.studies.reproduction.papers import TABLES as TABLES
from experiments.studies.reproduction.papers import build as build
from experiments.studies.reproduction.table import BUDGETS as BUDGETS
from experiments.studies.reproduction.table import Table as Table
