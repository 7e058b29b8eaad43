"""A few documents of invented companies, in English and Chinese, for trying the product before adding one's own.

Always true here: every suggested question has its answer in one of the files. Nothing else belongs here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from services.core.errors import DocumentNotFound
from services.knowledge.loaders import markdown, table, text
from services.knowledge.loaders.protocol import Limits
from services.knowledge.types import Extracted

FOLDER = Path(__file__).resolve().parent
SUFFIXES = frozenset((".md", ".txt", ".html", ".csv", ".docx", ".pdf"))

SAMPLE_QUESTIONS: tuple[tuple[str, str], ...] = (
    ("en", "What do I do after clicking on a link in a suspicious message?"),
    ("en", "How many days of annual leave can be carried over, and when do they expire?"),
    ("en", "What does error code E15 of the Hydra 200 mean?"),
    ("en", "How much does a pump tube set cost, and when must it be changed?"),
    ("zh_CN", "酸碱溅入眼睛应该怎么办？"),
    ("zh_CN", "工作满十年的员工有多少天年休假？"),
    ("zh_CN", "BL-80 出现故障代码 F3 时应该怎么处理？"),
    ("zh_CN", "自动取样器的蠕动泵软管多久更换一次？"),
)
"""Suggested questions, each with the code of its language."""


Load = Callable[[Path, str, Limits], Extracted]
PLAIN: dict[str, Load] = {".md": markdown.LOADER.load, ".txt": text.LOADER.load, ".csv": table.LOADER.load}
"""Loaders of our own that may read these files in any process: they are part of the product."""
_LIMITS = Limits(pages=1, characters=100_000, timeout_s=10, memory_bytes=0)


def plain_samples() -> list[str]:
    """The names of sample documents whose text can be had at once."""
    return [path.name for path in sample_files() if path.suffix in PLAIN]


def sample_text(name: str) -> Extracted:
    """The text of one of `plain_samples`. Raises: DocumentNotFound."""
    if name not in plain_samples():
        raise DocumentNotFound(name=name)
    path = FOLDER / name
    return PLAIN[path.suffix](path, name, _LIMITS)


def sample_files() -> list[Path]:
    """The sample documents, by name."""
    return sorted(path for path in FOLDER.iterdir() if path.suffix in SUFFIXES)
