"""The part of Lua a simulated 2600 understands (its TSP is Lua 5.0): no loops, no table constructors, no methods.

A text that is outside this is a syntax error, as the instrument reports one.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping

from sim_hardware.keithley2600_lua import (
    Block,
    Builtin,
    Evaluate,
    Expression,
    Function,
    LuaRuntimeError,
    Scope,
    Statement,
    Table,
    Values,
    Wait,
    is_true,
    number,
    run,
    type_name,
)
from sim_hardware.keithley2600_words import END, LuaSyntaxError, Source, tokens


def compiled(text: str) -> Block:
    """LuaSyntaxError when the text is not wholly understood."""
    source = Source(tokens(text))
    block = _block(source)
    if source.kind != END:
        raise LuaSyntaxError(f"unexpected symbol near `{source.text}'")
    return block


def _block(source: Source) -> Block:
    statements: list[Statement] = []
    while source.kind not in {END, "end", "else", "elseif"}:
        statements.append(_statement(source))
        source.took(";")
    return tuple(statements)


def _statement(source: Source) -> Statement:
    if source.took("if"):
        return _if(source)
    if source.took("function"):
        return _function(source)
    first = _suffixed(source)
    if first.call is not None:
        return _call_statement(first.call)
    return _assignment(source, first)


def _call_statement(call: Callable[[Scope], Values | Wait]) -> Statement:
    def do(scope: Scope) -> Wait | None:
        done = call(scope)
        return None if isinstance(done, tuple) else done

    return do


def _assignment(source: Source, first: Expression) -> Statement:
    targets = [first]
    while source.took(","):
        targets.append(_suffixed(source))
    source.take("=")
    values = _expressions(source)
    assigns = [target.assign for target in targets if target.assign is not None]
    if len(assigns) < len(targets):
        raise LuaSyntaxError("unexpected symbol near `='")

    def do(scope: Scope) -> None:
        for assign, value in zip(assigns, (*values(scope), *(None for _ in assigns)), strict=False):
            assign(scope, value)

    return do


def _if(source: Source) -> Statement:
    condition = _expression(source)
    source.take("then")
    then = _block(source)
    if source.took("elseif"):
        other: Block = (_if(source),)
    else:
        other = _block(source) if source.took("else") else ()
        source.take("end")
    return lambda scope: run(then if is_true(condition.one(scope)) else other, scope)


def _function(source: Source) -> Statement:
    name, names = source.take("name"), list[str]()
    source.take("(")
    while not source.took(")"):
        names.append(source.take("name"))
        if source.kind != ")":
            source.take(",")
    function = Function(tuple(names), _block(source))
    source.take("end")
    return lambda scope: scope.write(name, function)


def _expressions(source: Source) -> Evaluate:
    """Only the last of a list gives all its values."""
    *firsts, last = _listed(source)
    if not firsts:
        return last.values
    return lambda scope: (*(first.one(scope) for first in firsts), *last.values(scope))


def _listed(source: Source) -> list[Expression]:
    listed = [_expression(source)]
    while source.took(","):
        listed.append(_expression(source))
    return listed


def _expression(source: Source) -> Expression:
    left = _conjunction(source)
    while source.took("or"):
        left = _either(left, _conjunction(source))
    return left


def _conjunction(source: Source) -> Expression:
    left = _binary(source, 0)
    while source.took("and"):
        left = _both(left, _binary(source, 0))
    return left


def _either(left: Expression, right: Expression) -> Expression:
    return Expression(lambda scope: (value,) if is_true(value := left.one(scope)) else (right.one(scope),))


def _both(left: Expression, right: Expression) -> Expression:
    return Expression(lambda scope: (right.one(scope),) if is_true(value := left.one(scope)) else (value,))


Operate = Callable[[object, object], object]


def _on_numbers(operate: Callable[[float, float], object]) -> Operate:
    return lambda left, right: operate(number(left), number(right))


def _divided(left: float, right: float) -> float:
    return left / right if right else float("nan")


LEVELS: tuple[Mapping[str, Operate], ...] = (
    {
        "==": operator.eq,
        "~=": operator.ne,
        **{
            sign: _on_numbers(compare)
            for sign, compare in (("<", operator.lt), (">", operator.gt), ("<=", operator.le), (">=", operator.ge))
        },
    },
    {"+": _on_numbers(operator.add), "-": _on_numbers(operator.sub)},
    {"*": _on_numbers(operator.mul), "/": _on_numbers(_divided)},
)


def _binary(source: Source, level: int) -> Expression:
    if level == len(LEVELS):
        return _unary(source)
    left = _binary(source, level + 1)
    while (operate := LEVELS[level].get(source.kind)) is not None:
        source.take(source.kind)
        left = _operation(operate, left, _binary(source, level + 1))
    return left


def _operation(operate: Operate, left: Expression, right: Expression) -> Expression:
    return Expression(lambda scope: (operate(left.one(scope), right.one(scope)),))


def _unary(source: Source) -> Expression:
    if source.took("-"):
        inner = _unary(source)
        return Expression(lambda scope: (-number(inner.one(scope)),))
    if source.took("not"):
        denied = _unary(source)
        return Expression(lambda scope: (not is_true(denied.one(scope)),))
    return _simple(source)


CONSTANTS: Mapping[str, object] = {"true": True, "false": False, "nil": None}


def _simple(source: Source) -> Expression:
    kind = source.kind
    if kind not in {"number", "string", *CONSTANTS}:
        return _suffixed(source)
    text = source.take(kind)
    constant = (CONSTANTS[kind] if kind in CONSTANTS else float(text) if kind == "number" else text[1:-1],)
    return Expression(lambda _: constant)


def _suffixed(source: Source) -> Expression:
    """A name or something in parentheses, with fields and calls after it."""
    if source.took("("):
        inner = _expression(source)
        source.take(")")
        found = Expression(lambda scope: (inner.one(scope),))
    else:
        found = _named(source.take("name"))
    while source.kind in {".", "("}:
        found = _field(found, source.take("name")) if source.took(".") else _call(found, _arguments(source))
    return found


def _named(name: str) -> Expression:
    return Expression(lambda scope: (scope.read(name),), lambda scope, value: scope.write(name, value))


def _field(of: Expression, name: str) -> Expression:
    def table(scope: Scope) -> Table:
        found = of.one(scope)
        if not isinstance(found, Table):
            raise LuaRuntimeError(f"attempt to index field `{name}' (a {type_name(found)} value)")
        return found

    return Expression(lambda scope: (table(scope).read(name),), lambda scope, value: table(scope).write(name, value))


def _arguments(source: Source) -> Evaluate:
    source.take("(")
    if source.took(")"):
        return lambda _: ()
    values = _expressions(source)
    source.take(")")
    return values


def _call(of: Expression, arguments: Evaluate) -> Expression:
    def call(scope: Scope) -> Values | Wait:
        function = of.one(scope)
        if isinstance(function, Function):
            return function.run(scope, arguments(scope))
        if not isinstance(function, Builtin):
            raise LuaRuntimeError(f"attempt to call a {type_name(function)} value")
        return function.run(*arguments(scope))

    def value(scope: Scope) -> Values:
        done = call(scope)
        if isinstance(done, tuple):
            return done
        if any(True for _ in done):
            raise LuaRuntimeError("a wait within an expression is not simulated")
        return ()

    return Expression(value, None, call)
