"""Vectors from an OpenAI-compatible server, and tokens as it counts them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from services.core.api_errors import NotOffered, RequestRefused
from services.core.errors import BadResponse, Unauthorized
from services.core.i18n import N_
from services.core.phrases import phrase
from services.llm.addresses import root_url
from services.llm.answering import Line
from services.llm.connection import LLAMA_CPP, Connection, ListedModel
from services.llm.estimate import estimated_tokens
from services.llm.offers import offered
from services.llm.ollama import KEY as OLLAMA
from services.llm.ollama import Ollama
from services.llm.protocol import Endpoint
from services.llm.waiting import while_wanted

PATH = "embeddings"
TIMEOUT_S, RETRIES = 120.0, 2
FRAME_TOKENS = 2
OLLAMA_WINDOW = 2048
"""Ollama cuts texts without a word at the context that it gives a model, which is this unless it was told otherwise."""
OURS, CONTENT, PROMPT = "input", "content", "prompt"
_FORMS: dict[str, tuple[str, ...]] = {LLAMA_CPP: (CONTENT,), "vllm": (PROMPT,), "embeddings": (OURS,)}
"""How an engine wants texts whose tokens it is to count: our own takes many at once, the others one."""
Reply = TypeVar("Reply", bound=BaseModel)
Wanted = Callable[[], bool]


class _Row(BaseModel):
    embedding: list[float]
    index: int | None = None


class _Rows(BaseModel):
    data: list[_Row]
    model: str | None = None


class _Tokens(BaseModel):
    tokens: list[int]


class _Counts(BaseModel):
    counts: list[int]


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors in the order of their texts, all of one length, as the server made them; and the model that it names."""

    model: str
    rows: list[list[float]]


class OpenAIEmbeddings:
    """The vectors of one server. Thread-safe.

    Every method raises ServerNotReady, UpstreamTimeout, ServerBusy, ServerFailing, Unauthorized, BadResponse,
    NotOffered, RequestRefused or ContextLengthExceeded.

    Args:
        endpoint: where it answers.
        timeout_s: the longest silence.
        retries: how often a request is sent again that the server was too busy for, or that did not reach it.
    """

    def __init__(self, endpoint: Endpoint, *, timeout_s: float = TIMEOUT_S, retries: int = RETRIES) -> None:
        self._connection = Connection(endpoint, timeout_s=timeout_s, retries=retries)
        self._timeout_s = timeout_s
        self.endpoint = self._connection.endpoint
        self._forms = _FORMS.get(endpoint.engine, (CONTENT, PROMPT, OURS))

    def models(self) -> list[ListedModel]:
        """The models that the server lists, that which it is meant to be asked for first."""
        with offered(PATH, self.endpoint):
            listed = self._connection.listed()
        if self.endpoint.engine == OLLAMA:
            digests = {each.name: each.digest for each in self._ollama().models()}
            listed = [each.model_copy(update={"revision": digests.get(each.id)}) for each in listed]
        meant = self.endpoint.model
        if meant and all(each.id != meant for each in listed):
            listed = [ListedModel(id=meant), *listed]
        return sorted(listed, key=lambda each: each.id != meant)

    def window_tokens(self, model: str) -> int | None:
        """Tokens that one text may have; None where the server does not tell."""
        if self.endpoint.engine == OLLAMA:
            made_for = self._ollama().show(model).context_tokens
            return made_for and min(made_for, OLLAMA_WINDOW)
        with offered(PATH, self.endpoint):
            return self._connection.context_length(model)

    def _ollama(self) -> Ollama:
        return Ollama(self.endpoint, timeout_s=self._timeout_s)

    def embed(self, model: str, texts: Sequence[str], wanted: Wanted | None = None) -> Embedded:
        """The vectors of texts.

        Args:
            wanted: looked at while the server is waited for. None: the answer is always wanted.

        Raises: GivenUp where it is not; and see the class.
        """
        body = {"model": model, "input": list(texts), "encoding_format": "float"}
        found = self._asked(f"{self.endpoint.url}/{PATH}", _Rows, body, wanted)
        rows = found.data
        if all(row.index is not None for row in rows):
            rows = sorted(rows, key=lambda row: row.index or 0)
        if len(rows) != len(texts) or any(row.index not in (None, place) for place, row in enumerate(rows)):
            raise self._nonsense(phrase(N_("{found} vectors for {asked} texts"), found=len(rows), asked=len(texts)))
        if len({len(row.embedding) for row in rows}) > 1 or not all(row.embedding for row in rows):
            raise self._nonsense(N_("its vectors differ in length"))
        return Embedded(found.model or model, [row.embedding for row in rows])

    def count_tokens(self, model: str, texts: Sequence[str], wanted: Wanted | None = None) -> list[int]:
        """Tokens of each text with what the model puts around it, before any cut.

        Where the server counts none it is an estimate that errs on the high side.

        Raises: GivenUp; and see the class.
        """
        for form in self._forms:
            try:
                counts = self._counted(form, model, texts, wanted)
            except (BadResponse, NotOffered, RequestRefused, Unauthorized):
                self._forms = tuple(other for other in self._forms if other != form)
            else:
                self._forms = (form,)
                return counts
        return [estimated_tokens(text) + FRAME_TOKENS for text in texts]

    def _counted(self, form: str, model: str, texts: Sequence[str], wanted: Wanted | None) -> list[int]:
        url = root_url(self.endpoint.url) + "/tokenize"
        if form == OURS:
            return self._asked(url, _Counts, {OURS: list(texts)}, wanted).counts
        beyond = {"add_special": True} if form == CONTENT else {"model": model}
        return [len(self._asked(url, _Tokens, {form: text, **beyond}, wanted).tokens) for text in texts]

    def _asked(self, url: str, shape: type[Reply], body: Mapping[str, Any], wanted: Wanted | None) -> Reply:
        def ask(line: Line | None = None) -> Reply:
            with offered(PATH, self.endpoint):
                return self._connection.asked("POST", url, shape, body, line=line)

        return ask() if wanted is None else while_wanted(ask, wanted)

    def _nonsense(self, reason: object) -> BadResponse:
        return BadResponse(name=self.endpoint.name, reason=reason)
