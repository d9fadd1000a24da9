"""The documentation as a site: `make docs`. The pages are plain Markdown; what is made of them is in `_ext/`."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

from kardia.version import __version__  # noqa: E402

project = "kardia"
author = "The kardia developers"
copyright = "the kardia developers; Apache-2.0"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton", "site_pages"]
exclude_patterns = ["_ext"]
myst_heading_anchors = 6

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
# what kardia's own pages name is looked for strictly; names in signatures that no page describes (the standard
# library's, pydantic's, kardia's inner ones) are not links
nitpick_ignore_regex = [("py:.*", ".*")]

html_theme = "furo"
html_title = f"kardia {release}"
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

# `$ ` is not part of what is typed, and answers are not copied
copybutton_prompt_text = r"^\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_line_continuation_character = "\\"
