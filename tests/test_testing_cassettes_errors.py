"""The errors of cassettes."""

from __future__ import annotations

import pytest

from structstream.errors import ConfigurationError
from structstream.testing.cassettes.errors import CassetteError, NotRecordedError, SecretFoundError


@pytest.mark.parametrize("kind", [CassetteError, NotRecordedError, SecretFoundError])
def test_each_is_an_error_of_the_set_up(kind: type[Exception]) -> None:
    assert issubclass(kind, ConfigurationError)
    assert issubclass(kind, CassetteError)


def test_a_secret_is_told_by_its_place() -> None:
    error = SecretFoundError("x.yaml", ["interaction 0, request.body"])
    assert error.places == ["interaction 0, request.body"]
    assert str(error).startswith("cassette x.yaml is not written: a secret stands in interaction 0, request.body; ")
