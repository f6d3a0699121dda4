"""The site: `sphinx-build -W docs build/docs`, which fails on a broken link or reference."""

import importlib.metadata
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

project = "estimax"
author = "The estimax developers"
copyright = author  # noqa: A001
version = release = importlib.metadata.version("estimax")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "docs.site.docstrings",
    "docs.site.generated",
    "docs.site.mathml",
]
nitpicky = True
nitpick_ignore_regex = [  # types in annotations; what docstrings and pages refer to is checked
    ("py:class", r"(?!estimators\.|estimax\.).*"),
    ("py:class", r"estimators\.core\.\w+\.([A-Z]|Part|Relaxed|Tuning)"),
    ("py:(data|obj)", r"(collections|jax|typing)\..*"),
]
exclude_patterns = ["site"]
root_doc = "index"

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
myst_links_external_new_tab = True

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
napoleon_use_ivar = True
viewcode_line_numbers = True

html_theme = "pydata_sphinx_theme"
html_math_renderer = "mathml"
html_title = "estimax"
html_sidebars = {"**": ["sidebar-pages"]}
templates_path = ["site/templates"]
toc_object_entries = False
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "navbar_center": [],
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
}
