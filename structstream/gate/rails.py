"""One guardrail as the gate holds it: whether it looks at a text, and what its verdict comes to."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, TypeGuard, get_args

from structstream.errors import BlockedError, ConfigurationError
from structstream.facts import Judged
from structstream.patterns import PathPattern
from structstream.verdicts import ALLOW, GuardedText, GuardMode, Guardrail, GuardUnit, TextKind, Verdict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from structstream.facts import Tell
    from structstream.verdicts import Action, Judgement

__all__ = ["Rail", "awaits"]

_OF_THE_ANSWER = frozenset({"value", "key", "scalar"})


class Rail:
    """One guardrail of one attempt.

    Args:
        guardrail: the caller's.
        tell: hears of its verdicts; None for nobody.

    Raises:
        ConfigurationError: it is no `Guardrail`, or one of its attributes is nothing that the attribute may be.
    """

    __slots__ = ("_paths", "_tell", "guardrail", "name")

    def __init__(self, guardrail: Guardrail, tell: Tell | None = None) -> None:
        if not isinstance(guardrail, Guardrail):
            raise ConfigurationError(
                f"guardrails must be Guardrail objects, not {type(guardrail).__name__}; "
                "wrap a function in CallableGuardrail"
            )
        _check(guardrail)
        self.guardrail = guardrail
        self.name = guardrail.name
        self._tell = tell
        self._paths = [PathPattern(path) for path in guardrail.paths]

    def looks_at(self, kind: TextKind, place: Sequence[str | int]) -> bool:
        """Whether the guardrail wants to see texts of a kind at a place: the names and indices that lead to it."""
        kinds = self.guardrail.kinds
        if kinds is not None and kind not in kinds:
            return False
        return kind not in _OF_THE_ANSWER or not self._paths or any(path.covers(place) for path in self._paths)

    @property
    def has_paths(self) -> bool:
        """Whether it looks at some fields only."""
        return bool(self._paths)

    def check(self, piece: GuardedText) -> Judgement:
        """Ask the guardrail about a text.

        Raises:
            BlockedError: it failed, and that closes the gate.
        """
        try:
            return self.guardrail.check_text(piece)
        except Exception as error:  # noqa: BLE001  # the guardrail is the caller's: whatever it raises closes the gate
            why = type(error).__name__
        # Outside of the block: what it raised may quote the text, and must not hang on the error that is told.
        return self.failed(why, piece.path)

    def check_prompt(self, text: str) -> Judgement:
        """Ask the guardrail about the prompt.

        Raises:
            BlockedError: it failed, and that closes the gate.
        """
        try:
            return self.guardrail.check_prompt(text)
        except Exception as error:  # noqa: BLE001  # as above
            why = type(error).__name__
        return self.failed(why, "")

    def failed(self, why: str, path: str) -> Verdict:
        """Note that the guardrail failed; return what follows where it is allowed to fail open.

        Raises:
            BlockedError: it is not.
        """
        self.tell("error", path)
        if self.guardrail.fail_open:
            return ALLOW
        raise BlockedError(self.name, f"it failed itself ({why}), and what was not judged is not shown", path=path)

    def settled(self, verdict: object, path: str) -> Verdict:
        """Return a verdict that lets the stream go on.

        Raises:
            BlockedError: it says stop, or is no verdict.
        """
        if not isinstance(verdict, Verdict):
            return self.failed(f"its verdict is {type(verdict).__name__}", path)
        if verdict.action == "stop":
            self.tell("stop", path)
            raise BlockedError(self.name, verdict.reason or "it gave no reason", path=path)
        return verdict

    def tell(self, action: Action | str, path: str) -> None:
        """Tell what was said."""
        if self._tell is not None:
            self._tell(Judged(self.name, action, path))  # type: ignore[arg-type]  # "error" is an action of the fact


_KINDS = get_args(TextKind)
_Holds = Callable[[Any], bool]  # Any: whatever a caller has set
_RULES: tuple[tuple[str, str, _Holds], ...] = (
    ("mode", f"one of {', '.join(get_args(GuardMode))}", get_args(GuardMode).__contains__),
    ("unit", f"one of {', '.join(get_args(GuardUnit))}", get_args(GuardUnit).__contains__),
    (
        "kinds",
        f"None or a set of some of {', '.join(_KINDS)}",
        lambda kinds: (
            kinds is None
            or (isinstance(kinds, Collection) and not isinstance(kinds, str) and all(kind in _KINDS for kind in kinds))
        ),
    ),
    ("paths", "a list of patterns, such as ['items[*].note']", lambda paths: not isinstance(paths, str)),
    ("window", "a positive integer", lambda window: type(window) is int and window > 0),
    ("timeout", "a positive number or None", lambda time: time is None or (type(time) in (int, float) and time > 0)),
)


def _check(guardrail: Guardrail) -> None:
    """Refuse what would make a guardrail look at nothing, or for ever."""
    for name, what, holds in _RULES:
        value = getattr(guardrail, name)
        if not holds(value):
            raise ConfigurationError(f"{name} of the guardrail {guardrail.name!r} must be {what}, not {value!r}")


def awaits(judgement: object) -> TypeGuard[Awaitable[Verdict]]:
    """Whether a judgement has to be awaited."""
    return not isinstance(judgement, Verdict) and hasattr(judgement, "__await__")
