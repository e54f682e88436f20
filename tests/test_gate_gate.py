"""The gate as a whole: JSON in, JSON out, errors and texts beside it without what is not to be shown."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings, strategies as st

from structstream.continuation import OpenLevel
from structstream.errors import BlockedError, JSONLimitError, JSONSyntaxError, ProviderError
from structstream.facts import Fact, Judged
from structstream.gate import Gate
from structstream.guardrails import CallableGuardrail, DenyList, MaxLength, PersonalData, Secrets
from structstream.repair import JSONRepair
from tests.chunking import cut_at
from tests.guarding import gated, texts

RAILS = (PersonalData(), Secrets())


@settings(max_examples=60)
@given(st.lists(texts(), min_size=1, max_size=3), st.booleans(), st.data())
def test_no_secret_is_let_through_in_any_cut(
    found: list[tuple[str, list[str]]], escaped: bool, data: st.DataObject
) -> None:
    value = [{text: [text, 4111111111111111]} for text, _ in found]
    text = json.dumps(value, ensure_ascii=escaped)
    pieces = cut_at(text, data.draw(st.lists(st.integers(0, len(text)))))
    whole = gated(RAILS, [text])
    states: list[str] = []
    assert gated(RAILS, pieces, states.append) == whole
    assert all(whole.startswith(state) for state in states)
    assert len(json.loads(whole)) == len(value)
    for secret in (secret for _, planted in found for secret in (*planted, "4111111111111111")):
        assert secret[:5] not in json.dumps(json.loads(whole), ensure_ascii=False)


def test_json_without_findings_passes_as_it_is() -> None:
    text = '{ "a" : [1, 2.5e3, true, null, "x y"],\n "b": {"c": "plain text, really", "d": ""} }'
    assert gated(RAILS, list(text)) == gated(RAILS, [text]) == text


def test_text_that_is_repaired_is_guarded_as_what_it_becomes() -> None:
    shown: list[str] = []
    gate = Gate(RAILS, shown.append, repair=JSONRepair())
    for char in "Here: {mail: 'ada@example.org', n: [1,],}":
        gate.feed(char)
    gate.finish()
    assert json.loads("".join(shown)) == {"mail": "[email]", "n": [1]}


@pytest.mark.parametrize("text", ['{"ada@example.org": ada@example.org}', '{"ada@example.org": {"b": "c" "d"}}'])
def test_the_error_of_a_repair_tells_no_secret(text: str) -> None:
    shown: list[str] = []
    gate = Gate(RAILS, shown.append, repair=JSONRepair())
    with pytest.raises(JSONSyntaxError) as caught:
        gate.feed(text)
    assert "ada@" not in str(caught.value) + "".join(shown)
    assert "[email]" in caught.value.path


def test_a_bound_of_the_repair_keeps_its_name() -> None:
    gate = Gate(RAILS, len, repair=JSONRepair(max_depth=2))
    with pytest.raises(JSONLimitError, match="max_depth=2"):
        gate.feed('{"a": {"b": {"c": 1}}}')


def test_texts_beside_the_answer_are_judged_also_behind_escapes() -> None:
    gate = Gate(RAILS, len)
    assert gate.redact('Call: {"mail": "ada\\u0040example.org"} ok') == 'Call: {"mail": "[email]"} ok'
    assert gate.redact("nothing to see") == "nothing to see"


def test_an_error_says_nothing_that_is_not_to_be_shown() -> None:
    gate = Gate(RAILS, len)
    error = ProviderError("no such user: ada@example.org", provider="openai", code="sk-planted-0123456789abcdefghij")
    gate.guard_error(error)
    assert str(error) == "openai: no such user: [email] (code [secret])"
    assert (error.message, error.code) == ("no such user: [email]", "[secret]")


def test_an_error_that_holds_a_denied_word_says_nothing() -> None:
    gate = Gate([DenyList(["hush"])], len)
    error = ProviderError("Hush!", provider="openai")
    gate.guard_error(error)
    assert (str(error), error.message) == ("an error whose text a guardrail has stopped", "")


def test_the_path_of_a_stop_tells_no_secret_and_no_wrapper() -> None:
    gate = Gate([PersonalData(), DenyList(["hush"])], len, wrap_key="value")
    with pytest.raises(BlockedError) as caught:
        gate.feed('{"value": {"ada@example.org": ["a", "hush now"]}}')
    assert caught.value.path == '["[email]"][1]'


@pytest.mark.parametrize("cut", [True, False])
@pytest.mark.parametrize("end", ["", "\\", "\\u", "\\u00", ', \\"then'])
def test_what_escapes_hide_is_found_in_a_literal_that_is_not_closed(end: str, cut: bool) -> None:
    found = Gate(RAILS, len).redact('{"a": "b", "note": "ada\\u0040example.org ' + end, "prose", cut=cut)
    assert found.startswith('{"a": "b", "note": "[email] ')
    assert "ada" not in found


def test_what_escapes_hide_is_found_in_a_literal_that_ends_in_one() -> None:
    assert Gate(RAILS, len).redact('"ada\\u0040example.org \\\\"', "prose") == '"[email] \\\\"'


@pytest.mark.parametrize("text", ['say "hi"', 'a " alone', "\\", '"\\', '"', 'in "quotes \\" within" and "open'])
def test_a_text_with_quotes_in_which_nothing_is_found_stays(text: str) -> None:
    assert Gate(RAILS, len).redact(text, "prose") == text


@pytest.mark.parametrize("paths", [(), ("a.b",)])
@pytest.mark.parametrize("key", ["hush", "ada@example.org", "an ada@example.org"])
def test_no_path_tells_a_key_that_was_stopped_or_taken_out(key: str, paths: tuple[str, ...]) -> None:
    for rail in (DenyList(["hush"], paths=paths), MaxLength(30, paths=paths)):
        told: list[Fact] = []
        gate = Gate([rail, PersonalData(paths=paths)], len, tell=told.append)
        with pytest.raises(BlockedError) as raised:
            gate.feed(json.dumps({"a": {"b": {"ada@example.org": {key: "x" * 31 + " hush"}}}}))
        assert raised.value.path.startswith("a.b[")
        assert "ada@" not in f"{raised.value} {told}"
        assert "hush" not in f"{raised.value} {told}" or isinstance(rail, MaxLength)


def test_no_path_tells_a_key_that_a_later_guardrail_may_take_out() -> None:
    told: list[Fact] = []
    rails = [CallableGuardrail(lambda text: text.replace("Ada", "N"), unit="field"), PersonalData(), DenyList("hush")]
    gate = Gate(rails, len, names=lambda: {"people", "note"}, tell=told.append)
    with pytest.raises(BlockedError) as raised:
        gate.feed('{"people": {"Ada": {"note": "a@b.org it is"}, "Ada L": {"note": "hush, you"}}}')
    assert Judged("personal data", "redact", 'people["[redacted]"].note') in told
    assert "Ada" not in repr(told)
    assert raised.value.path == 'people["[redacted]"].note'


def test_a_guardrail_is_asked_at_the_paths_that_the_model_wrote_whatever_becomes_of_their_keys() -> None:
    rails = [MaxLength(4, on_find="redact"), PersonalData(paths=["entries[*].note"])]
    shown = gated(rails, ['{"entries": [{"note": "a@b.org"}]}'])
    assert json.loads(shown) == {"entr": [{"note": "[email]"}]}


@pytest.mark.parametrize("wrap_key", ["answer", None])
@pytest.mark.parametrize(("paths", "found"), [(["note"], 14), ([], 14), (["title"], None), (["answer"], None)])
def test_an_open_text_is_found_by_the_guardrails_of_its_path(
    wrap_key: str | None, paths: list[str], found: int | None
) -> None:
    path = ("note",) if wrap_key is None else (wrap_key, "note")
    gate = Gate([PersonalData(paths=paths)], len, wrap_key=wrap_key)
    assert gate.locate(OpenLevel("text", path, "rest", so_far="Ask [email] "), "Ask ada@b.org now or") == found


FIGURES = ("99", "6m0s", "req_011CSHoEeqs5", "limit=10, remaining=4", '"burst";w=60', "2026-05-01T10:00:00Z", "true")
DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.parametrize("value", [*FIGURES, DATE])
def test_a_header_of_figures_is_shown(value: str) -> None:
    asked: list[str] = []
    assert Gate([PersonalData(), CallableGuardrail(asked.append)], len).header(value) == value
    assert asked == []


def test_where_sentences_are_judged_no_header_of_words_is_shown() -> None:
    named = Gate([PersonalData(), CallableGuardrail(bool)], len)
    assert [named.header(value) for value in ("Mary Somerville", "for Mary, 10", "ada@example.org")] == ["", "", ""]
    plain = Gate([PersonalData(), DenyList("hush")], len)
    assert [plain.header(value) for value in ("Mary Somerville", "of ada@example.org", "hush")] == [
        "Mary Somerville",
        "of [email]",
        "",
    ]
