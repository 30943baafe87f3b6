"""One way to lay a protocol out: two blanks a level, lists under their name, short braces on one line.

Every scalar stays as written but for the spelling of units; every comment and one empty line stay beside what they
belong to. The text comes out equal when it is laid out again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from protocols.describing.layout_tree import Branch, Comment, Leaf, Pair, Source, Tree, leaves, read_source
from protocols.describing.spelling import respelt

WIDEST = 100
STEP = 2
SMALLEST_GAP = 2


def laid_out(text: str, *, respell: bool = True) -> str:
    """The text in one layout; it must have passed the reader. Raises CannotLayOut."""
    source = read_source(text)
    tree = respelt(source.tree) if respell else source.tree
    writer = _Writer(replace(source, tree=tree))
    writer.whole(tree)
    return "\n".join([*writer.lines, ""])


def first_line(child: Pair | Tree) -> int:
    """Where its first word stands; a list of lists begins with a dash, which counts for nothing."""
    if isinstance(child, Pair):
        return child.key.first
    return next((leaf.first for leaf in leaves(child)), child.first)


class _Writer:
    """Writes line after line; owns what has not been written yet of comments and empty lines."""

    def __init__(self, source: Source) -> None:
        self.lines: list[str] = []
        ends = {leaf.last for leaf in leaves(source.tree)}
        headers = {leaf.first for leaf in leaves(source.tree) if leaf.is_block}
        ends |= {branch.last for branch in branches(source.tree) if branch.flow}
        beside = [each for each in source.comments if not each.alone and each.line not in headers]
        self.beside = {each.line: each for each in beside if each.line in ends}
        alone = [each for each in source.comments if each.alone]
        alone += [each for each in beside if each.line not in self.beside]
        blanks = [Comment("", line, 0, alone=True, gap=0) for line in source.blanks]
        self.between = deque(sorted([*alone, *blanks], key=lambda each: each.line))
        self.content = sorted({leaf.first for leaf in leaves(source.tree)})
        self.last_on_line = {leaf.last: id(leaf) for leaf in leaves(source.tree)}

    def whole(self, tree: Tree) -> None:
        if isinstance(tree, Leaf):
            self._leaf("", tree, 0)
        else:
            self._children(tree, 0, "")
        for each in self.beside.values():
            self._alone(each.text, 0)
        self.flush(None, 0)
        while self.lines and not self.lines[-1]:
            self.lines.pop()

    def flush(self, before: int | None, indent: int) -> None:
        """Write what stands above a line of the source; None: all there is."""
        while self.between and (before is None or self.between[0].line < before):
            self._alone(self.between.popleft().text, indent)

    def _alone(self, text: str, indent: int) -> None:
        """A comment, or an empty line where there is none yet."""
        if text:
            self.lines.append(" " * indent + text)
        elif self.lines and self.lines[-1]:
            self.lines.append("")

    def _children(self, branch: Branch, indent: int, prefix: str) -> None:
        """``prefix``: what already stands on the first line, in place of its indentation."""
        for number, child in enumerate(branch.children):
            lead = prefix if number == 0 and prefix else " " * indent
            if not (number == 0 and prefix):
                self.flush(first_line(child), indent)
            if isinstance(child, Pair):
                self._pair(lead, child, indent)
            else:
                self._item(f"{lead}- ", child, indent)
        self._tail(branch, indent)

    def _pair(self, lead: str, pair: Pair, indent: int) -> None:
        key, value = pair.key, pair.value
        if isinstance(value, Leaf):
            self._lift(key, value.first, indent, lead)
            self._leaf(f"{lead}{key.lines[0]}: ", value, indent)
            return
        line = self._one_line(f"{lead}{key.lines[0]}: ", value)
        if line is not None:
            self._lift(key, value.first, indent, lead)
            self._write(line, value.last)
            return
        self._write(f"{lead}{key.lines[0]}:", key.last, key)
        self._children(value, indent + STEP, "")

    def _lift(self, key: Leaf, value_line: int, indent: int, lead: str) -> None:
        """What stands between a name and its value on a later line goes above the name."""
        if value_line == key.last:
            return
        lifted = [self.beside.pop(key.last)] if key.last in self.beside else []
        while self.between and self.between[0].line < value_line:
            lifted.append(self.between.popleft())
        if lead.strip():
            indent = len(lead) - len(lead.lstrip())
        for each in lifted:
            if each.text:
                self._alone(each.text, indent)

    def _item(self, lead: str, item: Tree, indent: int) -> None:
        if isinstance(item, Leaf):
            self._leaf(lead, item, indent)
            return
        line = self._one_line(lead, item)
        if line is not None:
            self._write(line, item.last)
        else:
            self._children(item, len(lead), lead)

    def _leaf(self, lead: str, leaf: Leaf, indent: int) -> None:
        first, *rest = leaf.lines
        inner = " " * (indent + STEP)
        if leaf.is_block:
            self.lines += [f"{lead}{first}", *(inner + line if line else "" for line in rest)]
            return
        lines = [f"{lead}{first}".rstrip(), *(f"{inner}{line}".rstrip() for line in rest)]
        self.lines += lines[:-1]
        self._write(lines[-1], leaf.last, leaf)

    def _write(self, text: str, line: int, leaf: Leaf | None = None) -> None:
        """A line of text with the comment that stood beside it; beside several words, at the last of them."""
        is_last = leaf is None or self.last_on_line.get(line) == id(leaf)
        comment = self.beside.pop(line, None) if is_last else None
        if comment is not None:
            text = f"{text}{' ' * max(comment.gap, SMALLEST_GAP)}{comment.text}"
        self.lines.append(text)

    def _one_line(self, lead: str, branch: Branch) -> str | None:
        """The whole branch in braces or brackets, if it was so, is short, and holds no comment."""
        if not branch.flow or self._is_commented(branch):
            return None
        inline = _inline(branch)
        line = None if inline is None else f"{lead}{inline}"
        return line if line is None or not branch.children or len(line) <= WIDEST else None

    def _is_commented(self, branch: Branch) -> bool:
        """Inside its braces. What stands before them has been written, so the next ones to come are the ones to ask."""
        if any(line in self.beside for line in range(branch.first, branch.last)):
            return True
        inside = takewhile(lambda each: each.line <= branch.last, self.between)
        return any(each.text and each.line > branch.first for each in inside)

    def _tail(self, branch: Branch, indent: int) -> None:
        """Comments below the last child that stand as far right as this branch, or further, belong to it."""
        after = bisect_right(self.content, branch.last)
        stop = self.content[after] if after < len(self.content) else None
        last_mine = 0
        for number, each in enumerate(self.between, start=1):
            if stop is not None and each.line >= stop:
                break
            if each.text and each.column < max(branch.column, 1):
                break
            last_mine = number if each.text else last_mine
        for _ in range(last_mine):
            self._alone(self.between.popleft().text, indent)


def branches(tree: Tree) -> Sequence[Branch]:
    if isinstance(tree, Leaf):
        return ()
    values = [child.value if isinstance(child, Pair) else child for child in tree.children]
    return [tree, *(branch for value in values for branch in branches(value))]


def _inline(tree: Tree) -> str | None:
    """On one line; None where a scalar in it takes several."""
    if isinstance(tree, Leaf):
        return tree.lines[0] if len(tree.lines) == 1 else None
    parts = [_inline_child(child) for child in tree.children]
    if None in parts:
        return None
    inside = ", ".join(part for part in parts if part is not None)
    return f"{{{inside}}}" if tree.is_mapping else f"[{inside}]"


def _inline_child(child: Pair | Tree) -> str | None:
    if not isinstance(child, Pair):
        return _inline(child)
    value = _inline(child.value)
    return None if value is None else f"{child.key.lines[0]}: {value}".rstrip()
