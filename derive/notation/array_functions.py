"""Functions of whole arrays as authors write them: X⁻¹, log |det X|, ‖x‖, one row a function."""

from __future__ import annotations

from collections.abc import Callable

from derive.handout.formula import (
    Fence,
    Formula,
    Fraction,
    Function,
    Identifier,
    Numeral,
    Operator,
    Row,
    Scripts,
    paren,
    row,
    sup,
)  # fmt: skip
from derive.language.expression import Call, Expression, Integer, Product, Transpose
from derive.notation.integers import integer_formula
from derive.notation.levels import Level, Written, is_tall, parenthesised, raised

Part = Callable[[Expression, Level], Formula]
"""part(expression, level): the expression where that level is asked for."""

MINUS_ONE = Row((Operator("-"), Numeral("1")))
MINUS_TRANSPOSED = Row((Operator("-"), Operator("top")))


def _inverse(call: Call, part: Part) -> Written:
    return Written(raised(part(call.arguments[0], Level.ATOM), MINUS_ONE), Level.FACTOR)


def _solution(call: Call, part: Part) -> Written:
    matrix, right = call.arguments
    return Written(part(Product((Call("inv", (matrix,)), right)), Level.PRODUCT), Level.PRODUCT)


def _determinant(call: Call, part: Part) -> Formula:
    return row(Function("det"), parenthesised(part(call.arguments[0], Level.SUM)))


def _logarithm(call: Call, part: Part) -> Written:
    inside = _determinant(call, part)
    return Written(row(Function("log"), Fence("|", inside, "|", is_tall(inside))), Level.FACTOR)


def _norm(call: Call, part: Part) -> Formula:
    inside = part(call.arguments[0], Level.SUM)
    return Fence("||", inside, "||", is_tall(inside))


def _direction(call: Call, part: Part) -> Written:
    return Written(Fraction(part(call.arguments[0], Level.SUM), _norm(call, part)), Level.FACTOR)


def _change(call: Call, part: Part) -> Written:
    matrix, direction = (part(argument, Level.SUM) for argument in call.arguments)
    return Written(row(Function("Dexp"), paren(matrix), Fence("[", direction, "]")), Level.FACTOR)


ARRAY_FUNCTION_NOTATIONS: dict[str, Callable[[Call, Part], Written]] = {
    "inv": _inverse,
    "solve": _solution,
    "det": lambda call, part: Written(_determinant(call, part), Level.FACTOR),
    "logdet": _logarithm,
    "expm": lambda call, part: Written(sup(Identifier("e"), part(call.arguments[0], Level.SUM)), Level.FACTOR),
    "dexpm": _change,
    "norm": lambda call, part: Written(_norm(call, part)),
    "unit": _direction,
    "permutation": lambda call, part: Written(Scripts(Identifier("P"), part(call.arguments[0], Level.ATOM), None)),
}
"""How a function of whole arrays is written where its name and brackets are not usual."""


def transposed_inverse(node: Transpose, part: Part) -> Written | None:
    """X^{-⊤} where the node is that."""
    match node.operand:
        case Call(function="inv", arguments=(matrix,)):
            return Written(raised(part(matrix, Level.ATOM), MINUS_TRANSPOSED), Level.FACTOR)
        case _:
            return None


def places_formula(places: tuple[Integer | tuple[Integer, Integer], ...]) -> Formula:
    """i, 2…5 for the positions of a part."""
    pieces: list[Formula] = []
    for place in places:
        pieces += [Operator(",")] if pieces else []
        if isinstance(place, tuple):
            pieces += [integer_formula(place[0]), Operator("dots"), integer_formula(place[1])]
        else:
            pieces.append(integer_formula(place))
    return pieces[0] if len(pieces) == 1 else Row(tuple(pieces))
