"""What becomes of a folder of real documents: each is read as the worker reads it, and outcomes are counted.

    python bench/documents.py --documents FOLDER [--ocr PYTHON] [--show CHARACTERS]

FOLDER has a manifest.json: a list of files with `file`, `hostile`, `note` and `probe` (what other libraries found:
characters, whether a password is needed). PYTHON is that of an environment with text recognition. An outcome that
differs from what the manifest lets expect is named; the exit status is 1 where one does.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from services.core.clock import ticks_ms
from services.core.errors import AppError
from services.knowledge.loaders.protocol import Limits
from services.knowledge.loaders.reader import Reader
from services.serving.environments import Environments
from services.serving.text_recognition import TextRecognition

LIMITS = Limits(pages=20_000, characters=20_000_000, timeout_s=300, memory_bytes=4 << 30)
LOSS = 0.8
"""Less than this share of the characters that other libraries found is a loss that is named."""
NEVER = ("reader_crashed", "reader_timeout", "unexpected")
PASSWORD = re.compile(r"\(([\w]+)\)")


class Outcome(NamedTuple):
    """What became of a file."""

    code: str
    characters: int
    pages: int
    notices: tuple[str, ...]
    took_ms: float
    text: str = ""


def main() -> None:
    """Read every file and print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=Path)
    parser.add_argument("--ocr", type=Path)
    parser.add_argument("--show", type=int, default=0)
    chosen = parser.parse_args()
    if not chosen.documents:
        sys.stdout.write("without --documents there is nothing to read\n")
        return
    recogniser = TextRecognition(Environments(chosen.documents), chosen.ocr) if chosen.ocr else None
    reader = Reader(LIMITS, recogniser=recogniser)
    entries = json.loads((chosen.documents / "manifest.json").read_text("utf-8"))
    counts: Counter[tuple[str, str]] = Counter()
    odd = []
    for entry in entries:
        path = chosen.documents / entry["file"]
        if not path.exists():
            continue
        found = read(reader, path, None)
        counts["hostile" if entry["hostile"] else path.suffix[1:], found.code] += 1
        print_row(entry, found, chosen.show)
        odd += [f"{entry['file']} ({entry['note']}): {oddity}" for oddity in oddities(entry, found, bool(recogniser))]
        if found.code == "encrypted":
            odd += unlocked(reader, path, entry)
    summarise(counts, odd)
    reader.close()
    sys.exit(1 if odd else 0)


def read(reader: Reader, path: Path, password: str | None) -> Outcome:
    """One file through the real reader."""
    before = ticks_ms()
    try:
        document = reader.read(path, path.name, lambda: False, password)
    except AppError as error:
        return Outcome(error.code, 0, 0, (), ticks_ms() - before)
    codes = tuple(notice.code for notice in document.notices)
    return Outcome("text", len(document.text), len(document.pages), codes, ticks_ms() - before, document.text)


def unlocked(reader: Reader, path: Path, entry: dict[str, Any]) -> list[str]:
    """Read with the password that the note names, and with a wrong one: what went otherwise than it should."""
    odd = []
    named = PASSWORD.search(entry["note"])
    if named and path.suffix == ".pdf":
        found = read(reader, path, named[1])
        sys.stdout.write(f"    with its password: {found.code}, {found.characters} characters\n")
        odd += [] if found.code == "text" else [f"{entry['file']}: its password gives {found.code}"]
    if path.suffix == ".pdf":
        found = read(reader, path, "surely wrong")
        odd += [] if found.code == "password_wrong" else [f"{entry['file']}: a wrong password gives {found.code}"]
    return odd


def oddities(entry: dict[str, Any], found: Outcome, with_ocr: bool) -> list[str]:
    """In what an outcome differs from what other libraries lead to expect."""
    probe = entry.get("probe") or {}
    seen = probe.get("chars8", probe.get("chars"))
    odd = [found.code] if found.code in NEVER else []
    if probe.get("needs_pass") and found.code != "encrypted":
        odd.append(f"{found.code}, but it needs a password")
    if seen and found.code != "text":
        odd.append(f"{found.code}, but others find {seen} characters")
    if seen and found.code == "text" and probe.get("pages", 1) <= found.pages and found.characters < LOSS * seen:
        odd.append(f"{found.characters} characters, but others find {seen}")
    if not entry["hostile"] and seen == 0 and with_ocr and found.code != "text":
        odd.append(f"{found.code}, in spite of text recognition")
    return odd


def print_row(entry: dict[str, Any], found: Outcome, show: int) -> None:
    """One line for a file, and the beginning of its text."""
    notices = f" [{', '.join(found.notices)}]" if found.notices else ""
    pages = f"{found.pages} pages, " if found.pages else ""
    sys.stdout.write(
        f"{entry['file']}: {found.code}, {pages}{found.characters} characters, {found.took_ms:.0f} ms{notices}\n"
    )
    if show and found.text:
        sys.stdout.write("    " + found.text[:show].replace("\n", "\n    ") + "\n")


def summarise(counts: Counter[tuple[str, str]], odd: list[str]) -> None:
    """The table of outcomes, and those that are odd."""
    kinds = sorted({kind for kind, _ in counts})
    codes = sorted({code for _, code in counts})
    sys.stdout.write("\n| files | " + " | ".join(codes) + " |\n|---|" + "---|" * len(codes) + "\n")
    for kind in kinds:
        sys.stdout.write(f"| {kind} | " + " | ".join(str(counts[kind, code] or "") for code in codes) + " |\n")
    sys.stdout.write(f"\n{sum(counts.values())} files; {len(odd)} outcomes differ from what was to be expected\n")
    for line in odd:
        sys.stdout.write(f"- {line}\n")


if __name__ == "__main__":
    main()
