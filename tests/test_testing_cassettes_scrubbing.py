"""What may stand in a cassette, and what is taken out."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, strategies as st

from structstream.testing.cassettes.recording import Chunk, Recording
from structstream.testing.cassettes.scrubbing import REDACTED, Scrubber

SECRET = 'pläin "secret"/?&'
KEY = "sk-planted-0123456789abcdefghij"

FORMS = [
    SECRET,
    json.dumps(json.dumps(SECRET))[3:-3],  # as the arguments of a tool stand in a body
    json.dumps(SECRET)[1:-1].replace("\\u00e4", "\\u00E4"),
    json.dumps(SECRET)[1:-1].replace("/", "\\/"),
    base64.b64encode(f"user:{SECRET}, and more".encode()).decode(),
    base64.b64encode(f"me:{SECRET}, and more".encode()).decode(),
    base64.urlsafe_b64encode(f"{SECRET}???>>>".encode()).decode(),
    quote(SECRET, safe=""),
    json.dumps(SECRET)[1:-1],
    json.dumps(SECRET, ensure_ascii=False)[1:-1],
    base64.b64encode(SECRET.encode()).decode(),
    base64.b32encode(SECRET.encode()).decode().rstrip("="),
    SECRET.encode().hex(),
    SECRET.encode().hex().upper(),
    f"user:{SECRET}".encode().hex(),
    quote(SECRET, safe="").lower(),
    quote_plus(SECRET),
    quote(quote(SECRET, safe=""), safe=""),
    "".join(f"%{byte:02x}" for byte in SECRET.encode()),
    html.escape(SECRET),
    "".join(f"\\u{ord(letter):04x}" for letter in SECRET),
]

SHAPES = [
    KEY,
    "sk-ant-api03-abcdefghijklmnopqrst",
    "gsk_abcdefghijklmnopqrst",
    "xai-abcdefghijklmnopqrst",
    "AIzaSyA0123456789abcdefghijklmnopqrstuv",
    "AKIAABCDEFGHIJKLMNOP",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijklmnop",
    "Bearer abcdefghijklmnopqrstuvwxyz",
]


@pytest.mark.parametrize("form", FORMS)
def test_a_known_secret_is_taken_out_in_every_form(form: str) -> None:
    scrubber = Scrubber([SECRET])
    assert scrubber.text(f"a {form} b") == f"a {REDACTED} b"
    assert scrubber.places({"response": {"body": {"string": f"a {form} b".encode()}}}) == ["response.body.string"]


@pytest.mark.parametrize("key", [KEY, SHAPES[1]])
@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_what_looks_like_a_key_is_taken_out_of_base64(key: str, before: str) -> None:
    written = base64.b64encode(f"{before} {key}".encode()).decode()
    assert Scrubber().text(f'{{"said": "{written}"}}') == f'{{"said": "{REDACTED}"}}'


@pytest.mark.parametrize(
    "written",
    [
        KEY.encode().hex(),
        f"me:{KEY}".encode().hex(),
        "0" + KEY.encode().hex(),
        "".join(f"%{byte:02X}" for byte in KEY.encode()),
        f"Bearer%20{KEY.replace('-', '%2d')}",
        "".join(f"\\u{ord(letter):04X}" for letter in KEY),
        KEY.replace("-", "\\u002d"),
    ],
)
def test_what_looks_like_a_key_is_taken_out_however_it_is_written(written: str) -> None:
    assert Scrubber().text(f'{{"said": "{written}"}}') == f'{{"said": "{REDACTED}"}}'


@pytest.mark.parametrize("key", SHAPES)
def test_what_looks_like_a_key_is_taken_out(key: str) -> None:
    assert Scrubber().text(f'{{"said": "{key}"}}') == f'{{"said": "{REDACTED}"}}'


@pytest.mark.parametrize(
    "text",
    [
        '{"token":"Hello","logprob":-0.1}',
        '{"password": "correct horse battery", "api_key": null}',
        "task-management-for-beginners-and-others",
        "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz",
        '{"id":"resp_0123456789abcdef0123456789abcdef"}',
        "sk-short",
    ],
)
def test_what_belongs_to_an_answer_stays(text: str) -> None:
    assert Scrubber().text(text) == text
    assert Scrubber().places([text]) == []


def test_secrets_of_the_environment_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "an-unusual-key-1")
    monkeypatch.setenv("SOME_TOKEN", "short")
    monkeypatch.setenv("SOME_NAME", "an-unusual-name-1")
    assert Scrubber().text("an-unusual-key-1 short an-unusual-name-1") == f"{REDACTED} short an-unusual-name-1"


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("https://x/v1", {"Authorization": "Bearer odd-planted-key"}),
        ("https://x/v1", {"x-api-key": "odd-planted-key"}),
        ("https://x/v1", {"X-My-Own-Token": "odd-planted-key"}),
        ("https://x/v1", {"cookie": "odd-planted-key"}),
        ("https://x/v1?alt=sse&key=odd-planted-key", {}),
        ("https://user:odd-planted-key@x/v1", {}),
    ],
)
def test_the_keys_that_a_request_carried_are_learnt(url: str, headers: dict[str, str]) -> None:
    scrubber = Scrubber()
    scrubber.learn(url, headers)
    assert scrubber.text("said odd-planted-key") == f"said {REDACTED}"


def test_a_word_in_place_of_a_key_is_not_learnt() -> None:
    scrubber = Scrubber()
    scrubber.learn("https://x/v1", {"authorization": "Bearer none"})
    assert scrubber.text("none of it") == "none of it"


def test_headers_and_query_are_held_to_the_allow_list() -> None:
    scrubber = Scrubber([], keep_headers=["X-Mine"], keep_query=["mine"])
    headers = {"Content-Type": "a", "X-Mine": "b", "X-Other": "c", "Set-Cookie": "d", "x-ratelimit-reset": "1s"}
    assert scrubber.headers(headers) == {"content-type": "a", "x-mine": "b", "x-ratelimit-reset": "1s"}
    assert scrubber.url("https://u:p@x:1/v1?alt=sse&key=k&mine=1#f") == "https://x:1/v1?alt=sse&mine=1"
    assert scrubber.headers({"location": "https://u:p@x/y?sig=1"}) == {"location": "https://x/y"}


def test_a_secret_in_pieces_is_found_where_it_cannot_be_taken_out() -> None:
    pieces = ("odd-pl", "anted", "-key")
    events = (json.dumps({"choices": [{"delta": {"content": piece}}]}) for piece in pieces)
    body = "".join(f"data: {event}\n\n" for event in events) + "data: [DONE]\n\n"
    scrubber = Scrubber(["odd-planted-key"])
    assert scrubber.text(body) == body
    assert scrubber.places({"body": body}) == ["body, over several events"]
    assert scrubber.places({"body": body}, joined=False) == []


def cut(text: str) -> list[str]:
    return [text[start : start + 4] for start in range(0, len(text), 4)]


def events(*data: object) -> bytes:
    return "".join(f"data: {json.dumps(each)}\n\n" for each in data).encode()


def choice(index: int, text: str) -> dict[str, object]:
    return {"choices": [{"index": index, "delta": {"content": text}}]}


PIECES = {
    "a shape that nobody told of": events(*(choice(0, piece) for piece in cut(f"it is {KEY}, says he"))),
    "beside another choice": events(
        *(choice(at, text) for piece in cut("an odd-planted-key") for at, text in ((0, piece), (1, "no")))
    ),
    "over two blocks": events({"index": 0, "text": "odd-plan"}, {"index": 1, "text": "ted-key"}),
    "in a list of answers": json.dumps([{"parts": [{"text": piece}]} for piece in cut("an odd-planted-key")]).encode(),
}


@pytest.mark.parametrize("name", PIECES)
def test_a_secret_in_pieces_is_found_however_they_come(name: str) -> None:
    assert Scrubber(["odd-planted-key"]).places({"body": PIECES[name]}) == ["body, over several events"]


def test_names_are_looked_at_as_well() -> None:
    assert Scrubber().places({"a": {KEY: 1}}) == ["a name in a"]


def test_suspects_are_named_by_their_names_alone() -> None:
    scrubber = Scrubber()
    headers: dict[str, object] = {"X-Api-Key": ["k1"], "Authorization": ["DUMMY"], "X-Trace": "1", "request-id": "r1"}
    assert scrubber.suspects("https://x/?key=k1&q=1&token=REDACTED", headers) == [
        "header X-Api-Key", "query parameter key",
    ]  # fmt: skip


@given(st.lists(st.sampled_from([b"a", b"sk-planted-0123456789", b"abcdefghij", b" "]), min_size=1, max_size=12))
def test_a_recording_is_scrubbed_as_its_body_is_and_its_cuts_stay(pieces: list[bytes]) -> None:
    scrubber = Scrubber([KEY])
    recording = Recording(chunks=tuple(Chunk(float(at), data) for at, data in enumerate(pieces)))
    clean = scrubber.recording(recording)
    assert clean.body == scrubber.body(recording.body)
    assert all(chunk.data for chunk in clean.chunks)
    untouched = [chunk for chunk in recording.chunks if chunk.data == b" "]
    assert [chunk for chunk in clean.chunks if chunk.data == b" "] == untouched


def test_a_cut_within_a_secret_moves_to_its_end() -> None:
    recording = Recording(
        chunks=(Chunk(1, b"a " + KEY[:9].encode()), Chunk(2, KEY[9:].encode() + b" b"), Chunk(3, b"c"))
    )
    assert Scrubber().recording(recording).chunks == (Chunk(1, b"a [redacted]"), Chunk(2, b" b"), Chunk(3, b"c"))


@pytest.mark.parametrize("bomb", [b"[" * 200_000, b"[" * 940 + b'"odd"' + b"]" * 940, b"data: " + b'{"a":' * 200_000])
def test_a_bomb_of_brackets_is_looked_at_without_a_crash(bomb: bytes) -> None:
    assert Scrubber(["odd-planted-key"]).places(bomb) == []


@pytest.mark.parametrize("letter", [b"%", b"\\", b"a", b"0", b"+", b"\\u00", b"%2"])
def test_the_work_grows_with_the_text_alone(letter: bytes) -> None:
    """A text of one letter, which each of the patterns might begin at every place anew: a second is far too long."""
    assert Scrubber([SECRET]).body(letter * 300_000) == letter * 300_000
