"""The results store: every evaluation ever made or imported, on LMDB, crash-safe and shared by processes."""

from nasgym.results import TableKey
from nasgym.results_file import TableMeta
from nasgym.store.columns import Columns
from nasgym.store.layered import open_store
from nasgym.store.layout import Cell
from nasgym.store.location import default_path
from nasgym.store.rescue import put_or_rescue
from nasgym.store.store import Store
from nasgym.store.tables import Encoded, OnConflict, TableInfo
from nasgym.store.transfer import MergeReport

__all__ = [
    "Cell",
    "Columns",
    "Encoded",
    "MergeReport",
    "OnConflict",
    "Store",
    "TableInfo",
    "TableKey",
    "TableMeta",
    "default_path",
    "open_store",
    "put_or_rescue",
]
