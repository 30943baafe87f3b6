"""The manual as web pages: python -m sphinx -W docs OUT. Nothing in the result comes from another server."""

project = "cycler-ctl"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["driver-example", "_build"]
html_theme = "furo"
html_title = "cycler-ctl"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
myst_heading_anchors = 3
myst_links_external_new_tab = True
# "console" pieces hold what a program says, and protocols hold $variables: no error if a lexer stumbles.
suppress_warnings = ["misc.highlighting_failure", "toc.empty_glob"]
