"""CSV and its relatives: each row becomes a line that can be read by itself."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path

from services.knowledge.loaders.assembly import Assembly
from services.knowledge.loaders.protocol import Limits, Sample
from services.knowledge.loaders.rows import row_lines
from services.knowledge.loaders.text import read_text
from services.knowledge.types import Extracted

DELIMITERS = ",;\t|"
LONGEST_FIELD = 10_000_000
ROWS_TO_LOOK_AT = 50


class TableLoader:
    """Delimited text with any of the usual delimiters."""

    media_types = ("text/csv", "text/tab-separated-values")
    extensions = (".csv", ".tsv")
    textual = True

    def claims(self, sample: Sample) -> bool:
        """Never: commas alone do not make a table."""
        return False

    def load(self, path: Path, name: str, limits: Limits) -> Extracted:
        """See Loader.load."""
        raw, notices = read_text(path, name, limits)
        csv.field_size_limit(LONGEST_FIELD)
        text = raw.replace("\x00", "").lstrip("\ufeff")
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text))
        assembly = Assembly(name, limits)
        assembly.paragraph("\n".join(row_lines(rows)))
        return assembly.extracted(self.media_types[0], notices)


def delimiter_of(text: str) -> str:
    """The delimiter that gives the first rows the most regular shape; a comma where none does."""
    lines = text[:200_000].splitlines(keepends=True)[:ROWS_TO_LOOK_AT]
    return max(DELIMITERS, key=lambda delimiter: _regularity(lines, delimiter))


def _regularity(lines: list[str], delimiter: str) -> float:
    widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
    if not widths:
        return 0.0
    width, count = Counter(widths).most_common(1)[0]
    return count / len(widths) * min(width - 1, 3)


LOADER = TableLoader()
