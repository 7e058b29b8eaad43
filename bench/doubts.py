"""Does a model know when passages do not answer? How likely it says "yes" of questions with an answer, and without one.

`python -m bench.doubts --server URL [FILE …]`: JSON lines with language, document, text, and questions that the text
answers and does not answer. Prints for each language how many of each are doubted at the embedded model's thresholds,
and every likelihood, so that the thresholds of another model can be chosen.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from services.chat.assembly import grounded_parts
from services.chat.doubting import likelihood
from services.chat.prompts import PromptPassage
from services.hub.packaged import CHAT_MODEL
from services.llm.client import OpenAIChatModel
from services.llm.protocol import ChatModel, Endpoint

QUESTIONS = Path(__file__).with_name("doubt_questions.jsonl")


def asked(model: ChatModel, row: Mapping[str, Any], question: str) -> float:
    """How likely the model says that a text answers a question; the prompt is that of an answer."""
    passage = PromptPassage(row["document"], None, 0, len(row["text"]), row["text"])
    parts = grounded_parts(question, [passage], row["language"])
    sure = likelihood(model, parts, question, row["language"], lambda: True)
    if sure is None:
        raise SystemExit("doubts: this server does not tell how likely its tokens are")
    return sure


def run(path: Path, model: ChatModel) -> None:
    """Ask all questions of a file, and print what is doubted."""
    found: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        for kind in ("answered", "unanswered"):
            for question in row[kind]:
                found[row["language"], kind].append(asked(model, row, question))
    for (language, kind), shares in found.items():
        doubted = sum(share < CHAT_MODEL.doubts[language] for share in shares)
        listed = " ".join(f"{share:.3f}" for share in sorted(shares))
        print(f"{path.stem} {language} {kind}: {doubted} of {len(shares)} doubted; {listed}", flush=True)


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="JSON lines; without any: the questions beside this script")
    parser.add_argument("--server", help="address of an OpenAI-compatible server, ending in /v1")
    options = parser.parse_args()
    if not options.server:
        print("doubts: give --server, or nothing is asked")
        return
    model = OpenAIChatModel(Endpoint("model", options.server, engine="llama.cpp"))
    for path in options.files or [QUESTIONS]:
        run(path, model)


if __name__ == "__main__":
    main()
