"""Patterns of paths: what fits, and what is none."""

from __future__ import annotations

import pytest

from structstream.errors import ConfigurationError
from structstream.patterns import PathPattern
from structstream.text import parse_path


@pytest.mark.parametrize(
    ("pattern", "fits", "misses"),
    [
        ("name", ["name"], ["", "names", "name.first", "[0]"]),
        ("", [""], ["name", "[0]"]),
        ("*", ["name", "[0]"], ["", "a.b"]),
        ("[*]", ["[3]", "name"], ["[3].name"]),
        ("orders[*].lines[*]", ["orders[0].lines[12]"], ["orders[0]", "orders[0].lines", "orders[0].lines[1].sku"]),
        ("prices.*", ["prices.one", 'prices["per piece"]', "prices[2]"], ["prices"]),
        ('prices["per piece"]', ['prices["per piece"]'], ["prices.per"]),
        ('a["b\\"c"][2]', ['a["b\\"c"][2]'], ['a["b\\"c"][3]']),
        ("[*][*]", ["[0][1]"], ["[0]"]),
    ],
)
def test_a_star_stands_for_one_item(pattern: str, fits: list[str], misses: list[str]) -> None:
    found = PathPattern(pattern)
    assert [path for path in fits if not found.matches(parse_path(path))] == []
    assert [path for path in misses if found.matches(parse_path(path))] == []


def test_a_key_that_is_no_text_is_compared_by_its_text() -> None:
    assert PathPattern('sizes["1.5"]').matches(["sizes", 1.5])
    assert not PathPattern("sizes[1]").matches(["sizes", "1"])


@pytest.mark.parametrize(
    ("wrong", "offset"),
    [(".name", 0), ("a..b", 1), ("a[", 1), ("a[-1]", 1), ("a b", 1), ("a[*", 1), ("a.", 1), ("a**", 1), ('a["b]', 1)],
)
def test_what_is_no_pattern_is_refused_with_its_place(wrong: str, offset: int) -> None:
    with pytest.raises(ConfigurationError, match=f"is no path pattern: .* at offset {offset}"):
        PathPattern(wrong)


def test_a_pattern_is_text() -> None:
    with pytest.raises(ConfigurationError, match="must be text such as"):
        PathPattern(5)  # type: ignore[arg-type]  # wrong on purpose
    assert repr(PathPattern("a[*]")) == "PathPattern('a[*]')"
