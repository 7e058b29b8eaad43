"""A question's passages: searched, and fitted into what the server's context leaves for them."""

from __future__ import annotations

from dataclasses import asdict

from services.chat.budget import fit, passage_budget
from services.chat.counting import Count
from services.chat.notes import NOT_RERANKED, error_note
from services.chat.ports import Filters, Found, Passage, PassageSearch
from services.chat.running import Running
from services.chat.turns import FOUND
from services.core.clock import Stopwatch


def retrieve(
    running: Running, search: PassageSearch, question: str, top_k: int, filters: Filters, watch: Stopwatch
) -> Found:
    """Search what a turn asks of, and note what was searched and all that was found."""
    running.change(state="retrieving")
    found = search(running.turn.base_ids, question, top_k, filters)
    watch.timings_ms.update(found.timings_ms)
    hits = [passage.hit_row() for passage in found.passages]
    running.change(bases=[asdict(base) for base in found.bases], settings={**running.turn.settings, FOUND: hits})
    if found.not_reranked:
        running.note(error_note(NOT_RERANKED, found.not_reranked))
    return found


def fitted(
    running: Running,
    found: Found,
    question: str,
    context: int,
    fixed_tokens: int,
    answer_tokens: int,
    cap: int,
    count: Count,
) -> list[Passage]:
    """The passages that there is room for, stored with the turn."""
    passages: list[Passage] = []
    if found.passages:
        budget = passage_budget(context, fixed_tokens, 0, answer_tokens, cap)
        passages = fit(found.passages, budget, count, question)
    running.change(passages=[passage.row() for passage in passages])
    running.write()
    return passages
