"""An answer that broke off goes on where it stopped: the laws, over generated types, documents and every cut."""

from __future__ import annotations

from typing import Any

from hypothesis import given, strategies as st
from pydantic import TypeAdapter, ValidationError

from structstream.errors import ConfigurationError
from structstream.partial import PartialParser
from structstream.providers import wrap_key
from tests.models import Case, cases, cuts
from tests.resuming import answer_to, asked_again, continued, document_of, gone_on
from tests.walk import same


def valid(case: Case) -> tuple[str, Any] | None:  # Any: a value of any type
    """The document of a case on the wire and its value; None where it has none, or where a key comes twice."""
    if case.repeats:
        return None
    try:
        return document_of(case.type, case.text), TypeAdapter(case.type).validate_json(case.text)
    except (ValidationError, ConfigurationError):
        return None


@given(st.data(), cases(valid=True))
def test_cut_anywhere_and_gone_on_with_the_end_is_that_of_the_uncut_one(data: st.DataObject, case: Case) -> None:
    found = valid(case)
    if found is None:
        return
    document, value = found
    for cut in range(len(document) + 1):
        continuation = continued(case.type, document[:cut])
        if continuation is None:
            continue
        answer = answer_to(continuation, document)
        assert not list(asked_again(continuation))
        parser = gone_on(case.type, continuation, [answer])
        assert same(parser.finish(), value), (document[:cut], continuation.prefix, answer, parser.text)


@given(st.data(), cases(valid=True))
def test_what_had_closed_stays_closed_and_what_was_shown_stays(data: st.DataObject, case: Case) -> None:
    found = valid(case)
    if found is None:
        return
    document = found[0]
    for cut in range(len(document) + 1):
        continuation = continued(case.type, document[:cut])
        before: PartialParser[Any] = PartialParser(case.type, wrap_key=wrap_key(case.type))  # Any: of any type
        before.feed(document[:cut])
        closed = list(before.completed()) if before.text or True else []
        if continuation is None:
            assert not closed, document[:cut]
            continue
        after = gone_on(case.type, continuation, [""])
        assert list(after.completed())[: len(closed)] == closed, (document[:cut], continuation.prefix)
