"""Partials: what can be shown of a typed value while its JSON is still being written."""

from .estimate import Estimate
from .moment import Moment
from .parser import PartialParser
from .typical import Typical
from .view import ListView, MappingView, Partial
from .wrapped import Unwrapped

__all__ = ["Estimate", "ListView", "MappingView", "Moment", "Partial", "PartialParser", "Step", "Typical"]

Step = Moment | Unwrapped
"""What a step of the parser brought."""
