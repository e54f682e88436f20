"""The lexical grammar of JSON (RFC 8259, sections 2, 6 and 7) as regular expressions and tables.

None of them can backtrack: a text is gone through once, whatever it holds.
"""

from __future__ import annotations

import re

import jiter

__all__ = [
    "HEX",
    "HIGH_SURROGATE",
    "LITERALS",
    "NAN_LITERALS",
    "SHORT",
    "end_of_characters",
    "end_of_number",
    "end_of_run",
    "end_of_whitespace",
    "good_number",
    "match_cut_escape",
    "match_escape",
    "match_number",
    "match_plain_key",
    "match_plain_string",
    "show",
    "unescape",
    "whole_container",
]

_WS = r"[ \t\n\r]*+"
HEX = "[0-9a-fA-F]"
_PAIR = rf"u[dD][89abAB]{HEX}{{2}}\\u[dD][c-fC-F]{HEX}{{2}}"
_BMP = rf"u(?:[0-9a-cA-CeEfF]{HEX}|[dD][0-7]){HEX}{{2}}"
_ESCAPE = rf"\\(?:[\"\\/bfnrt]|{_BMP}|{_PAIR})"
_NUMBER = r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+"


def _nested(levels: int) -> str:
    """Balanced brackets around anything, with at most `levels` pairs within one another; those in strings are text."""
    loose = r'[^"{}\[\]]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"{}\[\]]*+)*+'
    within, container = loose, ""
    for _ in range(levels):
        container = rf"(?:\{{{within}\}}|\[{within}\])"
        within = rf"{loose}(?:{container}{loose})*+"
    return container


_WHOLE_LEVELS = 3
# Up to this many characters, scans in C for single characters cost less than one regular expression.
SHORT = 64
HIGH_SURROGATE = rf"\\u[dD][89abAB]{HEX}{{2}}"

match_plain_string = re.compile(r'"([^"\\\x00-\x1f]*+)"').match
match_plain_key = re.compile(rf'"([^"\\\x00-\x1f]*+)"{_WS}:{_WS}(?=[^ \t\n\r])').match
match_escape = re.compile(_ESCAPE).match
match_cut_escape = re.compile(
    rf"\\(?:u{HEX}{{0,3}}|u[dD][89abAB]{HEX}{{2}}(?:\\(?:u(?:[dD](?:[c-fC-F]{HEX}?)?)?)?)?)?\Z"
).match
match_number = re.compile(_NUMBER).fullmatch
_match_balanced = re.compile(_nested(_WHOLE_LEVELS), re.DOTALL).match

_whitespace = re.compile(_WS)
_plain_run = re.compile(r'[^"\\\x00-\x1f]*+')
_characters = re.compile(rf'(?:[^"\\\x00-\x1f]++|{_ESCAPE})*+')
_number_run = re.compile(r"[-+.0-9eE]*+")
_number_prefix = re.compile(
    r"-?(?:(?:0|[1-9][0-9]*+)(?:\.(?:[0-9]++(?:[eE](?:[+-]?[0-9]*+))?+)?+|[eE](?:[+-]?[0-9]*+))?+)?+"
)


def whole_container(text: str, i: int) -> str:
    """Return the container that begins at `i`, if it lies within `text` and holds few others; else the empty text.

    Brackets find its end, a reader in C says whether it is JSON. One with a key that comes twice is left out as well:
    of those each value is to be looked at.

    >>> whole_container('{"a": [1, "]"]}, 2', 0), whole_container('{"a": 1, "a": 2}', 0), whole_container("[01]", 0)
    ('{"a": [1, "]"]}', '', '')
    """
    match = _match_balanced(text, i)
    if match is None:
        return ""
    raw = match[0]
    try:
        jiter.from_json(raw.encode(), allow_inf_nan=False, cache_mode="none", catch_duplicate_keys=True)
    except ValueError:
        return ""
    return raw


def _end(pattern: re.Pattern[str], text: str, i: int) -> int:
    match = pattern.match(text, i)
    return match.end() if match else i


def end_of_whitespace(text: str, i: int) -> int:
    """Where the whitespace that begins at `i` ends."""
    return _end(_whitespace, text, i)


def end_of_run(text: str, i: int) -> int:
    """Where the run of plain characters of a string ends."""
    if len(text) <= SHORT:
        stop = text.find('"', i)
        run = text[i:] if stop < 0 else text[i:stop]
        if "\\" not in run and run.isprintable():
            return i + len(run)
    return _end(_plain_run, text, i)


def end_of_characters(text: str, i: int) -> int:
    r"""Where the whole characters of a string's text end that begin at `i`: half an escape is none.

    >>> end_of_characters(r'ab\u00e9\u00', 0)
    8
    """
    return _end(_characters, text, i)


def end_of_number(text: str, i: int) -> int:
    """Where the run of characters that may stand in a number ends."""
    return _end(_number_run, text, i)


def good_number(raw: str) -> int:
    """How many characters of `raw` a number can begin with."""
    return _end(_number_prefix, raw, 0)


_SIMPLE_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
LITERALS = {"t": "true", "f": "false", "n": "null"}
NAN_LITERALS = {**LITERALS, "N": "NaN", "I": "Infinity"}


def unescape(escape: str) -> str:
    """The character that one escape sequence stands for."""
    if escape[1] != "u":
        return _SIMPLE_ESCAPES[escape[1]]
    code = int(escape[2:6], 16)
    if len(escape) > 6:
        code = 0x10000 + ((code - 0xD800) << 10) + (int(escape[8:12], 16) - 0xDC00)
    return chr(code)


def show(char: str) -> str:
    """A character as an error names it; the empty text is the end of the text."""
    return repr(char) if char else "end of text"
