"""A node knows its entries by name, as they were at each of its lengths."""

from __future__ import annotations

import copy
import pickle

from structstream.partial.nodes import ABSENT, Node, TextNode
from structstream.partial.schema import shape_of
from structstream.partial.shapes import ArrayPart, MappingPart


def _named(*names: str) -> Node:
    shape = shape_of(dict[str, int])
    assert isinstance(shape.record, MappingPart)
    root = Node(shape, ArrayPart((), shape), None, 0, named=False)
    node = Node(shape, shape.record, root, 0, named=True)
    for name in names:
        assert node.names is not None
        node.repeated = node.repeated or name in node.where
        node.where[name] = len(node.values)
        node.names.append(name)
        node.values.append(name.upper())
    return node


def test_of_a_name_that_came_twice_each_length_knows_its_own() -> None:
    node = _named("a", "b", "a")
    assert [node.entry("a", length) for length in range(4)] == [None, 0, 0, 2]
    assert [node.entry("b", length) for length in range(4)] == [None, None, 1, 1]
    assert node.entry("c", 3) is None


def test_a_path_goes_from_the_root_inwards() -> None:
    node = _named("a", "b c")
    assert (node.path_of(0), node.path_of(1)) == (["a"], ["b c"])
    text = TextNode(node.shape, node)
    assert (text.pos, text.parent) == (2, node)
    assert node.parent is not None
    assert node.parent.path_of(0) == []
    assert repr(ABSENT) == "ABSENT"


def test_there_is_one_absent_value() -> None:
    assert copy.deepcopy(ABSENT) is ABSENT
    assert pickle.loads(pickle.dumps(ABSENT)) is ABSENT
