"""What people think of answers: said beneath them, taken back, and read by whoever looks after the documents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.app import Services
from services.knowledge.loaders.reader import Reader
from services.store.bases import BaseRecord
from tests.app.chat_places import asked
from tests.app.pages import labels, opened, press, put, speak, words
from ui import rated
from ui.owner import LOCAL

WHO_READS = "Whoever can open the Knowledge page can read the question, the answer"


def thumb(app: Any, value: int | None) -> Any:
    """Press a thumb: 0 is bad, 1 good; None takes it back."""
    app.feedback[0].set_value(value)
    app.run()
    assert not app.exception
    return app


def scrolled(app: Any) -> str:
    """The turn that the page was told to scroll to."""
    [data] = [
        json.loads(part.proto.json) for part in app.get("bidi_component") if "scroll" in part.proto.component_name
    ]
    return str(data["at"])


def linked(app: Any) -> list[str]:
    """Where the links on a page lead."""
    return [link.proto.query_string for link in app.get("page_link") if link.proto.query_string]


def test_a_thumb_is_kept_and_a_thumb_that_is_taken_back_stays_away(services: Services, base: BaseRecord) -> None:
    turn = asked(services, base)
    app = opened("1_Chat", conversation=turn.conversation_id)
    assert app.feedback[0].value is None and WHO_READS not in words(app)
    app = thumb(app, 1)
    known = services.feedback.of(LOCAL, turn.id)
    assert known and known.verdict == "good" and WHO_READS in words(app)
    app = opened("1_Chat", conversation=turn.conversation_id)
    assert app.feedback[0].value == 1
    thumb(app, None)
    assert services.feedback.of(LOCAL, turn.id) is None
    app = opened("1_Chat", conversation=turn.conversation_id)
    assert app.feedback[0].value is None and WHO_READS not in words(app)


def test_a_comment_needs_no_thumb_and_stays_when_one_is_taken_back(services: Services, base: BaseRecord) -> None:
    turn = asked(services, base)
    app = press(opened("1_Chat", conversation=turn.conversation_id), "Comment on this answer")
    assert WHO_READS in words(app)
    next(button for button in app.button if button.label == "Comment on this answer").click()
    app.text_area[0].set_value("It is seven.")
    press(app, "Save", within="Comment on this answer")
    known = services.feedback.of(LOCAL, turn.id)
    assert known and (known.verdict, known.comment) == ("", "It is seven.")
    app = opened("1_Chat", conversation=turn.conversation_id)
    assert app.feedback[0].value is None
    thumb(thumb(app, 0), None)
    known = services.feedback.of(LOCAL, turn.id)
    assert known and (known.verdict, known.comment) == ("", "It is seven.")


def test_a_librarian_reads_what_people_think_and_opens_only_what_she_may(services: Services, base: BaseRecord) -> None:
    mine = asked(services, base, "When?")
    theirs = services.chat.wait(services.chat.ask("somebody else", "Secret?", base_ids=[base.id]).id, 30)
    services.feedback.rate("somebody else", theirs.id, "bad", "It is seven.")
    app = opened("2_Knowledge")
    assert "1 rated answer" in [box.label for box in app.expander]
    assert "Secret?" in words(app) and "It is seven." in words(app) and "bad" in words(app)
    assert "Open the conversation" not in labels(app) and not any("shared=" in link for link in linked(app))
    assert "starts at six" in words(press(app, "Read the answer"))
    token = services.conversations.share("somebody else", theirs.conversation_id)
    assert f"shared={token}" in linked(opened("2_Knowledge"))
    services.feedback.rate("somebody else", theirs.id, "", "")
    services.feedback.rate(LOCAL, mine.id, "good")
    again = services.chat.wait(services.chat.again(LOCAL, mine.id).id, 30)
    app = speak(opened("2_Knowledge"), "zh_CN")
    assert "1 条回答评价" in [box.label for box in app.expander] and "好评" in words(app)
    press(app, "打开对话")
    assert [turn.id for turn in services.chat.turns(LOCAL, again.conversation_id)] == [mine.id]


def test_the_turn_that_an_address_names_is_brought_into_sight_once(services: Services, base: BaseRecord) -> None:
    first = asked(services, base)
    services.chat.wait(services.chat.ask(LOCAL, "Why?", conversation_id=first.conversation_id).id, 30)
    app = opened("1_Chat", conversation=first.conversation_id, turn=first.id)
    assert "turn" not in app.query_params and scrolled(app) == first.id
    app.run()
    assert scrolled(app) == ""


def test_of_many_rated_answers_the_newest_are_shown_and_the_rest_counted(
    services: Services, base: BaseRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rated, "SHOWN", 1)
    for question in ("Oldest?", "Older?", "Newest?"):
        services.feedback.rate(LOCAL, asked(services, base, question).id, "good")
    app = opened("2_Knowledge")
    assert "3 rated answers" in [box.label for box in app.expander]
    assert "Newest?" in words(app) and "Older?" not in words(app)
    assert "2 older ones: “lectern feedback list” has them all." in words(app)


def test_a_golden_question_has_every_hit_with_its_rank_by_each_way_also_those_without_room(
    services: Services, base: BaseRecord, reader: Reader
) -> None:
    put(services, base, reader, long_md=b"The pump of the south well starts at noon, when it is hot. " * 12)
    services.choose(passage_tokens=200)
    turn = asked(services, base)
    kept = services.feedback.save_golden(LOCAL, turn.id)
    shown, left_out = [[hit for hit in kept.retrieved if hit["shown"] is whether] for whether in (True, False)]
    assert [hit["number"] for hit in shown] == [row["number"] for row in turn.passages] and left_out
    assert "text" not in left_out[0] and left_out[0]["document"] == "long.md"
    for hit in kept.retrieved:
        assert hit["dense_rank"] >= 1 and hit["lexical_rank"] >= 1
        assert 0 < hit["cosine"] <= 1 and 0 < hit["share"] <= 1
    assert kept.trace["prompt"] == services.conversations.prompt(LOCAL, turn.id) != []
