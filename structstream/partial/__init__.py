"""Partials: what can be shown of a typed value while its JSON is still being written."""

from .estimate import Estimate
from .look import child, children, look
from .moment import Moment
from .names import field_names
from .nodes import ABSENT
from .parser import PartialParser
from .typical import Typical
from .view import ListView, MappingView, Partial, View
from .wrapped import Unwrapped

__all__ = [
    "ABSENT",
    "Estimate",
    "ListView",
    "MappingView",
    "Moment",
    "Partial",
    "PartialParser",
    "Step",
    "Typical",
    "View",
    "child",
    "children",
    "field_names",
    "look",
]

Step = Moment | Unwrapped
"""What a step of the parser brought."""
