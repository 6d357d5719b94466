"""Choosing steps by an expression such as `weather == 'rain' and num_pedestrians >= 2`.

The expression has Python's syntax and is never executed: it is parsed, every node is checked against a short list, and
what is left is computed with numpy, over all steps of a scene at once. Names are the fields of `filter_fields`. Fields
of boxes stand inside `any(...)`, `all(...)` or `count(...)`, which give one value per step:

    split == 'train' and count(category == 'car' and distance_m < 30) >= 2
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool

from scenegen.dataset.filter_fields import FIELDS, Field, SceneFacts
from scenegen.errors import ConfigError

MAX_LENGTH = 2000
TEXT, NUMBER, FLAG = "text", "number", "flag"

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
}
_OF_BOXES = ("any", "all", "count")


@dataclass(frozen=True)
class StepFilter:
    """A checked expression."""

    text: str

    def steps(self, facts: SceneFacts) -> Bool[np.ndarray, " T"]:
        """Mark the steps of a scene that the expression holds for.

        Raises:
            DatasetError: a field has to be read from the scene, and that is damaged.
        """
        if not self.text:
            return np.ones(facts.num_steps, bool)
        with np.errstate(divide="ignore", invalid="ignore"):
            holds = _Evaluation(facts).value(_parse(self.text))
        return np.broadcast_to(np.asarray(holds, bool), (facts.num_steps,)).copy()


def parse_filter(text: str) -> StepFilter:
    """Check an expression. The empty one holds everywhere.

    Raises:
        ConfigError: a syntax error, an unknown field or value, something that is not allowed, or a mix of text and
            numbers. Names the fields there are.
    """
    if text:
        kind = _kind_of(_parse(text), in_boxes=False)
        if kind != FLAG:
            raise _refusal("a condition, which is true or false", f"a {kind} in {text!r}")
    return StepFilter(text)


def _parse(text: str) -> ast.expr:
    if len(text) > MAX_LENGTH:
        raise _refusal(f"at most {MAX_LENGTH} characters", f"{len(text)}")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _refusal("an expression such as weather == 'rain'", f"{text!r} ({error})") from error


def _kind_of(node: ast.expr, *, in_boxes: bool) -> str:
    """Return the kind of a node's value after checking everything below it."""
    check = _CHECKS.get(type(node))
    if check is None:
        raise _refusal("names, values, comparisons, and, or, not, + - * /", f"{ast.unparse(node)!r}")
    return check(node, in_boxes)


def _check_bool(node: ast.BoolOp, in_boxes: bool) -> str:
    for value in node.values:
        _expect(FLAG, value, in_boxes=in_boxes)
    return FLAG


def _check_unary(node: ast.UnaryOp, in_boxes: bool) -> str:
    if isinstance(node.op, ast.Not):
        return _expect(FLAG, node.operand, in_boxes=in_boxes)
    if isinstance(node.op, ast.USub):
        return _expect(NUMBER, node.operand, in_boxes=in_boxes)
    raise _refusal("not or -", f"{ast.unparse(node)!r}")


def _check_arithmetic(node: ast.BinOp, in_boxes: bool) -> str:
    if type(node.op) not in _ARITHMETIC:
        raise _refusal("+ - * /", f"{ast.unparse(node)!r}")
    _expect(NUMBER, node.left, in_boxes=in_boxes)
    return _expect(NUMBER, node.right, in_boxes=in_boxes)


def _check_compare(node: ast.Compare, in_boxes: bool) -> str:
    left = node.left
    kind = _kind_of(left, in_boxes=in_boxes)
    for operator, right in zip(node.ops, node.comparators, strict=True):
        if isinstance(operator, ast.In | ast.NotIn):
            if not isinstance(right, ast.Tuple | ast.List):
                raise _refusal("in or not in before a list such as ('rain', 'fog')", f"{ast.unparse(right)!r}")
            candidates = list(right.elts)
        elif type(operator) in _COMPARISONS:
            candidates = [right]
        else:
            raise _refusal("== != < <= > >= in not in", f"{ast.unparse(node)!r}")
        for candidate in candidates:
            _expect(kind, candidate, in_boxes=in_boxes)
            _check_word(left, candidate)
            _check_word(candidate, left)
        left = right
    return FLAG


