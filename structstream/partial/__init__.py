"""Partials: what can be shown of a typed value while its JSON is still being written."""

from .moment import Moment
from .parser import PartialParser
from .view import ListView, MappingView, Partial
from .wrapped import Unwrapped

__all__ = ["ListView", "MappingView", "Moment", "Partial", "PartialParser", "Step"]

Step = Moment | Unwrapped
"""What a step of the parser brought."""
