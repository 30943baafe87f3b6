"""The page for a browser or a printer: one file, no script, nothing from anywhere else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from cycler_ctl.report.sections import Section
from protocols.diagnostics import printable

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 1.5rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.02rem; margin: 1.4rem 0 .3rem; border-bottom: 1px solid #8888; }
dl { display: grid; grid-template-columns: 10rem 1fr; gap: .12rem 1rem; margin: 0; }
dt { color: GrayText; }
dd { margin: 0; overflow-wrap: anywhere; }
div { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .4rem 0; }
th, td { text-align: right; padding: .12rem .7rem .12rem 0; white-space: nowrap; }
th { font-weight: 600; border-bottom: 1px solid #8888; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } dt:empty { display: none; } }
@media print { body { font-size: 10px; margin: 0; max-width: none; } h2 { break-after: avoid; } }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def render_html(head: str, found: Sequence[Section]) -> str:
    body = "\n".join(part for section in found for part in _section(section))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(head)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{_text(head)}</h1>\n{body}\n</body>\n</html>\n"
    )


def _section(section: Section) -> Iterator[str]:
    yield f"<h2>{_text(section.title)}</h2>"
    if section.table is not None:
        yield _table(section.table.heads, section.table.rows)
        if len(section.table.rows) < len(section.table.all_rows):
            folded = _table(section.table.heads, section.table.all_rows)
            yield f"<details><summary>all {len(section.table.all_rows)} {section.table.of}</summary>{folded}</details>"
    if section.lines:
        yield "<dl>" + "".join(_line(*line) for line in section.lines) + "</dl>"


def _line(label: str, words: str) -> str:
    return f"<dt>{_text(label)}</dt><dd>{_text(words)}</dd>\n"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    first = "".join(f'<th scope="col">{_text(head)}</th>' for head in heads)
    rest = "\n".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div><table><thead><tr>{first}</tr></thead>\n<tbody>{rest}</tbody></table></div>"


def _text(words: str) -> str:
    return escape(printable(words.replace("\n", " ")))
