"""Keys, tokens and passwords, by the forms in which they are issued and written."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from math import log2

from structstream.errors import ConfigurationError

from .patterns import OnFind, PatternGuardrail, Rule

__all__ = ["Secrets", "entropy"]

# What issued keys begin with: providers that `errors.scrub` knows, clouds, code hosts, payment, chat, JSON web tokens.
_PREFIXES = "|".join(
    (
        *(r"[spr]k[-_]", "gsk_", "xai-", "pplx-", "hf_", "AIza", r"ya29\.", "A(?:KIA|SIA|IDA|ROA)", "gh[pousr]_"),
        *("github_pat_", "glpat-", "npm_", "pypi-", "dop_v1_", "xox[abeoprs]-", r"SG\.", "eyJ", "whsec_", "shpat_"),
    )
)
_LABEL = "[secret]"
_KEY = r"[A-Za-z0-9_.\-]"
_NO_WORD = r"(?<![A-Za-z0-9])"
_key_goes_on = re.compile(rf"{_KEY}+")
# A digit among the first characters tells a key from a word such as sk-learn-compatible.
_ISSUED = Rule(
    "a key",
    _LABEL,
    re.compile(rf"{_NO_WORD}(?:{_PREFIXES})(?={_KEY}{{0,63}}[0-9]){_KEY}{{14,}}"),
    re.compile(rf"{_NO_WORD}(?:[A-Za-z][\w.-]{{0,11}}|(?:{_PREFIXES}){_KEY}{{0,64}})"),
    more=_key_goes_on,
    in_word=True,
)

_CREDENTIAL = r"[A-Za-z0-9._~+/=\-]"
_MIXED = "(?:[0-9][A-Za-z]|[A-Za-z][0-9])"
_AFTER_SCHEME = "|".join(f"(?<={scheme} )" for scheme in ("[Bb]earer", "BEARER", "[Bb]asic", "BASIC"))
_HEADER = Rule(
    "a key in a header",
    _LABEL,
    re.compile(rf"(?<= )(?:{_AFTER_SCHEME})(?={_CREDENTIAL}{{0,63}}{_MIXED}){_CREDENTIAL}{{12,}}"),
    re.compile(rf"(?<= )(?:{_AFTER_SCHEME}){_CREDENTIAL}{{1,64}}"),
    more=re.compile(rf"{_CREDENTIAL}+"),
    needs=("earer ", "EARER ", "asic ", "ASIC "),
    in_word=True,
)

_VALUE = r"[^\s\"',;&}\\]"
_SIGN = "[:=\uff1a\uff1d]"


def _assigned(words: Sequence[str]) -> str:
    """The sign behind one of these words, in any case; a closing quote or a blank may stand between."""
    between = ("", "[\"' ]", "[\"'] ")
    behind = "|".join(f"(?<=(?i:{word}){gap}{_SIGN})" for word in words for gap in between)
    return rf"{_SIGN}(?:{behind})\s{{0,2}}[\"']?"


# The value alone is taken out; a word such as password may be shown.
_PASSWORDS = _assigned(("password", "passwd", "passphrase"))
_KEYS = [f"{kind}{gap}key" for kind in ("api", "access", "account", "private", "secret") for gap in ("", "[-_ ]")]
_TOKENS = _assigned((*_KEYS, "secret", "token", "authorization", "pwd"))
_value_goes_on = re.compile(rf"{_VALUE}+")
_PASSWORD = Rule(
    "a password",
    _LABEL,
    re.compile(rf"{_PASSWORDS}(?P<value>{_VALUE}{{4,}})"),
    re.compile(rf"{_PASSWORDS}{_VALUE}{{0,64}}"),
    more=_value_goes_on,
)
_TOKEN = Rule(
    "a token",
    _LABEL,
    re.compile(rf"{_TOKENS}(?P<value>(?={_VALUE}{{0,63}}[0-9]){_VALUE}{{6,}})"),
    re.compile(rf"{_TOKENS}{_VALUE}{{0,64}}"),
    more=_value_goes_on,
)
_IN_ADDRESS = Rule(
    "a password",
    _LABEL,
    re.compile(r"://[^\s/@:\"']{0,64}:(?P<value>[^\s/@\"']{1,128})(?=@)"),
    re.compile(r":(?:/(?:/(?:[^\s/@:\"']{1,64}|[^\s/@:\"']{0,64}:[^\s/@\"']{0,128})?)?)?"),
    needs=("://",),
    in_word=True,
)
# Its lines may be written with \n, as in JSON within a text, and begin with headers such as "Proc-Type: 4,ENCRYPTED".
# What tells its end may come cut, so all that could be of it goes: of the prose behind it rather too much than a key.
_BLOCK_TEXT = r"[A-Za-z0-9+/=\s\\:,.()-]"
_BLOCK = Rule(
    "a private key",
    _LABEL,
    re.compile(rf"-----BEGIN (?:[A-Z]{{2,12}} ){{0,3}}PRIVATE KEY(?: BLOCK)?-----{_BLOCK_TEXT}*"),
    re.compile(r"-{1,5}(?:(?<=-----)(?:B|BE|BEG|BEGI|BEGIN(?: [A-Z]{0,12}){0,6}-{0,5}))?"),
    more=re.compile(rf"{_BLOCK_TEXT}+"),
    needs=("PRIVATE KEY-----", "PRIVATE KEY BLOCK-----"),
)
_RANDOM = r"[A-Za-z0-9+/_-]"
# What every one of the rules needs; a number that stands alone is no secret.
_TRIGGER = re.compile("[0-9:=_\uff1a\uff1d-]")
_NEEDS = re.compile("[0-9:=_\uff1a\uff1d-](?:(?<=[:=_\uff1a\uff1d-])|(?=[A-Za-z.])|(?<=[A-Za-z.].))")
_NO_NUMBER = re.compile("(?!)")


def entropy(text: str) -> float:
    """Return how many bits a character of a text carries, by how often each occurs in it.

    >>> entropy("aaaa"), entropy("abcd")
    (0.0, 2.0)
    """
    if not text:
        return 0.0
    return abs(sum(count / len(text) * log2(count / len(text)) for count in Counter(text).values()))


def _random_rule(least: float) -> Rule:
    def accept(text: str, start: int, end: int) -> tuple[int, str, str] | None:
        token = text[start:end]
        mixed = any(char.isdigit() for char in token) and any(char.isalpha() for char in token)
        return (end, _LABEL, "a token that looks random") if mixed and entropy(token) >= least else None

    full = re.compile(rf"(?<!{_RANDOM}){_RANDOM}{{24,128}}(?!{_RANDOM})")
    return Rule("a token", _LABEL, full, re.compile(rf"(?<!{_RANDOM}){_RANDOM}{{1,128}}"), accept)


class Secrets(PatternGuardrail):
    """Finds keys, tokens, passwords and private keys by their form.

    Found are keys with the prefix of those who issue them, credentials behind ``Bearer`` and ``Basic``, what is
    assigned to a password, token, secret or key (``password: …``, ``"api_key": "…"``), passwords in addresses
    (``postgresql://user:…@host``), and PEM and PGP private keys, with what stands behind them up to a quote or another
    sign that no such key holds. A key needs a digit among its first 64 characters, or many words would be keys. Unlike
    `structstream.errors.scrub`, which may take out too much of a log line, it spares prose.

    Args:
        min_entropy: also take out tokens of 24 to 128 characters, letters and digits, that carry so many bits a
            character or more; 4.0 finds most random ones, and some hashes and ids. None does not look.
        on_find: what becomes of an answer in which something is found.
        on_prompt: what becomes of a prompt; ``allow`` does not look at it, anything else keeps it from being sent.
        paths: the fields that it looks at; empty for all.

    >>> Secrets().check_prompt("My key is sk-abcdefghij0123456789").reason
    'the prompt holds a key'
    """

    def __init__(
        self,
        *,
        min_entropy: float | None = None,
        on_find: OnFind = "redact",
        on_prompt: OnFind = "stop",
        paths: Sequence[str] = (),
    ) -> None:
        rules = [_ISSUED, _HEADER, _PASSWORD, _TOKEN, _IN_ADDRESS, _BLOCK]
        if min_entropy is not None:
            if type(min_entropy) not in (int, float) or not min_entropy >= 0:
                raise ConfigurationError(
                    f"min_entropy must be a number of bits, 0 or more, or None, not {min_entropy!r}"
                )
            rules.append(_random_rule(min_entropy))
        super().__init__(
            rules,
            name="secrets",
            on_find=on_find,
            on_prompt=on_prompt,
            paths=paths,
            trigger=_TRIGGER,
            number_trigger=_NO_NUMBER,
            needs=_NEEDS if min_entropy is None else None,
        )
