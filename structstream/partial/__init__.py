"""Partials: what can be shown of a typed value while its JSON is still being written."""

from .moment import Moment
from .parser import PartialParser
from .view import ListView, MappingView, Partial

__all__ = ["ListView", "MappingView", "Moment", "Partial", "PartialParser"]