def _check_name(node: ast.Name, in_boxes: bool) -> str:
    field = FIELDS.get(node.id)
    if field is None:
        close = difflib.get_close_matches(node.id, FIELDS, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise _refusal("a field", f"{node.id!r}{hint}")
    if field.level == "box" and not in_boxes:
        raise _refusal(f"{node.id}, a field of boxes, inside any(...), all(...) or count(...)", "it outside")
    return field.kind


def _check_constant(node: ast.Constant, in_boxes: bool) -> str:
    if isinstance(node.value, bool):
        return FLAG
    if isinstance(node.value, int | float):
        return NUMBER
    if isinstance(node.value, str):
        return TEXT
    raise _refusal("text, a number, True or False", f"{ast.unparse(node)!r}")


def _check_call(node: ast.Call, in_boxes: bool) -> str:
    name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
    if name not in _OF_BOXES:
        raise _refusal("any(...), all(...) or count(...)", f"a call of {name!r}")
    if in_boxes or node.keywords or len(node.args) != 1:
        raise _refusal(f"one condition on boxes in {name}(...)", f"{ast.unparse(node)!r}")
    _expect(FLAG, node.args[0], in_boxes=True)
    return NUMBER if name == "count" else FLAG


_CHECKS: dict[type[ast.expr], Callable[[Any, bool], str]] = {
    ast.BoolOp: _check_bool,
    ast.UnaryOp: _check_unary,
    ast.BinOp: _check_arithmetic,
    ast.Compare: _check_compare,
    ast.Name: _check_name,
    ast.Constant: _check_constant,
    ast.Call: _check_call,
}


def _expect(kind: str, node: ast.expr, *, in_boxes: bool) -> str:
    found = _kind_of(node, in_boxes=in_boxes)
    if found != kind:
        raise _refusal(f"a {kind} at {ast.unparse(node)!r}", f"a {found}")
    return kind


def _check_word(name: ast.expr, word: ast.expr) -> None:
    """Refuse to compare a field with a word that it never holds."""
    if not (isinstance(name, ast.Name) and isinstance(word, ast.Constant)):
        return
    field: Field = FIELDS[name.id]
    if field.values and word.value not in field.values:
        raise _refusal(f"{name.id} compared with one of {', '.join(field.values)}", f"{word.value!r}")


def _refusal(expected: str, found: str) -> ConfigError:
    levels = ("entry", "scene", "step", "box")
    names = {level: ", ".join(name for name, field in FIELDS.items() if field.level == level) for level in levels}
    fix = f"known fields: {names['entry']}, {names['scene']}, {names['step']}; inside any, all, count: {names['box']}"
    return ConfigError(expected, found=found, where="filter", fix=fix)


class _Evaluation:
    """Values of checked nodes for one scene: scalars of the scene, arrays over steps, or arrays over boxes."""

    def __init__(self, facts: SceneFacts, *, in_boxes: bool = False) -> None:
        self._facts = facts
        self._in_boxes = in_boxes

    def value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.BoolOp):
            return self._bool(node)
        if isinstance(node, ast.UnaryOp):
            operand = self.value(node.operand)
            return np.logical_not(operand) if isinstance(node.op, ast.Not) else np.negative(operand)
        if isinstance(node, ast.BinOp):
            return _ARITHMETIC[type(node.op)](self.value(node.left), self.value(node.right))
        if isinstance(node, ast.Compare):
            return self._compare(node)
        if isinstance(node, ast.Name):
            return self._facts.read(node.id, per_box=self._in_boxes)
        if isinstance(node, ast.Call):
            return self._of_boxes(node)
        constant = node.value  # type: ignore[attr-defined]
        is_number = isinstance(constant, int | float) and not isinstance(constant, bool)
        return np.float64(constant) if is_number else constant

    def _bool(self, node: ast.BoolOp) -> Any:
        """Join conditions; the later ones are not read where the earlier ones decide."""
        is_and = isinstance(node.op, ast.And)
        joined = self.value(node.values[0])
        for value in node.values[1:]:
            if np.all(np.equal(joined, not is_and)):
                break
            joined = (np.logical_and if is_and else np.logical_or)(joined, self.value(value))
        return joined

    def _compare(self, node: ast.Compare) -> Any:
        left, holds = self.value(node.left), np.True_
        for operator, comparator in zip(node.ops, node.comparators, strict=True):
            if isinstance(operator, ast.In | ast.NotIn):
                elements = comparator.elts  # type: ignore[attr-defined]
                is_one: Any = np.False_
                for element in elements:
                    is_one = np.logical_or(is_one, np.equal(left, self.value(element)))
                holds = np.logical_and(holds, is_one if isinstance(operator, ast.In) else np.logical_not(is_one))
                continue
            right = self.value(comparator)
            holds = np.logical_and(holds, _COMPARISONS[type(operator)](left, right))
            left = right
        return holds

    def _of_boxes(self, node: ast.Call) -> Any:
        holds = _Evaluation(self._facts, in_boxes=True).value(node.args[0])
        step_of_box = self._facts.step_of_box
        holds = np.broadcast_to(np.asarray(holds, bool), step_of_box.shape)
        count = np.bincount(step_of_box[holds], minlength=self._facts.num_steps)
        name = node.func.id  # type: ignore[attr-defined]
        if name == "count":
            return count
        return count > 0 if name == "any" else count == self._facts.num_boxes
