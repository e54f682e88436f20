from __future__ import annotations

import json
from collections import Counter
from email.utils import formatdate

import pytest
from hypothesis import given, strategies as st

from structstream.errors import (
    AuthenticationError,
    BadRequestError,
    ContextLengthError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    QuotaExceededError,
    RateLimitedError,
    ServerError,
    UnexpectedResponseError,
)
from structstream.providers.failures import http_failure, stream_failure
from tests.corpus import CORPUS, needs_corpus

NOW = 1_700_000_000.0


def failure(status: int, body: object, headers: dict[str, str] | None = None, now: float | None = NOW) -> ProviderError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return http_failure("p", status, headers or {}, raw, now=now)


def error(message: str, code: object = None, type_: str | None = None) -> dict[str, object]:
    return {"error": {"message": message, "code": code, "type": type_}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, error("no"), BadRequestError),
        (401, error("no"), AuthenticationError),
        (402, error("no"), QuotaExceededError),
        (403, error("no"), PermissionDeniedError),
        (404, error("no"), NotFoundError),
        (408, error("no"), ServerError),
        (409, error("no"), ServerError),
        (413, error("Request too large: tokens per minute", "rate_limit_exceeded", "tokens"), ContextLengthError),
        (422, error("no"), BadRequestError),
        (418, error("no"), BadRequestError),
        (429, error("slow down"), RateLimitedError),
        (429, error("You exceeded your current quota", "insufficient_quota"), QuotaExceededError),
        (429, error("m", None, "insufficient_quota"), QuotaExceededError),
        (498, error("capacity"), OverloadedError),
        (500, error("no"), ServerError),
        (502, b"<html><title>502 Bad Gateway</title></html>", ServerError),
        (503, b"", OverloadedError),
        (520, b"error code: 520", ServerError),
        (529, error("Overloaded", None, "overloaded_error"), OverloadedError),
        (500, error("Overloaded", None, "overloaded_error"), OverloadedError),
        (400, error("m", "context_length_exceeded"), ContextLengthError),
        (400, error("This model's maximum context length is 8192 tokens."), ContextLengthError),
        (400, {"object": "error", "message": "prompt is too long: 9 > 8", "code": 400}, ContextLengthError),
        (400, error("Incorrect API key provided: sk-abc"), AuthenticationError),
        (
            400,
            [{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}],
            AuthenticationError,
        ),
        (
            400,
            error("The input token count (1048577) exceeds the maximum number of tokens allowed."),
            ContextLengthError,
        ),
        (400, error("The requested model 'x' does not exist.", "model_not_found"), NotFoundError),
        (400, {"error": "model 'x' not found"}, NotFoundError),
        (400, {"detail": [{"loc": ["body"], "msg": "Field required"}]}, BadRequestError),
        (400, error("filtered", "content_filter"), BadRequestError),
        (400, b"not JSON", BadRequestError),
        (200, b"<html><title>Sign in</title></html>", UnexpectedResponseError),
        (200, {"ok": True}, UnexpectedResponseError),
        (204, b"", UnexpectedResponseError),
        (200, error("busy", "rate_limit_exceeded"), RateLimitedError),
        (200, error("busy", 503), OverloadedError),
    ],
)
def test_the_class_follows_code_then_status_then_sentence(status: int, body: object, kind: type[ProviderError]) -> None:
    found = failure(status, body)
    assert type(found) is kind
    assert found.status == status
    assert found.message


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (error("m", "429"), "429"),
        (error("m", 429), "429"),
        (error("m", None, "tokens"), "tokens"),
        (error("m", ""), None),
        ({"error": {"message": "m", "status": "RESOURCE_EXHAUSTED"}}, "RESOURCE_EXHAUSTED"),
        ({"error": {"message": "m", "code": 429, "status": "RESOURCE_EXHAUSTED"}}, "RESOURCE_EXHAUSTED"),
        ({"message": "m"}, None),
    ],
)
def test_the_code_is_text(body: object, code: str | None) -> None:
    assert failure(429, body).code == code


def test_a_sentence_says_what_was_found_where_the_body_is_no_json() -> None:
    assert "an HTML page: 502 Bad Gateway" in str(failure(502, b"<html><TITLE>\n502 Bad Gateway </TITLE>"))
    assert "HTTP 503 without a body" in str(failure(503, b""))
    found = failure(200, b"hello", {"Content-Type": "text/plain; charset=utf-8"})
    assert "expected JSON or an event stream, found a body of type text/plain: hello" in str(found)
    assert len(str(failure(500, b"x" * 10_000))) < 700
    assert len(str(failure(500, error("x" * 10_000)))) < 700


