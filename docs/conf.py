"""The site of these documents: `make docs`."""

project = "ecpmon"
extensions = ["myst_parser"]
exclude_patterns = ["_build", "images", "conf.py"]
myst_heading_anchors = 3
html_theme = "alabaster"
html_theme_options = {"page_width": "1100px", "sidebar_width": "240px", "fixed_sidebar": True}
# ADRs are reached by links. What lies outside of docs/ is of the checkout, not of the site.
suppress_warnings = ["myst.xref_missing", "toc.not_included", "misc.highlighting_failure", "myst.header"]
