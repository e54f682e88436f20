"""Guardrails that look at sentences and fields: each stretch once, in order, and nothing before its verdict."""

from __future__ import annotations

import json

import pytest

from structstream.errors import BlockedError
from structstream.facts import Fact
from structstream.gate import Gate
from structstream.gate.rails import Rail
from structstream.gate.segments import Segments, redacted
from structstream.verdicts import ALLOW, GuardedText, Guardrail, Span, Verdict
from tests.chunking import every_cut
from tests.guarding import gated

TEXT = json.dumps({"note": "One. Two! Three\nand four", "tags": ["a", ""], "n": 4711}, ensure_ascii=False)


class Noting(Guardrail):
    """Notes what it is asked, and answers as it was told."""

    name = "noting"

    def __init__(self, *answers: Verdict, **how: object) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self.answers = list(answers)
        for name, value in how.items():
            setattr(self, name, value)

    def check_text(self, piece: GuardedText) -> Verdict:
        self.seen.append((piece.text, piece.end, piece.path))
        return self.answers.pop(0) if self.answers else ALLOW


def test_sentences_are_judged_each_once_whatever_the_cuts() -> None:
    for pieces in every_cut(TEXT):
        rail = Noting()
        assert gated([rail], pieces) == TEXT
        assert rail.seen == [
            ("One.", "sentence", "note"),
            (" Two!", "sentence", "note"),
            (" Three\n", "sentence", "note"),
            ("and four", "field", "note"),
            ("a", "field", "tags[0]"),
            ("", "field", "tags[1]"),
        ]


# ruff: noqa: RUF001  # full-width marks
SCRIPTS = {
    "多年以后。他说：「好！」然后走了？！真的。": ["多年以后。", "他说：「好！」", "然后走了？！", "真的。"],
    "क्या हाल है? ठीक। और आप": ["क्या हाल है?", " ठीक।", " और आप"],
    "ما اسمك؟ نعم۔ لا": ["ما اسمك؟", " نعم۔", " لا"],
    "«Oui.» Et non… «Ah!»": ["«Oui.»", " Et non…", " «Ah!»"],
    "v1.2 at 3.5. No": ["v1.2 at 3.5.", " No"],
}


@pytest.mark.parametrize("text", SCRIPTS)
def test_sentences_of_other_scripts_end_where_they_end(text: str) -> None:
    whole = json.dumps([text], ensure_ascii=False)
    for pieces in (*every_cut(whole), list(whole)):
        rail = Noting()
        assert gated([rail], pieces) == whole
        assert [sentence for sentence, *_ in rail.seen] == SCRIPTS[text]


def test_a_field_is_judged_as_a_whole_and_a_number_by_who_asks_for_it() -> None:
    rail = Noting(unit="field", kinds=frozenset({"value", "key", "scalar"}))
    assert gated([rail], list(TEXT)) == TEXT
    assert [text for text, _, _ in rail.seen] == ["note", "One. Two! Three\nand four", "tags", "a", "", "n", "4711"]


def test_nothing_is_shown_before_its_verdict() -> None:
    for size in (1, 7, 1000):
        seen: list[str] = []
        rail = Noting(Verdict.redact((0, 3, "[1]")), Verdict.replace(" [2]"), Verdict.stop("enough"))
        pieces = [TEXT[at : at + size] for at in range(0, len(TEXT), size)]
        with pytest.raises(BlockedError, match="'noting' at note: enough"):
            gated([rail], pieces, seen.append)
        assert all("One" not in each and "Two" not in each and "Three" not in each for each in seen)


def test_text_that_is_held_is_judged_again_with_what_follows() -> None:
    rail = Noting(Verdict.hold(), Verdict.hold(5))
    assert gated([rail], list(TEXT)) == TEXT
    assert [text for text, _, _ in rail.seen[:3]] == ["One.", "One. Two!", "Two! Three\n"]


def test_text_that_is_held_to_the_end_of_its_field_stops_the_stream() -> None:
    with pytest.raises(BlockedError, match="it holds text back, and the field has ended"):
        gated([Noting(Verdict.hold(), unit="field")], [TEXT])


