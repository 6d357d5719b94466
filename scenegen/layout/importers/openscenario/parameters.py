"""Parameters of OpenSCENARIO files: `$name`, and arithmetic as `${$speed / 3.6}`. Nothing else is evaluated."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from scenegen.layout.importers.xml_file import XmlElement

_NAME = re.compile(r"\$([A-Za-z_][A-Za-z0-9_.]*)")
LONGEST_EXPRESSION = 500
_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Pow: math.pow,
}
_FUNCTIONS: dict[str, Callable[..., float]] = {
    "abs": abs,
    "ceil": math.ceil,
    "floor": math.floor,
    "max": max,
    "min": min,
    "pow": math.pow,
    "round": round,
    "sqrt": math.sqrt,
}


def resolve(element: XmlElement, scope: Mapping[str, str], *, assigned: Mapping[str, str] | None = None) -> XmlElement:
    """Copy an element and all below it with every parameter replaced by its value.

    Args:
        element: declarations in it and below count for everything under their parent.
        scope: values from outside.
        assigned: values that replace the declared ones (of a catalog reference).

    Raises:
        LayoutError: a parameter that is not declared.
    """
    own = dict(scope)
    declarations = element.first("ParameterDeclarations")
    for declared in declarations.all("ParameterDeclaration") if declarations else []:
        own[declared.word("name")] = _fill(declared.word("value"), own, declared)
    own.update(assigned or {})
    copied = XmlElement(
        tag=element.tag,
        attributes={
            name: text.lstrip("$") if name == "parameterRef" else _fill(text, own, element)
            for name, text in element.attributes.items()
        },
        line=element.line,
        file=element.file,
        parent=element.parent,
        text=element.text,
    )
    copied.children = [resolve(child, own) for child in element.children if child.tag != "ParameterDeclarations"]
    for child in copied.children:
        child.parent = copied
    return copied


def declared_in(root: XmlElement) -> dict[str, str]:
    """Return the parameters that a file declares for all of it."""
    scope: dict[str, str] = {}
    declarations = root.first("ParameterDeclarations")
    for declared in declarations.all("ParameterDeclaration") if declarations else []:
        scope[declared.word("name")] = _fill(declared.word("value"), scope, declared)
    return scope


def _fill(text: str, scope: Mapping[str, str], element: XmlElement) -> str:
    if "$" not in text:
        return text
    whole = _NAME.fullmatch(text)
    if whole is not None:
        if whole[1] not in scope:
            element.fail("a declared parameter", repr(text))
        return scope[whole[1]]
    filled = _NAME.sub(lambda match: scope.get(match[1], match[0]), text)
    if filled.startswith("${") and filled.endswith("}"):
        value = evaluate_expression(filled[2:-1])
        # Names of elements are sometimes put together from words; whoever needs a number will say where it lacks.
        return filled if value is None else repr(value)
    return filled


def evaluate_expression(text: str) -> float | None:
    """Evaluate arithmetic on numbers, or return None where it is something else.

    >>> evaluate_expression("(1 + 2) * -sqrt(4) / 2"), evaluate_expression("__import__('os')")
    (-3.0, None)
    """
    if len(text) > LONGEST_EXPRESSION:
        return None
    try:
        return float(_evaluate(ast.parse(text.strip(), mode="eval").body))
    except (SyntaxError, ValueError, TypeError, ArithmeticError, RecursionError, MemoryError, KeyError):
        return None


def _evaluate(node: Any) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.UAdd, ast.USub)):
        value = _evaluate(node.operand)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp):
        return float(_BINARY[type(node.op)](_evaluate(node.left), _evaluate(node.right)))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        return float(_FUNCTIONS[node.func.id](*map(_evaluate, node.args)))
    raise ValueError("not arithmetic")
