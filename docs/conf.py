"""How the pages become a site, built by `scripts/docs`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import structstream
import structstream.testing

project = "structstream"
copyright = "structstream contributors"  # noqa: A001  # Sphinx reads this name
version = release = structstream.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "structstream"
html_show_sourcelink = False

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# The pages of the reference are written from what the front doors promise, so that none can be forgotten.
_PAGES = {
    "errors": ("Errors", structstream, lambda value: inspect.isclass(value) and issubclass(value, Exception)),
    "names": ("Names", structstream, lambda value: not (inspect.isclass(value) and issubclass(value, Exception))),
    "testing": ("structstream.testing", structstream.testing, lambda value: True),
}


def _entries(module: object, wanted: object) -> Iterator[str]:
    for name in sorted(module.__all__, key=str.lower):  # type: ignore[attr-defined]
        value = getattr(module, name)
        if name.startswith("__") or not wanted(value):  # type: ignore[operator]
            continue
        if inspect.isclass(value):
            yield f".. autoclass:: {module.__name__}.{name}\n   :members:\n"  # type: ignore[attr-defined]
        elif inspect.isroutine(value):
            yield f".. autofunction:: {module.__name__}.{name}\n"  # type: ignore[attr-defined]
        else:
            yield f".. autodata:: {_home(name)}.{name}\n   :no-value:\n"


def _home(name: str) -> str:
    """The module that defines a value: a value's own docstring stands there, below its name."""
    found = (where for where, module in sys.modules.items() if where.startswith("structstream."))
    return max((where for where in found if name in getattr(sys.modules[where], "__all__", ())), key=len)


def _write_reference() -> None:
    folder = Path(__file__).parent / "reference"
    for page, (title, module, wanted) in _PAGES.items():
        text = f"{title}\n{'=' * len(title)}\n\n" + "\n".join(_entries(module, wanted))
        target = folder / f"{page}.rst"
        if not target.exists() or target.read_text() != text:
            target.write_text(text)


_write_reference()