def test_a_long_sentence_is_judged_by_the_window() -> None:
    for pieces in every_cut(json.dumps("x" * 25)):
        rail = Noting(window=10)
        gated([rail], pieces)
        assert [len(text) for text, _, _ in rail.seen] == [10, 10, 5]


def test_guardrails_see_what_the_one_before_let_through() -> None:
    second = Noting(unit="field")
    gated([Noting(Verdict.replace("[note]"), unit="field"), second], list(TEXT))
    assert second.seen[0][0] == "[note]"


def test_what_is_shown_first_is_judged_behind_and_taken_out_at_the_end() -> None:
    shown: list[str] = []
    gate = Gate([Noting(Verdict.redact((0, 3, "[1]")), mode="stream_first")], shown.append)
    gate.feed(TEXT)
    gate.finish()
    assert "".join(shown) == TEXT
    assert gate.has_late
    assert json.loads(gate.revised(TEXT))["note"] == "[1]. Two! Three\nand four"


ALL = frozenset({"value", "key", "scalar"})
NAMED = json.dumps({"of Ada": {"Ada": [{"n": 4711}, "by Ada", "x"]}, "Ada": "Ada\n."})
UNNAMED = NAMED.replace("Ada", "N").replace("4711", '"N"')


class Naming(Noting):
    """Takes a name and a number out wherever they stand."""

    def check_text(self, piece: GuardedText) -> Verdict:
        super().check_text(piece)
        spans = [(at, at + len(each), "N") for each in ("Ada", "4711") if (at := piece.text.find(each)) >= 0]
        return Verdict.redact(*spans) if spans else ALLOW


def test_paths_tell_keys_as_they_are_shown() -> None:
    told: list[Fact] = []
    shown: list[str] = []
    after = Noting()
    gate = Gate([Naming(unit="field", kinds=ALL), after], shown.append, tell=told.append)
    for char in NAMED:
        gate.feed(char)
    gate.finish()
    assert "".join(shown) == UNNAMED
    assert [path for *_, path in after.seen] == ['["of N"].N[1]', '["of N"].N[2]', "N", "N"]
    assert "Ada" not in repr(told)


@pytest.mark.parametrize("stop", ["of Ada", "Ada", "x"])
def test_no_stop_tells_a_key_that_is_not_shown(stop: str) -> None:
    class Stopping(Naming):
        def check_text(self, piece: GuardedText) -> Verdict:
            return Verdict.stop("no") if piece.text == stop else super().check_text(piece)

    with pytest.raises(BlockedError) as raised:
        gated([Stopping(unit="field", kinds=ALL)], [NAMED])
    assert "Ada" not in str(raised.value)


def test_a_key_that_is_no_name_of_a_field_is_text() -> None:
    shown: list[str] = []
    rail = Naming(unit="field", paths=["Ada.*"])
    gate = Gate([rail, Naming(paths=["more"])], shown.append, names=lambda: {"Ada"})
    for char in '{"Ada": {"Ada": 4711, "of Ada": 1}, "more": {"by Ada": 2}}':
        gate.feed(char)
    gate.finish()
    assert "".join(shown) == '{"Ada": {"Ada": 4711, "of N": 1}, "more": {"by N": 2}}'
    assert [text for text, _, _ in rail.seen] == ["of Ada"]


def test_what_is_left_is_given_up() -> None:
    class Later(Guardrail):
        async def check_text(self, piece: GuardedText) -> Verdict:
            return ALLOW

    segments = Segments([Rail(Later())])
    segments.feed('["abc"]')
    segments.run()
    assert segments.asks is not None
    assert segments.take() == "["
    assert segments.leave()
    assert not segments.leave()
    segments.run()
    assert segments.take() == ""


def test_stretches_that_do_not_fit_the_text_are_left_alone() -> None:
    assert redacted("abc", Verdict.redact(Span(2, 9), Span(0, 1, "x"), Span(0, 2))) == "xbc"
