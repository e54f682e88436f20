"""Figures: what is made of the facts that streams tell. One backend a file; any callable can be one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from structstream.facts import Fact, Observer, StreamInfo, Tell

__all__ = ["telling"]

_logger = logging.getLogger("structstream")


def telling(info: StreamInfo, observers: Sequence[Observer]) -> Tell | None:
    """Return what tells the facts of one stream to all observers, in their order; None where nobody listens.

    An observer that raises is named in the log, once a stream, and breaks nothing.

    >>> telling(None, []) is None
    True
    """
    tells = [_guarded(info, observer) for observer in observers]
    if len(tells) <= 1:
        return tells[0] if tells else None

    def tell(fact: Fact) -> None:
        for each in tells:
            each(fact)

    return tell


def _guarded(info: StreamInfo, observer: Observer) -> Tell:
    failed = False

    def tell(fact: Fact) -> None:
        nonlocal failed
        try:
            observer(info, fact)
        except Exception as error:  # noqa: BLE001  # an observer is the caller's: whatever it raises, the stream goes on
            if not failed:
                failed = True
                names = type(observer).__name__, type(error).__name__, type(fact).__name__
                _logger.warning("observer %s raised %s at %s; the stream goes on", *names)

    return tell
