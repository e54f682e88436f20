"""OpenAI's moderation endpoint as a guardrail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from structstream import GuardedText, Guardrail, Verdict

if TYPE_CHECKING:
    from typing import Literal

    from openai import AsyncOpenAI

__all__ = ["ModerationGuardrail"]


class ModerationGuardrail(Guardrail):
    """Ends the stream where the moderation endpoint flags a text, and keeps a flagged prompt from being sent.

    Each judgement is a call, so texts (keys of mappings among them) are judged by the sentence or the field, never by
    the delta. An endpoint that fails or dawdles closes the gate, unless `fail_open` is set.

    Args:
        client: the caller's own, which is not closed here.
        model: the moderation model.
        categories: those that count, such as ``violence``; None for whatever the endpoint flags.
        mode, unit, window, paths, timeout, fail_open: as in `Guardrail`.

    Example::

        guardrails = [ModerationGuardrail(AsyncOpenAI(), mode="stream_first")]
    """

    name = "openai moderation"

    def __init__(
        self,
        client: AsyncOpenAI,
        *,
        model: str = "omni-moderation-latest",
        categories: Sequence[str] | None = None,
        mode: Literal["hold", "stream_first"] = "hold",
        unit: Literal["sentence", "field"] = "sentence",
        window: int = 2000,
        paths: Sequence[str] = (),
        timeout: float | None = 10.0,
        fail_open: bool = False,
    ) -> None:
        self._client = client
        self._model = model
        self._categories = None if categories is None else frozenset(categories)
        self.mode = mode
        self.unit = unit
        self.window = window
        self.paths = paths
        self.timeout = timeout
        self.fail_open = fail_open

    async def check_prompt(self, text: str) -> Verdict:
        """Have a prompt judged."""
        return await self._judge(text)

    async def check_text(self, piece: GuardedText) -> Verdict:
        """Have a text of an answer judged."""
        return await self._judge(piece.text)

    async def _judge(self, text: str) -> Verdict:
        if not text.strip():
            return Verdict.allow()
        answer = await self._client.moderations.create(model=self._model, input=text)
        flagged = {
            name
            for result in answer.results
            if result.flagged
            for name, holds in result.categories.model_dump(by_alias=True).items()
            if holds
        }
        counted = flagged if self._categories is None else flagged & self._categories
        if not counted and (self._categories is not None or not any(result.flagged for result in answer.results)):
            return Verdict.allow()
        return Verdict.stop(f"flagged for {', '.join(sorted(counted)) or 'a category without a name'}")
