"""An answer that broke off, taken up again: what of it stands, what is asked for, and how the two become one text."""

from .outline import Level, Salvage, salvage
from .rest import Rests, rests
from .splice import Splice, rest_of

__all__ = ["Level", "Rests", "Salvage", "Splice", "rest_of", "rests", "salvage"]
