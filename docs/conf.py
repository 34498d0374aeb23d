"""How Sphinx builds the site: `make docs`. Warnings are errors; no page loads anything from another host."""

import sys
from pathlib import Path

import attractor

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "attractor"
author = "the attractor authors"
copyright = author
version = release = attractor.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "docstrings",
    "paper_pages",
    "public_names",
    "benchmark_pages",
    "self_contained",
]
exclude_patterns = ["_extensions"]
nitpicky = True

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

default_role = "code"  # what docstrings set between single backticks
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
maximum_signature_line_length = 100
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries = False  # each page of the reference begins with a table of its names

html_theme = "furo"
html_title = "attractor"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
