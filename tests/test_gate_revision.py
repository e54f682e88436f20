"""What stream_first guardrails find in keys, numbers and texts that were shown is missing from the final object."""

from __future__ import annotations

import json

from structstream.gate import Gate
from structstream.verdicts import ALLOW, Verdict
from tests.test_gate_segments import ALL, NAMED, UNNAMED, Naming, Noting


def test_keys_and_numbers_that_were_shown_are_taken_out_at_the_end() -> None:
    shown: list[str] = []
    rails = [Naming(unit="field", kinds=ALL, mode=mode) for mode in ("hold", "stream_first")]
    for first, text in ((rails[0], UNNAMED), (rails[1], NAMED)):
        shown.clear()
        gate = Gate([first, Naming(unit="field", kinds=ALL, mode="stream_first")], shown.append)
        gate.feed(NAMED)
        gate.finish()
        assert "".join(shown) == text
        assert gate.revised(text) == UNNAMED


def test_a_text_below_a_key_that_is_held_back_is_revised_all_the_same() -> None:
    shown: list[str] = []
    late = Noting(ALLOW, Verdict.replace("late"), unit="field", mode="stream_first")
    gate = Gate([Naming(unit="field", kinds=frozenset({"key"})), late], shown.append)
    gate.feed(NAMED)
    gate.finish()
    assert json.loads(gate.revised("".join(shown))) == {
        "of N": {"N": [{"n": 4711}, "by Ada", "late"]},
        "N": "Ada\n.",
    }
