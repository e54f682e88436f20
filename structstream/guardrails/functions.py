"""Any function as a guardrail."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any

from structstream.errors import ConfigurationError
from structstream.verdicts import ALLOW, GuardedText, GuardMode, Guardrail, GuardUnit, Judgement, TextKind, Verdict

from .patterns import require_list

__all__ = ["Answer", "CallableGuardrail", "Check"]

Answer = Verdict | bool | str | None
"""What a function may return: a verdict; True or None to allow; False to stop; a text to put in place of the whole."""

Check = Callable[[str], Answer | Awaitable[Answer]]
"""A function that judges a text, plain or async."""


class CallableGuardrail(Guardrail):
    """Makes a guardrail of a function that takes a text.

    Args:
        check: judges a text of the answer; plain or async. It returns a `Verdict`, True or None to allow, False to
            stop, or the text that is to stand in place of the one it was given. None looks at no answer.
        prompt: judges the text of the prompt likewise; any text but that of the prompt stops. None looks at no prompt.
        name: told in errors and facts; None takes the function's.
        mode, unit, window, kinds, paths, timeout, fail_open: as in `Guardrail`.

    Raises:
        ConfigurationError: there is no function, or `kinds` or `paths` are no lists of texts.

    >>> rail = CallableGuardrail(lambda text: "secret" not in text, name="no secrets")
    >>> rail.check_text(GuardedText("a secret"))
    Verdict(action='stop', spans=(), held_from=None, reason='the function said no')
    """

    def __init__(
        self,
        check: Check | None = None,
        *,
        prompt: Check | None = None,
        name: str | None = None,
        mode: GuardMode = "hold",
        unit: GuardUnit = "sentence",
        window: int = 2000,
        kinds: Sequence[TextKind] | None = None,
        paths: Sequence[str] = (),
        timeout: float | None = 10.0,
        fail_open: bool = False,
    ) -> None:
        given = check or prompt
        if given is None or not all(callable(each) for each in (check, prompt) if each is not None):
            raise ConfigurationError("give a function as check, or one as prompt, or both")
        self.name = str(name or getattr(given, "__name__", type(given).__name__))
        self.mode = mode
        self.unit = unit
        self.window = window
        self.kinds = (
            frozenset() if check is None else None if kinds is None else frozenset(require_list("kinds", kinds))
        )
        self.paths = require_list("paths", paths)
        self.timeout = timeout
        self.fail_open = fail_open
        self._check = check
        self._prompt = prompt

    def check_prompt(self, text: str) -> Judgement:
        """Ask the function for prompts."""
        return ALLOW if self._prompt is None else _judged(self._prompt(text), text)

    def check_text(self, piece: GuardedText) -> Judgement:
        """Ask the function for answers."""
        return ALLOW if self._check is None else _judged(self._check(piece.text), piece.text)


def _judged(answer: Answer | Awaitable[Answer], text: str) -> Judgement:
    return _Later(answer, text) if inspect.isawaitable(answer) else _verdict(answer, text)


class _Later:
    """The verdict of an async function; one that nobody awaits is closed with what it waits for."""

    def __init__(self, answer: Awaitable[Answer], text: str) -> None:
        self._answer = answer
        self._text = text

    def __await__(self) -> Generator[Any, Any, Verdict]:  # Any: what passes between a coroutine and its event loop
        return _verdict((yield from self._answer.__await__()), self._text)

    def close(self) -> None:
        if inspect.iscoroutine(self._answer):
            self._answer.close()


def _verdict(answer: Answer, text: str) -> Verdict:
    if isinstance(answer, Verdict):
        return answer
    if isinstance(answer, str):
        return ALLOW if answer == text else Verdict.replace(answer)
    if answer is None or answer is True:
        return ALLOW
    if answer is False:
        return Verdict.stop("the function said no")
    raise TypeError(f"a guardrail's function returns a Verdict, a bool, a text or None, not {type(answer).__name__}")
