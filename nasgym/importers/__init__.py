"""Published files and plain tables into the store, without running any code that they contain."""

from nasgym.importers.csv_table import ImportedTable, ImportReport, import_csv

__all__ = ["ImportReport", "ImportedTable", "import_csv"]
