"""Published tables, and how each of their cells is run here."""

from experiments.reproduction.papers import TABLES as TABLES
from experiments.reproduction.papers import build as build
from experiments.reproduction.table import BUDGETS as BUDGETS
from experiments.reproduction.table import Table as Table