@pytest.mark.parametrize(
    ("headers", "message", "wait"),
    [
        ({"Retry-After": "3"}, "m", 3.0),
        ({"retry-after": "0.5"}, "m", 0.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, "m", 0.25),
        ({"retry-after": formatdate(NOW + 60, usegmt=True)}, "m", 60.0),
        ({"retry-after": formatdate(NOW - 60, usegmt=True)}, "m", 0.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:14:20 -0000"}, "m", 60.0),
        ({"retry-after": "soon"}, "m", None),
        ({"retry-after": "-1"}, "m", None),
        ({"retry-after": "inf"}, "m", None),
        ({"retry-after": "9" * 400}, "m", None),
        ({"retry-after": ""}, "m", None),
        ({}, "Please try again in 1.574s. Visit", 1.574),
        ({}, "Please try again in 114h18m0s.", 114 * 3600 + 18 * 60),
        ({}, "Please try again in 20ms.", 0.02),
        ({}, "Please retry after 86400 seconds.", 86400.0),
        ({}, "Please retry in 58.821668433s.", 58.821668433),
        ({"retry-after": "2"}, "try again in 9s", 2.0),
        ({}, "try again in a while", None),
    ],
)
def test_retry_after(headers: dict[str, str], message: str, wait: float | None) -> None:
    found = failure(429, error(message), headers).retry_after
    assert found == (None if wait is None else pytest.approx(wait))


@pytest.mark.parametrize(
    ("status", "header", "retryable"),
    [(529, None, True), (529, "true", True), (529, "false", False), (400, "true", True), (400, "soon", False)],
)
def test_the_provider_may_say_itself_whether_a_retry_helps(status: int, header: str | None, retryable: bool) -> None:
    found = failure(status, error("m"), {} if header is None else {"X-Should-Retry": header})
    assert found.retryable is retryable
    assert failure(status, error("m")).retryable is (status == 529)


def test_a_date_is_left_unread_without_a_clock() -> None:
    assert failure(429, error("m"), {"retry-after": formatdate(NOW, usegmt=True)}, now=None).retry_after is None


@pytest.mark.parametrize("name", ["x-request-id", "X-Request-Id", "request-id", "apim-request-id", "cf-ray"])
def test_the_request_id(name: str) -> None:
    assert failure(500, error("m"), {name: "r1"}).request_id == "r1"
    assert failure(500, {**error("m"), "request_id": "r2"}).request_id == "r2"


def test_no_key_leaves_in_a_message() -> None:
    found = failure(401, error("Incorrect API key provided: sk-proj-abcdefghijklmnop1234."))
    assert "abcdefgh" not in str(found) + repr(found) + found.message
    for body in (b"Authorization: Bearer abcdefghijklmnop", b"x" * 495 + b" sk-abcdefghijklmnop1234"):
        found = failure(500, body)
        assert "abcdef" not in str(found)


@given(st.integers(100, 999), st.binary(max_size=60) | st.text(max_size=60).map(str.encode), st.text(max_size=40))
def test_any_answer_gives_an_error_and_raises_none(status: int, body: bytes, header: str) -> None:
    assert isinstance(http_failure("p", status, {"retry-after": header}, body, now=NOW), ProviderError)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "status", "status_code", "detail", "request_id"]),
            inner,
        )
    ),
    max_leaves=8,
)


@given(JSON)
def test_any_json_gives_an_error_and_raises_none(value: object) -> None:
    found = stream_failure("p", value)
    assert isinstance(found, ProviderError)
    assert found.status is None
    assert isinstance(failure(400, value), ProviderError)


