"""Are answers faithful to documents: found, shown, the right span, a citation of the place that says it.

`python -m bench.faithfulness --server URL --collection FOLDER … --n 60` asks seeded questions of collections in BEIR's
form whose queries tell where their answers stand (metadata: answers, doc); `--questions FILE --documents FOLDER` asks
questions about PDF pages (JSON lines: question, document, page, answers). Everything goes through the chat service as
people use it. What was answered is written below `--out` line by line, and a second run goes on where the first ended.

A passage is right where it is of the right document (and page) and holds the span. `found`: the search brought one;
`shown`: it was among those that the model was given; `span`: the answer has the span, or four fifths of it; `half`:
at least half of it; `citation`: a cited passage is right; `page`: a cited passage is of the right document and page,
whatever else it holds. Each miss is of one kind, the first step that went wrong.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from io import BytesIO
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from services.app import CPU_PASSAGE_TOKENS, Services, bootstrap
from services.chat.prompts import CITATION_MARK
from services.chat.refusals import refuses
from services.chat.rows import answer_row
from services.core.errors import ConflictError
from services.core.settings import Settings
from services.knowledge.ingest import Ingest
from services.knowledge.loaders.protocol import Limits
from services.knowledge.loaders.reader import Reader
from services.knowledge.loaders.record import Record
from services.knowledge.search_types import SearchOptions
from services.knowledge.texts import Texts, name_of
from services.store.bases import BaseRecord
from tests.fakes.walk import walk

OWNER, SERVER = "bench", "bench"
TEXTS_AT_ONCE = 64
LIMITS = Limits(pages=2000, characters=5_000_000, timeout_s=120, memory_bytes=4 * 1024**3)
ENOUGH, HALF = 0.8, 0.5
"""Of a span's characters that stand in the answer in their order: names may be bent, long spans shortened."""
SHORT = 8
"""Characters of a span that must be there as it stands."""


@dataclass(frozen=True)
class Question:
    """A question with the documents, spans and page that are right."""

    key: str
    text: str
    document: str
    answers: tuple[str, ...]
    page: int | None = None

    def stands_in(self, document: str, page: int | None, text: str) -> bool:
        """Whether a passage is of the right document and page, and holds the span letter by letter."""
        if document != self.document or self.page not in (None, page):
            return False
        return any(has(bare(text), bare(answer)) for answer in self.answers)


def collection(folder: Path, count: int, seed: int) -> tuple[list[Record], list[Question]]:
    """The passages of a collection, each as a text, and seeded questions."""
    rows = [json.loads(line) for line in (folder / "corpus.jsonl").read_text("utf-8").splitlines()]
    texts = [Record(row["_id"], f"{row['title']}\n\n{row['text']}", {}) for row in rows]
    asked = [json.loads(line) for line in (folder / "queries.jsonl").read_text("utf-8").splitlines()]
    chosen = random.Random(seed).sample(asked, min(count, len(asked)))
    return texts, [
        Question(row["_id"], row["text"], name_of(row["metadata"]["doc"]), tuple(row["metadata"]["answers"]))
        for row in chosen
    ]


def pages(file: Path, folder: Path, count: int) -> tuple[list[Path], list[Question]]:
    """All PDF files of a folder, and questions about pages of some of them."""
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()][:count]
    return sorted(folder.rglob("*.pdf")), [
        Question(str(number), row["question"], row["document"], tuple(row["answers"]), row["page"])
        for number, row in enumerate(rows, 1)
    ]


def filled(services: Services, name: str, sources: Sequence[Record | Path]) -> BaseRecord:
    """The base of this name with these texts and files; what it has already is not read again."""
    try:
        base = services.knowledge.create(name)
    except ConflictError:
        base = services.knowledge.base(name)
    known = {row.name for row in services.knowledge.documents(base)}
    records = [source for source in sources if isinstance(source, Record) and name_of(source.id) not in known]
    texts = Texts(services.stores, services.embedders, services.settings)
    for begin in range(0, len(records), TEXTS_AT_ONCE):
        texts.add(base, records[begin : begin + TEXTS_AT_ONCE])
        print(f"{name}: {min(begin + TEXTS_AT_ONCE, len(records))} of {len(records)} texts added", flush=True)
    for path in sources:
        if isinstance(path, Path) and path.name not in known:
            services.knowledge.add(base, path.name, BytesIO(path.read_bytes()))
    reader = Reader(LIMITS)
    ingest = Ingest(services.stores, reader, services.embedders)
    for key in services.stores.of(base).pending():
        walk(ingest, base, key)
    reader.close()
    return base


def asked(services: Services, base: BaseRecord, question: Question) -> dict[str, Any]:
    """One answer, held against what is right."""
    hits = services.knowledge.search(base, question.text, SearchOptions(top_k=services.product.top_k)).hits
    begun = services.chat.ask(OWNER, question.text, base_ids=[base.id], server=SERVER, heed_words=False)
    turn = services.chat.wait(begun.id)
    row = answer_row(turn)
    cited = [row["passages"][citation["marker"] - 1] for citation in row["citations"]]
    services.chat.delete(OWNER, turn.conversation_id)
    most = max(share(turn.answer, answer) for answer in question.answers)
    outcome = {
        "found": any(question.stands_in(hit.chunk.document, hit.chunk.page, hit.chunk.shown_text) for hit in hits),
        "shown": any(question.stands_in(one["document"], one["page"], one["text"]) for one in row["passages"]),
        "span": most >= ENOUGH,
        "half": most >= HALF,
        "citation": any(question.stands_in(one["document"], one["page"], one["text"]) for one in cited),
        "page": question.page is not None
        and any((one["document"], one["page"]) == (question.document, question.page) for one in cited),
    }
    return {
        "key": question.key,
        "question": question.text,
        "expected": {"document": question.document, "page": question.page, "answers": question.answers},
        "state": turn.state,
        "answer": turn.answer,
        **outcome,
        "miss": kind_of_miss(outcome, turn.answer, bool(cited)) if turn.state == "done" else turn.state,
        "cited": [[one["document"], one["page"]] for one in cited],
        "passages": [[one["document"], one["page"], one["text"]] for one in row["passages"]],
        "attached": any(citation["attached"] for citation in row["citations"]),
        "checks": [[check["verdict"], check["reason"]] for check in row["checks"]],
        "timings_ms": turn.timings_ms,
    }


