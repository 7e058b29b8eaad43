"""The checker of citations on pairs of a sentence and a passage: how often it is right, and where it is not.

`python -m bench.checker [FILE …] [--embedder] [--judge URL]`: JSON lines with language, passage, sentence and altered
(null, or what was altered: number, name, negation; swap and column, where the value is another row's or column's). A
finding is right where the sentence was altered. With `--judge` a chat server is asked what the rules leave to one, as
in the product.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections import Counter
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from services.chat.checking.answers import SentenceCheck
from services.chat.checking.verdicts import SUPPORTED, UNSURE, Similarity, judged
from services.chat.judging import is_due, opinion, with_opinion
from services.chat.prompts import PromptPassage
from services.knowledge.embedders import make_embedder
from services.knowledge.embedders.likeness import likeness
from services.llm.client import OpenAIChatModel
from services.llm.protocol import ChatModel, Endpoint

PAIRS = Path(__file__).resolve().parent.parent / "tests" / "unit" / "checker_pairs"


def checked(sentence: str, passage: str, similarity: Similarity | None, judge: ChatModel | None) -> SentenceCheck:
    """A sentence that cites one passage, as the product checks it."""
    verdict = judged(sentence, passage, similarity)
    check = SentenceCheck(0, len(sentence), (1,), verdict.verdict, verdict.reason, verdict.details)
    if judge is None or not is_due(check):
        return check
    shown = PromptPassage("passage", None, 0, len(passage), passage)
    return with_opinion(check, opinion(judge, "", sentence, [shown], threading.Event()), "judge")


def run(path: Path, similarity: Similarity | None, judge: ChatModel | None) -> None:
    """Print precision and recall over a file of pairs, by language, and every pair that was judged wrongly."""
    pairs = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    counts: Counter[tuple[str, str]] = Counter()
    for pair in pairs:
        verdict = checked(pair["sentence"], pair["passage"], similarity, judge)
        flagged = verdict.supported is False
        kind = ("true" if pair["altered"] else "false") + (" positive" if flagged else "")
        if not flagged:
            kind = "missed" if pair["altered"] else "clean"
        for group in ("all", pair["language"], pair["altered"] or "unaltered"):
            counts[group, kind] += 1
            counts[group, verdict.verdict] += 1
        if (flagged != bool(pair["altered"])) or verdict.verdict == UNSURE:
            print(f"  {kind:15} {pair['altered'] or '-':9} {verdict.verdict}/{verdict.reason} {verdict.details}")
            print(f"      {pair['sentence']}\n      {pair['passage']}")
    for group in ("all", "en", "zh"):
        right, wrong, missed = (counts[group, kind] for kind in ("true positive", "false positive", "missed"))
        precision, recall = right / max(right + wrong, 1), right / max(right + missed, 1)
        supported, unsure = counts[group, SUPPORTED], counts[group, UNSURE]
        print(
            f"{path.stem} {group}: precision {precision:.3f}, recall {recall:.3f} "
            f"({right} found, {wrong} false, {missed} missed; {supported} said to be supported, {unsure} left open)"
        )


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="JSON lines; without any: the pairs of the tests")
    parser.add_argument("--embedder", action="store_true", help="let the embedder decide what the words leave open")
    parser.add_argument("--judge", help="address of an OpenAI-compatible server that judges, ending in /v1")
    options = parser.parse_args()
    similarity: Similarity | None = None
    if options.embedder:
        similarity = partial(likeness, make_embedder())
    judge = OpenAIChatModel(Endpoint("judge", options.judge)) if options.judge else None
    for path in options.files or sorted(PAIRS.glob("*.jsonl")):
        run(path, similarity, judge)


if __name__ == "__main__":
    main()
