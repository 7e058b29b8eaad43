"""What is done with a conversation beside asking: names, branches, versions, settings, memory, a link for others."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from services.chat.choices import Choices, settle
from services.chat.memory import Remembered, rememberable, remembered
from services.chat.turns import CHAT
from services.core.errors import ConversationNotFound, InvalidName
from services.core.i18n import DEFAULT_LANGUAGE, N_, translate
from services.core.machine import this_process
from services.llm.estimate import estimated_tokens
from services.store.conversations import ConversationRecord, ConversationRows, TurnRecord, TurnRows, way_to
from services.store.product import ProductSettings

TITLE_LIMIT = 200
BRANCH_ROOM = 20
"""Characters of a title that the word for a branch may take."""
COPIED = (
    *("mode", "state", "question", "standalone", "answer", "reasoning", "bases", "notes", "server_name", "model"),
    *("settings", "passages", "timings_ms", "prompt_tokens", "completion_tokens", "pid", "process_started_at"),
    *("error_code", "error_params", "created_at_ms"),
)
"""Of a turn, in a branch."""
NOWHERE = ""
"""In place of a machine: a copied turn was asked on none, and no machine counts it as a question of its own."""
PLENTY = 1_000_000


@dataclass(frozen=True, slots=True)
class Versions:
    """A turn among its versions: which one of how many (from 1), and the ones before and after it."""

    number: int
    count: int
    before: str | None
    after: str | None


class Conversations:
    """The owner's way to her conversations. Thread-safe; every method raises ConversationNotFound for a stranger's."""

    def __init__(self, conversations: ConversationRows, turns: TurnRows) -> None:
        self._conversations = conversations
        self._turns = turns

    def rename(self, owner_id: str, conversation_id: str, title: str) -> ConversationRecord:
        """Give another title; it then stays. Raises: InvalidName."""
        kept = " ".join(title.split())
        if not kept or len(kept) > TITLE_LIMIT:
            reason = N_("it is too long") if kept else N_("it is empty")
            raise InvalidName(name=kept[:TITLE_LIMIT], reason=reason, limit=TITLE_LIMIT)
        return self._changed(owner_id, conversation_id, title=kept, title_origin="person")

    def choose(self, owner_id: str, conversation_id: str, choices: Choices) -> ConversationRecord:
        """Choose the settings of a conversation, for the turns to come; what is left out is not chosen any more."""
        return self._changed(owner_id, conversation_id, settings=choices.row())

    def begun_with(self, owner_id: str, exchanges: Iterable[tuple[str, str]], machine_id: str) -> ConversationRecord:
        """A new conversation that remembers questions and answers from elsewhere; it keeps its title."""
        talk = self._conversations.create(owner_id=owner_id, title="", server_id=None)
        self._conversations.retitle(talk.id, talk.title, origin="person", unless="")
        me = this_process()
        for question, answer in exchanges:
            self._turns.create(
                talk.id,
                mode=CHAT,
                state="done",
                question=question,
                answer=answer,
                server_name="",
                model="",
                settings={},
                machine_id=machine_id,
                pid=me.pid,
                process_started_at=me.started_at,
                created_at_ms=0,  # not asked here and now: no count of questions is to see it
            )
        return talk

    def branch(self, owner_id: str, turn_id: str, language: str = DEFAULT_LANGUAGE) -> ConversationRecord:
        """A new conversation that begins with the turns up to this one; the old one stays as it is.

        What was cleared from the memory stays cleared, and what each turn's model was sent can still be seen.

        Args:
            language: of the word that is put behind the title.
        """
        turn = self._turn(turn_id)
        talk = self._own(owner_id, turn.conversation_id)
        title = translate(N_("{title} (branch)"), language, title=talk.title[: TITLE_LIMIT - BRANCH_ROOM])
        made = self._conversations.create(
            owner_id=owner_id, title=title, server_id=talk.server_id, settings=talk.settings
        )
        copies = [(old, self._copied(old, made.id)) for old in self._turns.path(talk.id, turn.id) if not old.live]
        cleared = [copy.position for old, copy in copies if old.position <= (talk.remembers_after or 0)]
        through = {old.id: copy.id for old, copy in copies}.get((talk.summary or {}).get("through", ""))
        changes = {
            "title_origin": "person" if talk.title_origin == "person" else "model",
            "remembers_after": max(cleared, default=None),
            "summary": {**(talk.summary or {}), "through": through} if through else None,
        }
        return self._conversations.change(made.id, **changes) or made

    def versions(self, conversation_id: str) -> dict[str, Versions]:
        """For each turn that has other versions, where it stands among them."""
        by_parent: dict[str | None, list[str]] = {}
        for turn_id, parent_id in self._turns.parents(conversation_id).items():
            by_parent.setdefault(parent_id, []).append(turn_id)
        found: dict[str, Versions] = {}
        for ids in by_parent.values():
            around = [None, *ids, None]
            for number, turn_id in enumerate(ids, 1):
                if len(ids) > 1:
                    found[turn_id] = Versions(number, len(ids), around[number - 1], around[number + 1])
        return found

    def show_version(self, owner_id: str, turn_id: str) -> None:
        """Show another version of a turn, with what was last said after it."""
        turn = self._turn(turn_id)
        self._own(owner_id, turn.conversation_id)
        turns = self._turns.of(turn.conversation_id)
        beneath = [each for each in turns if turn.id in {one.id for one in way_to(each.id, turns)}]
        self._conversations.change(turn.conversation_id, head_id=beneath[-1].id)

    # memory ----------------------------------------------------------------------------------------------------------
    def memory(self, owner_id: str, conversation_id: str, product: ProductSettings) -> Remembered:
        """What the next chat turn would remember, where the server has room for it."""
        talk = self._own(owner_id, conversation_id)
        turns = rememberable(self._turns.path(talk.id, talk.head_id), talk.remembers_after)
        settled = settle(Choices.stored(talk.settings), product, "chat")
        return remembered(turns, talk.summary, settled, PLENTY, estimated_tokens)

    def forget(self, owner_id: str, conversation_id: str) -> None:
        """Clear the memory: the turns stay to be read, but the model is told of none of them any more."""
        newest = max((turn.position for turn in self._turns.of(conversation_id)), default=0)
        self._changed(owner_id, conversation_id, remembers_after=newest, summary=None)

    def prompt(self, owner_id: str, turn_id: str) -> list[dict[str, Any]]:
        """What the model was sent for a turn, part by part with tokens; empty where it was sent nothing."""
        self._own(owner_id, self._turn(turn_id).conversation_id)
        return self._turns.prompt(turn_id)

    # sharing ---------------------------------------------------------------------------------------------------------
    def share(self, owner_id: str, conversation_id: str) -> str:
        """Let everybody of this installation who has the link read it; returns what the link ends in."""
        talk = self._own(owner_id, conversation_id)
        token = talk.share_token or secrets.token_urlsafe(24)
        if talk.share_token is None:
            self._conversations.change(talk.id, share_token=token)
        return token

    def unshare(self, owner_id: str, conversation_id: str) -> None:
        """Take the link back; it leads nowhere from now on."""
        self._changed(owner_id, conversation_id, share_token=None)

    def shared(self, token: str) -> tuple[ConversationRecord, Sequence[TurnRecord]]:
        """The conversation that a link leads to, to be read by anybody. Raises: ConversationNotFound."""
        talk = self._conversations.shared(token) if token else None
        if talk is None:
            raise ConversationNotFound()
        return talk, self._turns.path(talk.id, talk.head_id)

    def _copied(self, old: TurnRecord, conversation_id: str) -> TurnRecord:
        """A turn once more at the end of another conversation, with what its model was sent."""
        values = {name: getattr(old, name) for name in COPIED}
        copy = self._turns.create(conversation_id, **values, machine_id=NOWHERE)
        if sent := self._turns.prompt(old.id):
            self._turns.sent(copy.id, sent)
        return copy

    def _own(self, owner_id: str, conversation_id: str) -> ConversationRecord:
        found = self._conversations.of(owner_id, conversation_id)
        if found is None:
            raise ConversationNotFound()
        return found

    def _changed(self, owner_id: str, conversation_id: str, **changes: Any) -> ConversationRecord:
        self._own(owner_id, conversation_id)
        changed = self._conversations.change(conversation_id, **changes)
        if changed is None:
            raise ConversationNotFound()
        return changed

    def _turn(self, turn_id: str) -> TurnRecord:
        found = self._turns.get(turn_id)
        if found is None:
            raise ConversationNotFound()
        return found
