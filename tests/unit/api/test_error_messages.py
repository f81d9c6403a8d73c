"""Messages in Korean say as much as those in English."""

from __future__ import annotations

from ecpmon.korean.messages import KOREAN, in_korean


def test_a_korean_message_keeps_what_was_wrong_and_where() -> None:
    said = in_korean("BAD_REQUEST", "the body is not JSON: line 1 column 8 (char 7)")
    assert said.startswith(KOREAN["BAD_REQUEST"])
    assert "line 1 column 8" in said


def test_nothing_of_the_servers_own_is_added() -> None:
    assert in_korean("INTERNAL_ERROR", "this is a fault of the server") == KOREAN["INTERNAL_ERROR"]


def test_a_code_without_a_sentence_is_told_as_it_is() -> None:
    assert in_korean("NEW_CODE", "what happened") == "what happened"