def kind_of_miss(outcome: Mapping[str, bool], answer: str, cites: bool) -> str | None:
    """What went wrong first; None where span and citation are right."""
    if outcome["span"] and outcome["citation"]:
        return None
    if not outcome["shown"]:
        return "not shown" if outcome["found"] else "not found"
    if not outcome["span"]:
        return "refused" if refuses(answer) else "half of the span" if outcome["half"] else "wrong span"
    return "cited another" if cites else "no citation"


def share(answer: str, span: str) -> float:
    """How much of a span an answer has: all where it stands there, else the characters that it has in their order.

    Nothing of a span whose numbers are not all there.
    """
    told, wanted = bare(CITATION_MARK.sub("", answer)), bare(span)
    if has(told, wanted):
        return 1.0
    if len(wanted) < SHORT or not all(has(told, number) for number in re.findall(r"\d+(?:\.\d+)?", wanted)):
        return 0.0
    blocks = SequenceMatcher(None, wanted, told, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks if block.size > 1) / len(wanted)


def has(text: str, span: str) -> bool:
    """Whether a bare text has a bare span; a number is not found within a longer one."""
    begin, end = r"(?<!\d)" if span[:1].isdigit() else "", r"(?!\d)" if span[-1:].isdigit() else ""
    return re.search(f"{begin}{re.escape(span)}{end}", text) is not None


def bare(text: str) -> str:
    """Letters, digits, percent signs and the points of decimals only, in one form."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"(?!(?<=\d)\.(?=\d)|%)[\W_]", "", folded)


def run(services: Services, name: str, sources: Sequence[Record | Path], questions: list[Question], out: Path) -> None:
    """Ask what was not asked before, and print the shares."""
    base, log = filled(services, name, sources), out / f"{name}.jsonl"
    rows = [json.loads(line) for line in log.read_text("utf-8").splitlines()] if log.exists() else []
    done = {row["key"] for row in rows}
    with log.open("a", encoding="utf-8") as file:
        for question in questions:
            if question.key not in done:
                rows.append(asked(services, base, question))
                file.write(json.dumps(rows[-1], ensure_ascii=False) + "\n")
                file.flush()
    wanted = {question.key for question in questions}
    report(name, [row for row in rows if row["key"] in wanted], out)


def report(name: str, rows: list[dict[str, Any]], out: Path) -> None:
    """Print the shares of a collection and how many misses are of each kind, and write every miss to a file."""
    paged = any(row["expected"]["page"] is not None for row in rows)
    figures = ["found", "shown", "span", "half", "citation"] + (["page"] if paged else [])
    shares = [f"{figure} {sum(row[figure] for row in rows)}/{len(rows)}" for figure in figures]
    verdicts = Counter(verdict for row in rows for verdict, _reason in row["checks"])
    misses = [row for row in rows if row["miss"]]
    kinds = Counter(row["miss"] for row in misses)
    print(f"{name}: {', '.join(shares)}; misses {dict(kinds)}; sentences {dict(verdicts)}", flush=True)
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in misses]
    (out / f"{name}-misses.jsonl").write_text("".join(lines), encoding="utf-8")


def sets(options: argparse.Namespace) -> Iterator[tuple[str, Sequence[Record | Path], list[Question]]]:
    """What is to be asked."""
    for folder in options.collection:
        yield folder.name, *collection(folder, options.n, options.seed)
    if options.questions:
        yield "pages", *pages(options.questions, options.documents, options.n)


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", help="address of an OpenAI-compatible server, ending in /v1")
    parser.add_argument("--collection", type=Path, action="append", default=[], help="folder in BEIR's form")
    parser.add_argument("--questions", type=Path, help="JSON lines of questions about PDF pages")
    parser.add_argument("--documents", type=Path, help="folder that holds the PDF files")
    parser.add_argument("--n", type=int, default=60, help="questions of each set")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--passage-tokens", type=int, default=CPU_PASSAGE_TOKENS, help="most tokens of passages in a prompt"
    )
    parser.add_argument("--out", type=Path, default=Path("build/faithfulness"), help="folder for what was answered")
    options = parser.parse_args()
    if not options.server:
        print("faithfulness: give --server and --collection or --questions, or nothing is asked")
        return
    if options.questions and not options.documents:
        parser.error("--questions needs --documents")
    options.out.mkdir(parents=True, exist_ok=True)
    services = bootstrap(Settings(home=options.out / "home", embedded=False))
    try:
        if SERVER not in {record.name for record in services.servers.list()}:
            services.servers.add_remote(SERVER, options.server)
        services.choose(passage_tokens=options.passage_tokens)
        for name, sources, questions in sets(options):
            run(services, name, sources, questions, options.out)
    finally:
        services.close()


if __name__ == "__main__":
    main()
