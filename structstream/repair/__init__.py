r"""Lenient reading: a model's text in, strictly valid JSON text out, for `JSONStream` to read.

Text may be cut anywhere; what comes out does not depend on it. What came out is never taken back: a word is given when
it ended, a comma when the next member or item begins. Structure is repaired; the content of a string is not touched.

Taken, and what becomes of it:

- Prose, thinking, and code fences around the value are passed over (see `Preamble`). Text after the value is ignored.
- A comma before a closing bracket is dropped. A missing one is put in where a line break stands between, where either
  side is an object or array, and before a quoted key that whitespace sets off.
- Comments between tokens are dropped: ``// …`` and ``# …`` to the end of the line, ``/* … */``. So is whitespace that
  RFC 8259 does not know, and U+FEFF, U+200B, U+2060.
- ``'…'`` and curly quotes become ``"…"``; a straight double quote within is escaped. An apostrophe (straight or curly)
  with a letter or digit behind it is content: ``'it's'``.
- Unquoted keys are quoted as they are written: ``name:``, ``$ref:``, ``first-name:``, ``7:``.
- In strings, control characters are escaped; ``\'`` becomes ``'``; a backslash that begins no escape of RFC 8259 was
  content and is doubled: ``\d``, ``\x41``, half a surrogate pair.
- ``True``, ``FALSE``, ``None``, ``undefined`` become ``true``, ``false``, ``null``, ``null``, in any case. ``NaN``,
  ``Infinity``, ``-inf`` become ``NaN``, ``Infinity``, ``-Infinity``, which are not RFC 8259: read with `allow_nan`.
- ``+1``, ``.5``, ``5.``, ``007``, ``0x1F`` become ``1``, ``0.5``, ``5.0``, ``7``, ``31``.

Refused, because the meaning would have to be guessed: words without quotes as values, a value that is missing
(``"a": ,``), ``...`` for items left out, double quotes within double quotes, strings side by side on one line, a
bracket that does not match. What the end of the text leaves open stays open: `JSONStream` reports it as cut off.

A bracket behind which no JSON can stand is prose (``{name}``, ``[see below]``). From the first quote, colon, value or
closing bracket on it is the value, and every fault in it is an error.

>>> repair = JSONRepair()
>>> repair.feed("Here you are: {name: 'A") + repair.feed("da', tags: [None,],}  Anything else?") + repair.finish()
'{"name": "Ada", "tags": [null]}'
"""

from __future__ import annotations

from .transducer import JSONRepair

__all__ = ["JSONRepair"]
