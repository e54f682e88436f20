"""Going on with an answer that broke off: keep what closed, ask for the rest, and write the two as one text.

Everything is text. `read_open` finds what of the text can be kept and what is open in it, `residual_schema` what is
missing there, and `Splice` turns the answer to that, while it comes, into the text that follows the kept one. So one
parser reads one document, and all that holds for an answer in one piece holds for one in several.
"""

from __future__ import annotations

from .opened import Opened, read_open
from .rest import rest_of, written
from .schema import residual_schema, stem_for, walk
from .splice import Splice

__all__ = ["Opened", "Splice", "read_open", "residual_schema", "rest_of", "stem_for", "walk", "written"]