CORPUS_KINDS: dict[str, type[ProviderError]] = {
    "openai/400": BadRequestError,
    "openai/401": AuthenticationError,
    "openai/404": NotFoundError,
    "openai/200": QuotaExceededError,
    "azure/401": AuthenticationError,
    "azure/404": NotFoundError,
    "groq/400": BadRequestError,
    "groq/404": NotFoundError,
    "deepseek/400": BadRequestError,
    "together/401": AuthenticationError,
    "openrouter/429": RateLimitedError,
    "huggingface/401": AuthenticationError,
    "other/400": BadRequestError,
    "anthropic/400": BadRequestError,
    "anthropic/401": AuthenticationError,
    "anthropic/404": NotFoundError,
    "bedrock/400": BadRequestError,
    "cohere/404": NotFoundError,
    "gemini/404": NotFoundError,
    "gemini/400": BadRequestError,
}
REPORTED: dict[str, type[ProviderError]] = {
    "anthropic_429_headers_without_retry_after": RateLimitedError,
    "anthropic_500_api_error": ServerError,
    "anthropic_529_overloaded": OverloadedError,
    "anthropic_openai_compat_429": RateLimitedError,
    "anthropic_stream_error_event_200": OverloadedError,
    "anthropic_vertex_sse_error": OverloadedError,
    "azure_429": RateLimitedError,
    "gemini_429_array_form": RateLimitedError,
    "gemini_429_errorinfo": RateLimitedError,
    "gemini_429_quotafailure": RateLimitedError,
    "gemini_503_sdk_wrapped": OverloadedError,
    "gemini_503_unavailable": OverloadedError,
    "openai_429_tokens_long_wait": RateLimitedError,
    "openai_stream_rate_limit": RateLimitedError,
    "openai_stream_server_error": ServerError,
}


@needs_corpus
def test_recorded_error_answers_become_the_right_class() -> None:
    assert CORPUS is not None
    counts: Counter[str] = Counter()
    for file in sorted((CORPUS / "errors").glob("*/*.json")):
        about = json.loads(file.read_bytes())
        folder, status = file.parent.name, about["status"] or 200
        expected = REPORTED.get(file.stem) if folder == "_reported" else CORPUS_KINDS[f"{folder}/{file.name[:3]}"]
        if expected is None:  # the excerpt that was pasted holds headers only
            assert about["body"] is None
            counts["without a body"] += 1
            continue
        headers = {name: value for name, value in (about["headers"] or {}).items() if isinstance(value, str)}
        body = json.dumps(about["body"]).encode() if about["body"] is not None else b""
        found = http_failure(folder, status, headers, body, now=NOW)
        if (about["body"] or {}) and "model_not_found" in json.dumps(about["body"]):
            expected = NotFoundError
        if "API key not valid" in json.dumps(about["body"]):
            expected = AuthenticationError
        assert type(found) is expected, f"{file.name}: {found!r}"
        identified = next((headers[name] for name in ("x-request-id", "request-id") if name in headers), None)
        assert identified is None or found.request_id == identified
        counts["held"] += 1
    assert counts == {"held": 78, "without a body": 1}


@pytest.mark.parametrize(
    ("details", "wait"),
    [
        (
            [{"@type": "google.rpc.Help"}, {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}],
            34.0,
        ),
        ([{"retryDelay": "0.821668433s"}], 0.821668433),
        ([{"retryDelay": "soon"}, "x"], 7.0),
        ({"retryDelay": "34s"}, 7.0),
        (None, 7.0),
    ],
)
def test_the_wait_may_stand_in_the_details(details: object, wait: float) -> None:
    body = {
        "error": {"code": 429, "message": "Please retry in 7s.", "status": "RESOURCE_EXHAUSTED", "details": details}
    }
    assert failure(429, [body]).retry_after == wait
    assert failure(429, body, {"retry-after": "2"}).retry_after == 2.0
    assert stream_failure("p", body).retry_after == wait


def test_an_error_in_the_message_of_another_one_is_taken_out() -> None:
    inner = json.dumps({"error": {"code": 503, "message": "high demand", "status": "UNAVAILABLE"}}, indent=2)
    assert failure(503, error(inner)).message == "high demand"
    assert failure(503, error('{"reason": 1}')).message == '{"reason": 1}'


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "invalid_prompt", "message": "m"}, BadRequestError),
        ({"code": "image_too_large", "message": "m"}, BadRequestError),
        ({"type": "invalid_request_error", "message": "m"}, BadRequestError),
        ({"type": "invalid_request_error", "message": "the prompt is too long: 9 tokens > 8"}, ContextLengthError),
        ({"type": "invalid_request_error", "code": "model_not_found", "message": "m"}, NotFoundError),
        ({"code": "vector_store_timeout", "message": "m"}, ServerError),
    ],
)
def test_inside_a_stream_the_word_tells_who_must_act(error: object, kind: type[ProviderError]) -> None:
    assert type(stream_failure("p", {"error": error})) is kind
