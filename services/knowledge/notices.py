"""What notices say: a template for each code, rendered in the reader's language like an error."""

from __future__ import annotations

from collections import defaultdict

from services.core.errors import from_row
from services.core.i18n import DEFAULT_LANGUAGE, N_, translate
from services.knowledge.reranking import NOT_RERANKED
from services.knowledge.types import Notice

TEMPLATES = {
    "pages_unreadable": N_("The text of pages {pages} (of {total}) comes out garbled and was left out."),
    "pages_without_text": N_(
        "Pages {pages} (of {total}) show only pictures: their text, if any, was not read. "
        "Where text recognition is installed (`lectern engine install ocr`), trying again reads it."
    ),
    "pages_blank": N_("Pages {pages} (of {total}) show only pictures, and no text was recognised on them."),
    "pages_recognised": N_(
        "The text of pages {pages} (of {total}) was recognised from pictures; it may hold mistakes."
    ),
    "pictures_recognised": N_("The text on {count} pictures within was recognised; it may hold mistakes."),
    "pictures_unread": N_(
        "{count} pictures within were not looked at: their text, if any, was not read. "
        "Where text recognition is installed (`lectern engine install ocr`), trying again reads it."
    ),
    "slides_hidden": N_("Slides {pages} are hidden when the presentation is shown; their text was read."),
    "sheets_hidden": N_("The sheets {sheets} are hidden; their cells were read."),
    "formulas_without_results": N_(
        "On {sheets}, formulas have no stored results: save the file in Excel and add it again."
    ),
    "attachments_unread": N_("These attachments could not be read: {names}."),
    "chapters_missing": N_("These chapters are named in the book, but are not in the file: {names}."),
    "encoding_guessed": N_("The file does not say its text encoding; it was read as {encoding}, which may be wrong."),
    "chunks_split_at_window": N_("{count} chunks were longer than the embedder can read and were cut again."),
    "passages_not_rewritten": N_("{count} passages could not be rewritten into statements and stay as they are."),
    "words_too_common": N_(
        "All words of the question are in so many passages that they tell nothing; name what it is about."
    ),
    "words_only": N_("Searched by words only, for the embedder could not be asked: {reason}"),
    NOT_RERANKED: N_("Not reranked: passages keep the order that meaning and words give them. {reason}"),
}


def render(notice: Notice, language: str = DEFAULT_LANGUAGE) -> str:
    """A notice as a person reads it; an unknown code stands for itself, a missing parameter reads "?"."""
    template = translate(TEMPLATES.get(notice.code, notice.code), language)
    params = {**notice.params}
    if "error" in params:
        params["reason"] = from_row(*params["error"]).render(language).message
    return template.format_map(defaultdict(lambda: "?", params))
