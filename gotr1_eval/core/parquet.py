"""Reading and writing Parquet by path, never through a Python file object.

pandas opens the file in Python and hands it to Arrow, whose own threads then hold it. One that lets go of it while the
interpreter shuts down ends the process with SIGABRT after all work is done (apache/arrow#34314).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gotr1_eval.core.errors import writing

if TYPE_CHECKING:
    import pandas as pd


def read_parquet(path: Path) -> pd.DataFrame:
    """The table of a Parquet file; OSError or ValueError (pyarrow's are both) where it is none."""
    from pyarrow import parquet

    return parquet.ParquetFile(path).read().to_pandas()  # type: ignore[no-any-return]


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write the table whole: a reader finds the old file or the new one."""
    from pyarrow import Table, parquet

    partial = path.with_name(path.name + ".partial")
    with writing(path):
        parquet.write_table(Table.from_pandas(frame), partial)
        partial.replace(path)
