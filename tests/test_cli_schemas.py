"""What the demo asks for: its own trip, or the type that the user names."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from structstream import ConfigurationError
from structstream.cli import main
from structstream.cli.schemas import Trip, load_type, make_request

NOT_A_TYPE = "text"


class Outer:
    Numbers = list[int]


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ("Trip", "takes module:Class"),
        ("no.such.module:Trip", "cannot be imported"),
        (f"{__name__}:Missing", "has no attribute 'Missing'"),
        (f"{__name__}:NOT_A_TYPE", "schema"),
    ],
)
def test_a_type_that_cannot_be_had(schema: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--schema", schema]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_type_in_the_current_directory_and_one_within_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop_of_this_test.py").write_text("class Shop:\n    Sizes = list[int]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")  # restores sys.path afterwards
    assert load_type("shop_of_this_test:Shop.Sizes") == list[int]
    assert load_type(f"{__name__}:Outer.Numbers") == list[int]


def test_the_request_says_what_the_options_do() -> None:
    options = argparse.Namespace(schema=None, model="simulated/m", prompt="Where to?", temperature=0.5)
    request = make_request(options, max_retries=0)
    assert request.response_model is Trip
    assert (request.model, request.prompt, request.temperature, request.max_retries) == (
        "simulated/m",
        "Where to?",
        0.5,
        0,
    )
    with pytest.raises(ConfigurationError, match="prompt"):
        make_request(argparse.Namespace(**{**vars(options), "prompt": " "}))


def test_the_trip_has_what_streaming_must_cope_with() -> None:
    schema = TypeAdapter(Trip).json_schema()
    assert {"Day", "Season", "Traveller"} <= set(schema["$defs"])
    assert "discriminator" in str(schema)
