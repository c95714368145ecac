"""Sphinx configuration. The build needs no network, and neither do its pages."""

from vidpred import __version__

project = "vidpred"
author = "The vidpred authors"
copyright = "The vidpred authors, Apache-2.0"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]

default_role = "code"  # docstrings write `name`, as Markdown does
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # an attribute is described once: in its class
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "show-inheritance": True}

html_theme = "furo"
html_title = f"vidpred {release}"
html_static_path = ["_static"]
html_js_files = ["accessible.js"]
html_show_sourcelink = False
templates_path: list[str] = []
