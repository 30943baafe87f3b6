"""Every small change of one module: an operator, a number, a returned value, a statement that is left out."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

SWAPPED: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
}
OTHER_NAME = {"min": "max", "max": "min", "all": "any", "any": "all"}
SAID_ONLY = ("log", "sys.stderr")
"""Statements that only tell people's log are not what a test should hold on to."""


@dataclass(frozen=True, slots=True)
class Place:
    """``function``: the outermost one by its qualified name, or empty; ``first`` to ``last``: a statement's own lines."""

    function: str = ""
    first: int = 1
    last: int = 1


@dataclass(frozen=True, slots=True)
class Change:
    """``line`` is the changed line's text, which stays the same when others move it."""

    number: int
    line: str
    what: str
    place: Place
    source: str

    @property
    def key(self) -> tuple[str, str]:
        return self.line, self.what


@dataclass(frozen=True, slots=True)
class _Site:
    """``put`` changes the tree, ``back`` undoes that."""

    node: ast.AST
    what: str
    put: Callable[[], None]
    back: Callable[[], None]


def changes(source: str) -> Iterator[Change]:
    """Each as the whole module's new text."""
    tree, lines = ast.parse(source), source.splitlines()
    places = dict(_places(tree, Place(), ""))
    for site in list(_sites(tree)):
        number = getattr(site.node, "lineno", 1)
        site.put()
        text = ast.unparse(tree)
        site.back()
        yield Change(number, lines[number - 1].strip(), site.what, places.get(site.node, Place()), text)


def _places(node: ast.AST, place: Place, inside: str) -> Iterator[tuple[ast.AST, Place]]:
    """Only a function's body is in the function: its defaults and decorators are looked at when the module is read."""
    if isinstance(node, ast.stmt):
        place = replace(place, first=node.lineno, last=_last_own(node))
    yield node, place
    below, name = place, inside
    if named := isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        name = f"{inside}{node.name}"
        below = place if place.function or isinstance(node, ast.ClassDef) else replace(place, function=name)
    for field, value in ast.iter_fields(node):
        inner = (below, f"{name}.") if named and field == "body" else (place, inside)
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _places(child, *inner)


def _last_own(node: ast.stmt) -> int:
    """A compound statement's own lines end where those in it begin."""
    body = getattr(node, "body", None) or getattr(node, "cases", None)
    first = body[0] if body else None
    if isinstance(first, ast.match_case):
        first = first.pattern
    return (node.end_lineno or node.lineno) if first is None else max(node.lineno, first.lineno - 1)


def _sites(tree: ast.AST) -> Iterator[_Site]:
    for parent in _inner(tree):
        for field, value in ast.iter_fields(parent):
            if isinstance(value, list):
                for index, node in enumerate(value):
                    if isinstance(node, ast.AST):
                        yield from _at(parent, field, index, node)
            elif isinstance(value, ast.AST):
                yield from _at(parent, field, None, value)


def _inner(node: ast.AST) -> Iterator[ast.AST]:
    """Not what is said to people, not what only a type checker reads, not how a class is made."""
    yield node
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns", "decorator_list", "type_params"} or isinstance(node, ast.JoinedStr):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_named_constant(child):
                yield from _inner(child)


def _is_named_constant(node: ast.AST) -> bool:
    return isinstance(node, ast.keyword) and node.arg in {"strict", "slots", "frozen", "encoding", "name", "indent"}


def _at(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> Iterator[_Site]:
    for new, what in _others(node, field):
        place = (parent, field, index)
        lined = node if hasattr(node, "lineno") else parent
        yield _Site(lined, what, partial(_put, *place, new), partial(_put, *place, node))


def _put(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def _others(node: ast.AST, field: str) -> Iterator[tuple[ast.AST, str]]:
    for other in SWAPPED.get(type(node), ()):
        yield other(), f"{type(node).__name__} -> {other.__name__}"
    if isinstance(node, ast.Constant):
        yield from _other_constants(node)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node.operand, f"{'not' if isinstance(node.op, ast.Not) else '-'} dropped from {ast.unparse(node)}"
    elif isinstance(node, ast.Name) and node.id in OTHER_NAME:
        yield ast.Name(OTHER_NAME[node.id], ast.Load()), f"{node.id} -> {OTHER_NAME[node.id]}"
    if field == "test" and isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Await):
        yield ast.UnaryOp(ast.Not(), copy.deepcopy(node)), f"not {ast.unparse(node)}"
    if isinstance(node, ast.stmt):
        yield from _other_statements(node)


def _other_constants(node: ast.Constant) -> Iterator[tuple[ast.AST, str]]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value), f"{value} -> {not value}"
    elif isinstance(value, int):
        yield ast.Constant(value + 1), f"{value} -> {value + 1}"
    elif isinstance(value, float):
        other = 1.25 * value if value else 1.0
        yield ast.Constant(other), f"{value} -> {other}"


def _other_statements(node: ast.stmt) -> Iterator[tuple[ast.AST, str]]:
    gone = ast.copy_location(ast.Pass(), node)
    match node:
        case ast.Return(value=ast.Constant()):
            return  # another constant is tried in its place; at a function's end None comes anyway
        case ast.Return(value=ast.expr()):
            yield ast.copy_location(ast.Return(ast.Constant(None)), node), "returns None"
        case ast.Return() | ast.Raise() | ast.Continue() | ast.Break():
            yield gone, f"{type(node).__name__} left out"
        case ast.Expr(value=ast.Call() | ast.Await()) if not ast.unparse(node).startswith(SAID_ONLY):
            yield gone, "statement left out"
        case ast.AugAssign() | ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield gone, "statement left out"
        case _:
            return
