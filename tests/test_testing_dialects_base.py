"""The words between the simulated provider and its dialects."""

from __future__ import annotations

from structstream.errors import StructStreamError
from structstream.testing.dialects.base import BadQuestionError, Reply, reply


def test_a_whole_reply_is_one_piece_with_its_headers() -> None:
    made = reply(404, "text/plain", b"no", ("retry-after", "1"))
    assert made == Reply(404, (("content-type", "text/plain"), ("retry-after", "1")), (b"no",))
    assert not made.streamed


def test_a_refused_question_says_with_what() -> None:
    error = BadQuestionError("why", status=422, param="n", code="bad")
    assert isinstance(error, StructStreamError)
    assert (str(error), error.status, error.param, error.code) == ("why", 422, "n", "bad")
