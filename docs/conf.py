"""How the pages become a site, built by `scripts/docs`."""

from __future__ import annotations

import structstream

project = "structstream"
copyright = "structstream contributors"  # noqa: A001  # Sphinx reads this name
version = release = structstream.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "figures"]
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
nitpicky = False
