"""Queues in front of servers, and what is lent to background work."""

from __future__ import annotations

from services.chat.turnstile import Turnstile


def test_as_many_as_there_are_slots_go_in_and_the_others_keep_their_order() -> None:
    turnstile = Turnstile()
    people = [turnstile.enter("s", 2) for _ in range(5)]
    assert [person.place() for person in people] == [0, 0, 1, 2, 3]
    people[0].leave()
    assert [person.place() for person in people[3:]] == [1, 2], "the free slot is the third one's"
    assert people[2].place() == 0
    assert [person.place() for person in people[3:]] == [1, 2]


def test_who_gives_up_makes_room_for_those_behind() -> None:
    turnstile = Turnstile()
    first, second, third = (turnstile.enter("s", 1) for _ in range(3))
    assert [person.place() for person in (first, second, third)] == [0, 1, 2]
    second.leave()
    assert third.place() == 1
    first.leave()
    assert third.place() == 0


def test_a_server_whose_slots_nobody_knows_lets_everybody_in() -> None:
    turnstile = Turnstile()
    assert [turnstile.enter("s", None).place() for _ in range(30)] == [0] * 30


def test_servers_have_queues_of_their_own() -> None:
    turnstile = Turnstile()
    assert [turnstile.enter(name, 1).place() for name in ("a", "b")] == [0, 0]


def test_background_work_gets_a_slot_only_while_nobody_asks_and_is_recalled_by_who_does() -> None:
    turnstile = Turnstile()
    with turnstile.borrowed("s") as recall:
        assert recall is not None and not recall.is_set()
        with turnstile.borrowed("s") as second:
            assert second is None
        person = turnstile.enter("s", 1)
        assert recall.is_set() and person.place() == 1
    assert person.place() == 0
    with turnstile.borrowed("s") as refused:
        assert refused is None
    person.leave()
    with turnstile.borrowed("s") as again:
        assert again is not None
