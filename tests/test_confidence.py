"""How sure the model was: tokens, aligned with the values that they spell."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, strategies as st
from pydantic import TypeAdapter, ValidationError

from structstream.confidence import Confidence, Tokens
from structstream.decoder import StreamDecoder
from structstream.events import Logprobs, TextDelta
from structstream.jsonstream import JSONStream
from structstream.partial import PartialParser
from structstream.providers import DIALECTS, ProviderSpec, route
from structstream.providers.base import logprobs_of
from structstream.request import StreamingStructuredRequest
from structstream.response import Outcome, OutcomeKind, StreamingResponse, TokenLogprob
from structstream.resume import continued_request
from structstream.sse import SSEDecoder
from structstream.text import parse_path, render_path
from tests.corpus import CORPUS, needs_corpus
from tests.models import Case, cases
from tests.walk import walk

Token = tuple[bytes, float]


def confidence(kind: Any, text: str, tokens: list[Token], **how: Any) -> Confidence:  # Any: types, a parser's options
    parser: PartialParser[Any] = PartialParser(kind, **how)
    parser.feed(text)
    parser.read()
    return Confidence(parser, [TokenLogprob(f"bytes:{data!r}", logprob, data) for data, logprob in tokens])


def test_a_value_is_the_geometric_mean_of_its_tokens_and_a_container_of_its_scalars() -> None:
    text = '{"name": "Ada Lovelace", "born": 1815, "tags": ["x", ""], "none": {}}'
    tokens = [
        *[(b'{"', -9.0), (b"name", -9.0), (b'":', -9.0), (b' "', -9.0), (b"Ada", -0.2), (b" Love", -0.4)],
        *[(b"lace", -0.6), (b'",', -9.0), (b' "born": ', -9.0), (b"18", -0.1), (b"15", -0.3), (b', "tags": [', -9.0)],
        *[(b'"x', -0.5), (b'", ', -9.0), (b'""', -0.7), (b'], "none": ', -9.0), (b"{}", -0.8), (b"}", -9.0)],
    ]
    found = confidence(dict[str, Any], text, tokens)
    expected = {
        "name": -0.4,
        "born": -0.2,
        "tags[0]": -0.5,
        "tags[1]": -0.7,
        "tags": (-0.5 - 0.7) / 2,
        "none": -0.8,
        "": (-0.2 - 0.4 - 0.6 - 0.1 - 0.3 - 0.5 - 0.7) / 7,
    }
    assert {path: found.of(path) for path in expected} == {
        path: pytest.approx(math.exp(mean)) for path, mean in expected.items()
    }
    assert found.of("other") is None
    assert found.of("tags[2]") is None


@pytest.mark.parametrize(
    "tokens",
    [
        [(b'["', 0.0), (b"\xf0\x9f", -1.0), (b"\x98", -2.0), (b"\x80", -3.0), (b'"]', 0.0)],
        [(b'["', 0.0), (b"\xf0", -1.0), (b"\x9f\x98", -2.0), (b'\x80"]', -3.0)],
    ],
)
def test_a_character_in_several_tokens_is_spelt_by_all_of_them(tokens: list[Token]) -> None:
    assert confidence(list[str], '["😀"]', tokens).of("[0]") == pytest.approx(math.exp(-2.0))


def test_text_around_the_json_is_passed_over() -> None:
    fenced = "Here it is:\n```json\n[1, 22]\n```"
    tokens = [(b"Here it is:", -5.0), (b"\n```json\n", -5.0), (b"[1", -1.0), (b", 22", -2.0), (b"]\n```", -5.0)]
    found = confidence(list[int], fenced, tokens, lenient=True)
    assert [found.of("[0]"), found.of("[1]")] == pytest.approx([math.exp(-1), math.exp(-2)])


def test_paths_are_those_of_the_value_within_its_wrapper() -> None:
    tokens = [(b'{"result": [', -5.0), (b"1", -1.0), (b', {"a": ', -5.0), (b"2", -2.0), (b"}]}", -5.0)]
    found = confidence(list[Any], '{"result": [1, {"a": 2}]}', tokens, wrap_key="result")
    assert found.of("[0]") == pytest.approx(math.exp(-1))
    assert found.of("[1].a") == pytest.approx(math.exp(-2))
    assert found.of("") == pytest.approx(math.exp(-1.5))
    record = confidence(dict[str, int], '{"r": {"a": 2}}', [(b'{"r": {"a": 2}}', -1.0)], wrap_key="r")
    assert record.of("a") == pytest.approx(math.exp(-1))


@pytest.mark.parametrize("tokens", [[], [(b"something else", -1.0)], [(b"[1, ", -1.0)], [(b"[1, 3]", -1.0)]])
def test_tokens_that_do_not_spell_the_value_tell_nothing(tokens: list[Token]) -> None:
    assert confidence(list[int], "[1, 2]", tokens).of("[1]") is None


def test_what_is_impossible_is_not_sure_and_nothing_is_surer_than_sure() -> None:
    tokens = [(b"[", 0.0), (b"1", -math.inf), (b", ", 0.0), (b"2", 1e-9), (b"]", 0.0)]
    found = confidence(list[int], "[1, 2]", tokens)
    assert (found.of("[0]"), found.of("[1]")) == (0.0, 1.0)


@given(cases(valid=True), st.data())
def test_each_closed_value_is_found_and_read_as_it_grows(case: Case, data: st.DataObject) -> None:
    if case.repeats or not _is_valid(case):
        return
    parser: PartialParser[Any] = PartialParser(case.type, fail_fast=False)  # Any: as above
    tokens: list[TokenLogprob] = []
    found = Confidence(parser, tokens)
    for char in case.text:
        tokens.append(TokenLogprob(char, -0.5, char.encode()))
        moment = parser.step(char)
        if data.draw(st.integers(0, 9)) == 0:
            sure = [found.of(path) for path in moment.completed]
            assert all(one is None or math.isclose(one, math.exp(-0.5)) for one in sure)
    parser.finish()
    assert [found.of(path) for path in parser.completed()] == pytest.approx([math.exp(-0.5)] * len(parser.completed()))


def _is_valid(case: Case) -> bool:
    try:
        TypeAdapter(case.type).validate_json(case.text)
    except ValidationError:
        return False
    return True


def test_the_work_is_that_of_one_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    parser: PartialParser[list[int]] = PartialParser(list[int])
    parser.feed("[")
    tokens = [TokenLogprob("[", -1.0, b"[")]
    parser.read()
    found = Confidence(parser, tokens)
    read: list[int] = []
    feed = JSONStream.feed

    def counted(reader: JSONStream, text: str) -> None:
        if reader is found._spans._reader:
            read.append(len(text))
        feed(reader, text)

    monkeypatch.setattr(JSONStream, "feed", counted)
    for number in range(300):
        parser.step(f"{number % 10},")
        tokens.append(TokenLogprob(f"{number % 10},", -1.0))
        assert found.of(f"[{number}]") == pytest.approx(math.exp(-1))
    assert sum(read) == 601


# where it comes from


def body(tokens: list[str], *, logprobs: bool = True) -> bytes:
    events: list[Any] = []  # Any: JSON
    for token in tokens:
        entry = {"token": token, "logprob": -0.5, "bytes": list(token.encode()), "top_logprobs": []}
        choice: dict[str, Any] = {"delta": {"content": token}, "logprobs": {"content": [entry]} if logprobs else None}
        events.append({"choices": [choice]})
    events.append({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"


def test_a_response_and_an_outcome_tell_it() -> None:
    decoder = StreamDecoder(list[int], route("gpt-4o").provider.decoder(), cadence="delta")
    steps = [*decoder.feed(body(["[1", ", 2", "]"])), decoder.finish()]
    assert steps[0].confidence("[0]") is None or steps[0].confidence("[0]") == pytest.approx(math.exp(-0.5))
    assert steps[1].confidence("[0]") == pytest.approx(math.exp(-0.5))
    last = steps[-1].outcome
    assert last is not None
    assert last.confidence("[1]") == steps[-1].confidence("[1]") == pytest.approx(math.exp(-0.5))
    assert last.confidence("") == pytest.approx(math.exp(-0.5))
    assert "confidence" not in repr(last)


def going_on(first: str, rest: str, *, logprobs: bool = True) -> Outcome[Any]:
    """The outcome of an answer of two attempts, of which the first broke off behind `first`."""
    request = StreamingStructuredRequest(response_model=dict[str, list[int]], model="gpt-4o", prompt="?")
    provider = route("gpt-4o").provider
    broken = StreamDecoder(request.response_model, provider.decoder())
    broken.feed(body([*first], logprobs=logprobs).partition(b'data: {"choices": [{"delta": {}, ')[0])
    outcome = broken.finish().outcome
    assert outcome is not None
    continued = continued_request(request, outcome)
    assert continued is not None
    continuation = continued.continuation
    assert continuation is not None
    names = [level.name for level in continuation.levels]
    decoder = StreamDecoder(request.response_model, provider.decoder(), continuation=continuation, attempt=2)
    steps = decoder.feed(body([rest % tuple(names)]))
    assert steps[0].confidence("a[0]") is None or logprobs
    found = decoder.finish().outcome
    assert found is not None
    return found


def test_what_an_answer_kept_of_an_earlier_attempt_keeps_its_confidence() -> None:
    outcome = going_on('{"a": [12, 3], "b": [4, 5', '{"%s": [6], "%s": {"c": []}}')
    assert outcome.result == {"a": [12, 3], "b": [4, 6], "c": []}
    told = {path: outcome.confidence(path) for path in ("a", "a[0]", "a[1]", "b[0]", "b[1]", "b", "c", "")}
    assert all(told[path] == pytest.approx(math.exp(-0.5)) for path in ("a", "a[0]", "a[1]", "b[0]"))
    assert [told[path] for path in ("b[1]", "b", "")] == [None, None, None]  # the rest is spelt in other brackets


def test_what_was_kept_without_probabilities_has_none() -> None:
    outcome = going_on('{"a": [12, 3], "b": [4, 5', '{"%s": [6], "%s": {"c": []}}', logprobs=False)
    assert [outcome.confidence(path) for path in ("a[0]", "b[0]", "")] == [None, None, None]


def test_without_probabilities_there_is_none() -> None:
    decoder = StreamDecoder(list[int], route("gpt-4o").provider.decoder())
    steps = [*decoder.feed(body(["[1", ", 2", "]"], logprobs=False)), decoder.finish()]
    assert [step.confidence("[0]") for step in steps] == [None] * len(steps)
    assert StreamingResponse(outcome=Outcome(OutcomeKind.COMPLETE, result=1)).confidence("") is None


@pytest.mark.parametrize(
    ("model", "path", "asked"),
    [
        ("openai/gpt-4o", ["logprobs"], True),
        ("openai-responses/gpt-4o", ["include"], ["message.output_text.logprobs"]),
        ("google/gemini-2.5-flash", ["generationConfig", "responseLogprobs"], True),
        ("anthropic/claude-sonnet-4-5", ["logprobs"], None),
    ],
)
def test_a_request_asks_for_it_in_the_words_of_the_dialect(model: str, path: list[str], asked: object) -> None:
    for logprobs in (True, False):
        request = StreamingStructuredRequest(response_model=list[int], model=model, prompt="?", logprobs=logprobs)
        found: Any = route(model).encode(request).body  # Any: JSON
        for name in path:
            found = found.get(name) if found is not None else None
        assert found == (asked if logprobs else None)


def test_the_bytes_of_a_token_are_kept_where_they_are_told() -> None:
    told: list[Any] = [{"token": "a", "logprob": -1, "bytes": [240, 159]}, {"token": "b", "logprob": -1, "bytes": None}]
    assert [token.utf8 for token in logprobs_of(told)] == [b"\xf0\x9f", b""]
    assert [token.utf8 for token in logprobs_of([{"token": "a", "logprob": -1, "bytes": [999]}])] == [b""]


@needs_corpus
def test_recorded_tokens_spell_the_recorded_text() -> None:
    assert CORPUS is not None
    read = 0
    for folder, dialect in (("openai-chat", "openai_chat"), ("openai-responses", "openai_responses")):
        for file in sorted((CORPUS / "sse" / folder).glob("*.sse")):
            data = file.read_bytes()
            if b'"logprobs":{' not in data and b'"logprob":' not in data:
                continue
            decoder, sse = DIALECTS[dialect](ProviderSpec(name="test", dialect=dialect)).decoder(), SSEDecoder()
            said = [one for event in sse.feed(data) for one in decoder.feed(event)]
            text = "".join(one.text for one in said if isinstance(one, TextDelta) and not one.choice)
            tokens = [token for one in said if isinstance(one, Logprobs) and not one.choice for token in one.tokens]
            if tokens:
                read += 1
                assert Tokens(tokens).find(text) == 0, file.name
    assert read >= 1


def test_paths_are_written_as_everywhere() -> None:
    text = json.dumps({"a b": [{"c": 1}]})
    found = confidence(dict[str, list[dict[str, int]]], text, [(text.encode(), -1.0)])
    final = json.loads(text)
    for path, _ in walk(final):
        assert parse_path(render_path(path)) == list(path)
        assert found.of(render_path(path)) == pytest.approx(math.exp(-1))
