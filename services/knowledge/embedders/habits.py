"""What known models want to stand before a text, by their names: a suggestion, which people see and may change."""

from __future__ import annotations

import re
from dataclasses import dataclass

INSTRUCT = "Instruct: Given a web search query, retrieve relevant passages that answer the query\n"
REPRESENT = "Represent this sentence for searching relevant passages: "
ZH_REPRESENT = "为这个句子生成表示以用于检索相关文章："


@dataclass(frozen=True, slots=True)
class Habits:
    """`window_tokens`: what the model reads, where servers are known not to tell; None: nothing is known."""

    query_prefix: str = ""
    passage_prefix: str = ""
    window_tokens: int | None = None


NONE = Habits()
KNOWN: tuple[tuple[str, Habits], ...] = (
    # As the cards of the models say. The first that fits counts.
    (r"e5-mistral|e5-large-instruct", Habits(query_prefix=f"{INSTRUCT}Query: ")),
    (r"(^|[-_/])e5-|multilingual-e5", Habits("query: ", "passage: ")),
    (r"bge-m3|bge-multilingual", NONE),
    (r"bge-.*-zh", Habits(query_prefix=ZH_REPRESENT)),
    (r"bge-.*-en|bge-(small|base|large)", Habits(query_prefix=REPRESENT)),
    (r"qwen3-embedding", Habits(query_prefix=f"{INSTRUCT}Query:")),
    (r"gte-qwen", Habits(query_prefix=f"{INSTRUCT}Query: ")),
    (r"nomic-embed", Habits("search_query: ", "search_document: ")),
    (r"arctic-embed.*2|arctic-embed-[lm]-v2", Habits(query_prefix="query: ")),
    (r"arctic-embed|mxbai-embed", Habits(query_prefix=REPRESENT)),
    (r"embedding-?gemma", Habits("task: search result | query: ", "title: none | text: ")),
    (r"all-minilm", Habits(window_tokens=256)),
)


def habits_of(model: str) -> Habits | None:
    """What a model wants; None where its name is not known."""
    name = model.lower()
    return next((habits for pattern, habits in KNOWN if re.search(pattern, name)), None)
