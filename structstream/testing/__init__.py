"""Tools for tests, public: a simulated provider that speaks real HTTP, its faults, its data, and a clock.

async with SimulatedProvider(seed=1, faults=[reset_at_byte(400)]) as provider:
    client = AsyncOpenAI(base_url=provider.base_url, api_key="any")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .clock import FakeClock
    from .data import find_schema, generate
    from .faults import (
        FAULTS,
        Fault,
        Stop,
        content_filter,
        cut_at_byte,
        drop_at_byte,
        duplicate_finish,
        empty_stream,
        html_200,
        in_band_error,
        length,
        malformed_chunk,
        malformed_framing,
        no_finish,
        no_tool_call,
        parse_fault,
        plain_json_200,
        refusal,
        reset_at_byte,
        stall_at_byte,
        stall_before_first_byte,
        status,
        text_after_json,
        two_tool_calls,
        unknown_events,
        whole_200,
    )
    from .records import RecordedRequest
    from .script import Script
    from .simulator import SimulatedProvider, WaitTimeoutError
    from .thread import ThreadedProvider

# Where each name lives. It is loaded when it is first used: pytest loads this package wherever it is installed.
_HOMES = {
    "clock": ("FakeClock",),
    "data": (
        "find_schema",
        "generate",
    ),
    "faults": (
        "FAULTS",
        "Fault",
        "Stop",
        "content_filter",
        "cut_at_byte",
        "drop_at_byte",
        "duplicate_finish",
        "empty_stream",
        "html_200",
        "in_band_error",
        "length",
        "malformed_chunk",
        "malformed_framing",
        "no_finish",
        "no_tool_call",
        "parse_fault",
        "plain_json_200",
        "refusal",
        "reset_at_byte",
        "stall_at_byte",
        "stall_before_first_byte",
        "status",
        "text_after_json",
        "two_tool_calls",
        "unknown_events",
        "whole_200",
    ),
    "records": ("RecordedRequest",),
    "script": ("Script",),
    "simulator": (
        "SimulatedProvider",
        "WaitTimeoutError",
    ),
    "thread": ("ThreadedProvider",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "FAULTS",
    "FakeClock",
    "Fault",
    "RecordedRequest",
    "Script",
    "SimulatedProvider",
    "Stop",
    "ThreadedProvider",
    "WaitTimeoutError",
    "content_filter",
    "cut_at_byte",
    "drop_at_byte",
    "duplicate_finish",
    "empty_stream",
    "find_schema",
    "generate",
    "html_200",
    "in_band_error",
    "length",
    "malformed_chunk",
    "malformed_framing",
    "no_finish",
    "no_tool_call",
    "parse_fault",
    "plain_json_200",
    "refusal",
    "reset_at_byte",
    "stall_at_byte",
    "stall_before_first_byte",
    "status",
    "text_after_json",
    "two_tool_calls",
    "unknown_events",
    "whole_200",
]


def __getattr__(name: str) -> object:
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
