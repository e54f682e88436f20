"""What the rest of the house takes from the partials."""

from __future__ import annotations

from structstream import partial


def test_a_step_is_a_moment_of_the_value_or_of_its_wrapper() -> None:
    assert isinstance(partial.PartialParser(list[int]).step("[1"), partial.Moment)
    wrapped = partial.PartialParser(list[int], wrap_key="result").step('{"result": [1, ')
    assert not isinstance(wrapped, partial.Moment)
    assert wrapped.snapshot == [1]
