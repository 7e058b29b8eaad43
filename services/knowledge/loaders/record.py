"""A text that a program has added, in one file with its id and metadata, so that nothing about it is kept elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.core.document_errors import Damaged
from services.core.errors import InvalidValue, NoExtractableText
from services.core.i18n import N_
from services.knowledge.loaders.assembly import check_characters
from services.knowledge.loaders.protocol import Limits, Sample
from services.knowledge.types import Extracted

EXTENSION = ".record"
MEDIA_TYPE = "application/vnd.lectern.record+json"
HEAD = b'{"lectern": "record"'


@dataclass(frozen=True, slots=True)
class Record:
    """A text under an id, with metadata (JSON values)."""

    id: str
    text: str
    metadata: Mapping[str, Any]

    def packed(self) -> bytes:
        """As it is stored. Raises: InvalidValue where the metadata are no JSON values."""
        row = {"lectern": "record", "id": self.id, "metadata": dict(self.metadata), "text": self.text}
        try:
            return json.dumps(row, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass")
        except (TypeError, ValueError) as error:
            raise InvalidValue(field="metadata", value="…", reason=N_("they must be JSON values")) from error


def unpacked(raw: bytes, name: str) -> Record:
    """The record that was stored. Raises: Damaged."""
    try:
        row = json.loads(raw.decode("utf-8", "surrogatepass"))
        return Record(str(row["id"]), str(row["text"]), dict(row["metadata"]))
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(name=name, reason=N_("it is no record")) from error


class RecordLoader:
    """The text of a record, as it stands."""

    media_types = (MEDIA_TYPE,)
    extensions = (EXTENSION,)
    textual = False

    def claims(self, sample: Sample) -> bool:
        """Known by its beginning."""
        return sample.head.startswith(HEAD)

    def load(self, path: Path, name: str, limits: Limits) -> Extracted:
        """See Loader.load."""
        text = unpacked(path.read_bytes(), name).text
        check_characters(len(text), name, limits)
        if not text.strip():
            raise NoExtractableText(name=name, pages=1)
        return Extracted(text, MEDIA_TYPE)


LOADER = RecordLoader()
