"""Published files and plain tables into the store, without running any code that they contain."""

from nasgym.importers.csv_table import ImportedTable, ImportReport, import_csv
from nasgym.importers.nasbench101 import NASBench101Report, import_nasbench101
from nasgym.importers.official_table import OfficialReport, import_official

__all__ = [
    "ImportReport",
    "ImportedTable",
    "NASBench101Report",
    "OfficialReport",
    "import_csv",
    "import_nasbench101",
    "import_official",
]
