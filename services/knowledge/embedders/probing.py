"""A server is looked at before a base is embedded by it: what it is, and what its vectors are."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.core.phrases import phrase
from services.knowledge.embedders.habits import NONE, habits_of
from services.knowledge.embedders.ports import VectorServers
from services.knowledge.embedders.protocol import SERVER, EmbedderSpec
from services.knowledge.embedders.registry import DEFAULT_KEY, built_in
from services.knowledge.embedders.scale import measured_scale
from services.knowledge.embedders.served import POOLING, ServerEmbedder, acceptable
from services.llm.connection import ListedModel
from services.llm.model_names import looks_like_embedder

USUAL_WINDOW = 512
"""Where nobody tells: what nearly every embedder reads."""
LEAST_WINDOW, MOST_WINDOW = 64, 131_072


@dataclass(frozen=True, slots=True)
class ServedWish:
    """What somebody wishes of an embedder behind a server. What is None is found out, or suggested."""

    model: str | None = None
    query_prefix: str | None = None
    passage_prefix: str | None = None
    window_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server offers for vectors, and how a model of it would be asked unless somebody says otherwise."""

    models: tuple[str, ...]
    model: str
    query_prefix: str
    passage_prefix: str
    window_tokens: int
    known: bool
    """Whether the name of the model tells its prefixes."""
    told: bool
    """Whether the server told its window."""


NO_WISH = ServedWish()


class EmbedderChoices:
    """Makes specs of what people choose. Thread-safe.

    Every method raises InvalidValue, and what `ServerEmbedder` raises.
    """

    def __init__(self, servers: VectorServers) -> None:
        self._servers = servers

    def spec(self, key: str | None, wish: ServedWish = NO_WISH, now: EmbedderSpec | None = None) -> EmbedderSpec:
        """The spec of an embedder, which has been tried where it is a server.

        Args:
            key: None: the one of `now`, else the usual one.
            now: what is to be changed: what is not wished otherwise stays, as long as server and model do.
        """
        chosen = key or (now.key if now else DEFAULT_KEY)
        if not chosen.startswith(SERVER):
            if wish != NO_WISH:
                reason = N_("only an embedder behind a server has a model, prefixes and a window to choose")
                raise InvalidValue(field="embedder", value=chosen, reason=reason)
            return built_in(chosen)
        name = chosen.removeprefix(SERVER)
        if now is None or now.key != chosen:
            return self._probed(name, wish)
        found = self._probed(name, _over(wish, now))
        # What is measured differs a little each time; that alone is no change.
        measured = {"cosine_offset": now.cosine_offset, "cosine_range": now.cosine_range}
        return now if found.model_copy(update=measured) == now else found

    def offer(self, server: str, model: str | None = None) -> Offer:
        """What a server says of itself.

        Args:
            model: None: the one that would be asked where nobody chooses.
        """
        reached = self._servers.reached(server)
        listed = reached.models()
        chosen = model or _meant(listed)
        if not chosen:
            raise InvalidValue(field=N_("model"), value="–", reason=phrase(N_("“{name}” lists no model"), name=server))
        habits, told = habits_of(chosen), reached.window_tokens(chosen)
        known = habits or NONE
        window = told or known.window_tokens or USUAL_WINDOW
        return Offer(
            tuple(each.id for each in listed),
            chosen,
            known.query_prefix,
            known.passage_prefix,
            min(max(window, LEAST_WINDOW), MOST_WINDOW),
            habits is not None,
            told is not None,
        )

    def _probed(self, name: str, wish: ServedWish) -> EmbedderSpec:
        found = self.offer(name, wish.model)
        window = found.window_tokens if wish.window_tokens is None else wish.window_tokens
        if not LEAST_WINDOW <= window <= MOST_WINDOW:
            reason = phrase(N_("it must be from {least} to {most}"), least=LEAST_WINDOW, most=MOST_WINDOW)
            raise InvalidValue(field="window_tokens", value=window, reason=reason)
        passage = found.passage_prefix if wish.passage_prefix is None else wish.passage_prefix
        server = self._servers.reached(name)
        answer = server.embed(found.model, [acceptable(passage + "probe")])
        spec = EmbedderSpec(
            key=SERVER + name,
            model=answer.model,
            revision=next((each.revision for each in server.models() if each.id == found.model), None) or "",
            dimensions=len(answer.rows[0]),
            window_tokens=window,
            query_prefix=found.query_prefix if wish.query_prefix is None else wish.query_prefix,
            passage_prefix=passage,
            pooling=POOLING,
            asked_as="" if answer.model == found.model else found.model,
        )
        offset, wide = measured_scale(ServerEmbedder(spec, self._servers))
        return spec.model_copy(update={"cosine_offset": offset, "cosine_range": wide})


def _over(wish: ServedWish, now: EmbedderSpec) -> ServedWish:
    """The wish, filled up with what there is now; nothing of another model."""
    asked = now.asked_as or now.model
    if wish.model not in (None, asked):
        return wish
    kept = ServedWish(asked, now.query_prefix, now.passage_prefix, now.window_tokens)
    both = zip(astuple(wish), astuple(kept), strict=True)
    return ServedWish(*(old if new is None else new for new, old in both))


def _meant(listed: list[ListedModel]) -> str:
    """The model that is asked where nobody chose: the first whose name says that it makes vectors, else the first."""
    names = [model.id for model in listed]
    return next(filter(looks_like_embedder, names), names[0] if names else "")
