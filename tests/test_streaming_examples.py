"""Each of the eight examples runs, quickly, and shows what its docstring says."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "streaming_examples.py"
BASE_URL = "STRUCTSTREAM_SIMULATED_BASE_URL"


@pytest.fixture(scope="module")
def examples() -> ModuleType:
    found = importlib.util.spec_from_file_location("streaming_examples", SCRIPT)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def partials_grow_into_the_object(lines: list[str]) -> bool:
    *partials, whole = lines
    lengths = [len(line) for line in partials]
    return (
        len(partials) > 1  # a busy machine joins steps
        and all(line.startswith("partial: Partial[Profile](name='Ada Lovelace'") for line in partials)
        and sorted(lengths) == lengths
        and "jobs=[Job(" in partials[-1]
        and re.match(r"whole: +name='Ada Lovelace' .*Job\(company='Notes & Sons', years=3\)\]$", whole) is not None
    )


def percent_rises_to_a_hundred(lines: list[str]) -> bool:
    *events, whole = lines
    told = [re.match(r"(\w+) +([\d.]+) %  (.+)$", line) for line in events]
    words = [match[1] for match in told if match]
    percents = [float(match[2]) for match in told if match]
    fields = [match[3] for match in told if match and match[1] == "field"]
    return (
        len(words) == len(events)
        and (words[0], words[-1]) == ("start", "complete")
        and words.count("progress") > 2  # a busy machine joins steps
        and percents == sorted(percents)
        and (percents[0], percents[-1]) == (0, 100)
        and fields[0] == "name is there"
        and fields[-1] == "jobs is there"
        and whole.startswith("name='Ada Lovelace'")
    )


def two_failures_are_told_with_what_was_saved(lines: list[str]) -> bool:
    limited, broken = lines
    return (
        limited.startswith("rate limited: simulated: ")
        and "status 429" in limited
        and broken.startswith("IncompleteError with Partial[Profile](name='Ada Lovelace', headline='E")
    )


def one_of_five_fails_and_loses_no_other(lines: list[str]) -> bool:
    told = dict(line.removeprefix("request ").split(": ", 1) for line in lines)
    failed = told.pop("2", "")
    return "status 503" in failed and told == dict.fromkeys("0134", "Ada Lovelace")


def each_part_is_told_once_when_it_closes(lines: list[str]) -> bool:
    return lines == [
        "the name: Ada Lovelace",
        "a job at jobs[0] → company='Analytical Engines' years=9",
        "a job at jobs[1] → company='Notes & Sons' years=3",
    ]


def each_item_comes_once(lines: list[str]) -> bool:
    return lines == ["closed: company='Analytical Engines' years=9", "closed: company='Notes & Sons' years=3"]


def it_goes_on_from_where_it_stood(lines: list[str]) -> bool:
    *begun, end = lines
    return (
        len(begun) > 1
        and all(re.match(rf"attempt {number}: resume at '", line) for number, line in enumerate(begun, 2))
        and end == f"complete after {len(begun) + 1} attempts"
    )


def the_address_is_never_shown(lines: list[str]) -> bool:
    return lines == ["Engineer; write to [email]"]


SHOWN: dict[str, Callable[[list[str]], bool]] = {
    "basic": partials_grow_into_the_object,
    "progress": percent_rises_to_a_hundred,
    "error_handling": two_failures_are_told_with_what_was_saved,
    "batch": one_of_five_fails_and_loses_no_other,
    "custom_callbacks": each_part_is_told_once_when_it_closes,
    "completion": each_item_comes_once,
    "resume": it_goes_on_from_where_it_stood,
    "guardrails": the_address_is_never_shown,
}


def test_there_is_a_check_of_each(examples: ModuleType) -> None:
    assert list(examples.EXAMPLES) == list(SHOWN)


@pytest.mark.anyio
@pytest.mark.timeout(10)  # a reader does not wait out a provider's pause either
@pytest.mark.parametrize("name", SHOWN)
async def test_an_example_shows_what_it_says(
    examples: ModuleType, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BASE_URL, "")  # so that what the script sets is taken back
    assert await examples.main([name]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head == f"--- {name}: {examples.EXAMPLES[name].__doc__}"
    assert SHOWN[name](lines), lines


@pytest.mark.anyio
async def test_a_name_that_is_none_says_what_there_is(examples: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert await examples.main(["basics"]) == 2
    assert capsys.readouterr().out == f"no example basics; there are {', '.join(SHOWN)}\n"
