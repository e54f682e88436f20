"""Print the routing table: what may stand before the slash of a model's name.

Of each provider: its dialect, its base URL, the variable for its key and whether that is set, and its modes. A key
itself is never shown. An asterisk marks a mode in which the answer comes in one piece.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from structstream import ProviderSpec

__all__ = ["configure", "run"]

_HEADINGS = ("provider", "dialect", "key", "modes", "base URL")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--set", action="store_true", help="only the providers that can be called as things stand")


def run(arguments: argparse.Namespace) -> int:
    """Print the table and return 0."""
    from structstream import ROUTES

    specs = [spec for _, spec in sorted(ROUTES.items())]
    if arguments.set:
        specs = [spec for spec in specs if _is_ready(spec, os.environ)]
    rows = [_HEADINGS, *(_row(spec, os.environ) for spec in specs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _row(spec: ProviderSpec, environment: Mapping[str, str]) -> tuple[str, str, str, str, str]:
    modes = ", ".join(f"{mode}*" if mode in spec.whole_modes else mode for mode in spec.modes)
    if spec.modes_of:
        modes += " (others for some models)"
    return spec.name, spec.dialect, _key(spec, environment), modes, _base_url(spec, environment)


def _key(spec: ProviderSpec, environment: Mapping[str, str]) -> str:
    found = _first_set(spec.key_env, environment)
    if found:
        return f"{found} is set"
    names = " or ".join(spec.key_env)
    return f"{names} is not set" if spec.needs_key else "none needed"


def _base_url(spec: ProviderSpec, environment: Mapping[str, str]) -> str:
    names = [spec.base_url_env] if isinstance(spec.base_url_env, str) else spec.base_url_env
    found = _first_set(names, environment)
    if found:
        return f"{_without_user(environment[found])} ({found})"
    return spec.base_url or f"{' or '.join(names)} is not set"


def _is_ready(spec: ProviderSpec, environment: Mapping[str, str]) -> bool:
    names = [spec.base_url_env] if isinstance(spec.base_url_env, str) else spec.base_url_env
    has_key = not spec.needs_key or bool(_first_set(spec.key_env, environment))
    return has_key and bool(spec.base_url or _first_set(names, environment))


def _first_set(names: Sequence[str], environment: Mapping[str, str]) -> str:
    return next((name for name in names if environment.get(name, "").strip()), "")


def _without_user(url: str) -> str:
    """The URL without what may stand before its host, or behind its path: both may hold a key."""
    scheme, slashes, rest = url.partition("?")[0].partition("//")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"
