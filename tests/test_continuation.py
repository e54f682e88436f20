"""A continuation tells what it asks for, decides the fingerprint, and shows no text in its repr."""

from __future__ import annotations

from dataclasses import replace

from structstream.continuation import Continuation, OpenLevel
from structstream.request import StreamingStructuredRequest

SECRET = "said in confidence"
GOES_ON = Continuation(
    prefix=f'{{"note": "{SECRET}',
    levels=(OpenLevel("text", ("note",), "rest_1", so_far=SECRET),),
    schema={"type": "object"},
    messages=({"role": "assistant", "content": SECRET}, {"role": "user", "content": "Go on."}),
    path="note",
)
REQUEST = StreamingStructuredRequest(response_model=int, model="openai/gpt-4o", prompt="Legs of a cat?")


def test_without_a_message_nothing_is_asked_for() -> None:
    assert GOES_ON.asks
    assert not Continuation(prefix="[1").asks


def test_its_messages_stand_behind_the_conversation() -> None:
    roles = [message["role"] for message in replace(REQUEST, system="Be brief.", continuation=GOES_ON).conversation]
    assert roles == ["system", "user", "assistant", "user"]


def test_a_fingerprint_counts_what_is_gone_on_from() -> None:
    going_on = replace(REQUEST, continuation=GOES_ON)
    others = [replace(REQUEST, continuation=replace(GOES_ON, prefix='{"note": "')), REQUEST]
    assert going_on.fingerprint() == replace(REQUEST, continuation=replace(GOES_ON)).fingerprint()
    assert going_on.fingerprint() not in {other.fingerprint() for other in others}


def test_no_text_stands_in_a_repr() -> None:
    assert SECRET not in f"{GOES_ON!r} {GOES_ON.levels!r} {replace(REQUEST, continuation=GOES_ON)!r}"
