from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from structstream.providers.arguments import ArgumentWriter, Path, parse_path

JSON = Any  # Any: JSON
Piece = tuple[Path, JSON, bool]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1e9, 1e9) | texts
containers = st.recursive(
    scalars,
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(texts, inner, min_size=1, max_size=3),
)
documents = st.dictionaries(texts, containers, max_size=4)


def pieces_of(value: JSON, path: Path, size: int) -> Iterator[Piece]:
    """What a provider sends for a value: one piece a scalar, more for a string, and an empty one at its end."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from pieces_of(item, (*path, key), size)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from pieces_of(item, (*path, index), size)
    elif isinstance(value, str):
        yield from ((path, value[at : at + size], True) for at in range(0, len(value), size))
        yield path, "", False
    else:
        yield path, value, False


def written(pieces: list[Piece]) -> str:
    writer = ArgumentWriter()
    return "".join(writer.add(path, value, more=more) for path, value, more in pieces) + writer.close()


@settings(max_examples=80)
@given(documents, st.integers(1, 4))
def test_what_comes_in_order_is_written_once_and_at_once(document: JSON, size: int) -> None:
    pieces = list(pieces_of(document, (), size))
    text = written(pieces)
    assert json.loads(text) == document
    assert text == json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    writer = ArgumentWriter()
    for path, value, more in pieces:
        added = writer.add(path, value, more=more)
        assert added or value == ""  # nothing is held back


@settings(max_examples=80)
@given(documents, st.integers(1, 4), st.randoms(use_true_random=False))
def test_what_comes_in_another_order_is_all_there_in_the_end(document: JSON, size: int, random: Any) -> None:
    queues = [list(pieces_of(value, (key,), size)) for key, value in document.items()]
    mixed: list[Piece] = []
    while queues := [queue for queue in queues if queue]:
        mixed.append(random.choice(queues).pop(0))
    assert json.loads(written(mixed)) == document


def test_a_list_may_be_filled_in_any_order() -> None:
    pieces: list[Piece] = [
        (("a", 2, "x"), 1, False),
        (("b",), "s", True),
        (("a", 0), "late", False),
        (("b",), "t", False),
        (("a", 2, "y"), 2, False),
    ]
    text = written(pieces)
    assert text == '{"a":[null,null,{"x":1}],"b":"st","a":["late",null,{"x":1,"y":2}]}'


def test_a_value_may_be_sent_again() -> None:
    assert json.loads(written([(("a",), 1, False), (("a",), 2, False)])) == {"a": 2}


@pytest.mark.parametrize(
    "paths",
    [
        ["$.a", "$.a.b"],
        ["$.a.b", "$.a"],
        ["$.a[0]", "$.a.b"],
        ["$.a.b", "$.a[0]"],
        ["$.a[0]", "$.a[2000]"],
        ["$.a[2000]"],
        ["$.a.b", "$.c", "$.a[0]"],
    ],
)
def test_paths_that_do_not_go_together_are_refused(paths: list[str]) -> None:
    writer = ArgumentWriter()
    *first, last = map(parse_path, paths)
    for path in first:
        writer.add(path, "text", more=False)
    with pytest.raises(ValueError, match=r"container|passed over"):
        writer.add(last, "text", more=False)


def test_a_string_goes_on_as_a_string() -> None:
    writer = ArgumentWriter()
    assert writer.add(("a",), 'say "', more=True) == '{"a":"say \\"'
    assert writer.mid_string
    with pytest.raises(ValueError, match="string"):
        writer.add(("a",), 1, more=False)


def test_nothing_is_an_empty_object() -> None:
    assert ArgumentWriter().close() == "{}"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("$.a", ("a",)),
        ("$.a.b[0].c_d", ("a", "b", 0, "c_d")),
        ("$['a b'][\"c.d\"]", ("a b", "c.d")),
        (r"""$['it\'s "x"']""", ('it\'s "x"',)),
        (r'$["\u00fc\"\\"]', ('ü"\\',)),
        ("$.größe", ("größe",)),
        ("$.a-b", ("a-b",)),
        ("$[''][ 12 ]", ("", 12)),
    ],
)
def test_paths(text: str, path: Path) -> None:
    assert parse_path(text) == path


@pytest.mark.parametrize(
    "text",
    ["", "$", "a", "$.", "$a", "$[0]", "$.a[*]", "$..a", "$.a[-1]", "$.a[1", "$.a x", "$" + ".a" * 201, r"$['\q']"],
)
def test_what_is_no_path_to_an_argument_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"path|escape"):
        parse_path(text)


@given(st.lists(texts, min_size=1, max_size=3))
def test_any_key_can_be_quoted(keys: list[str]) -> None:
    assert parse_path("$" + "".join(f"[{json.dumps(key)}]" for key in keys)) == tuple(keys)
