"""What lets LLVM turn loops along rows of entries into loops over vectors: whole subscripts, and sums in any order.

In Python, and so in numba, a negative subscript counts from the end. The test for it, at every entry of every array,
hides that x[i, j + 1] follows x[i, j], so that no loop over j becomes a loop over vectors. The plans that emission
prints never count from the end; their arrays are Counted, which do without.

A sum in the order in which it is written waits for each addition before the next; plus leaves the order to LLVM. And no
two arguments of a kernel share memory, except those that are only read: what is stored through one does not change what
is loaded through another.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from numba.core import types
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.datamodel import models
from numba.core.datamodel.registry import register_default
from numba.core.typing.templates import Signature
from numba.extending import lower_builtin, type_callable
from numba.np import arrayobj


class Counted(types.Array):
    """A contiguous array of ``rank`` axes with subscripts from 0 on; views of it are ordinary arrays."""

    def __init__(self, dtype: Any, rank: int) -> None:
        super().__init__(dtype, rank, "C", name=f"counted({dtype}, {rank})")


register_default(Counted)(models.ArrayModel)


def _unsigned(kind: Any) -> Any:
    """The type of the same subscript, known not to be negative."""
    if isinstance(kind, types.BaseTuple):
        subscripts: Any = kind
        return types.Tuple([_unsigned(one) for one in subscripts])
    return types.uintp if isinstance(kind, types.Integer) else kind


def _counting(implementation: Callable[..., Any]) -> Callable[..., Any]:
    """numba's own ``implementation`` of an entry, told that its subscripts are not negative."""

    def lower(context: Any, builder: Any, signature: Signature, arguments: Any) -> Any:
        array, subscript, *value = signature.args
        told = Signature(signature.return_type, (array, _unsigned(subscript), *value), signature.recvr)
        return implementation(context, builder, told, arguments)

    return lower


lower_builtin(operator.getitem, Counted, types.Integer)(_counting(arrayobj.getitem_arraynd_intp))
lower_builtin(operator.getitem, Counted, types.BaseTuple)(_counting(arrayobj.getitem_array_tuple))
lower_builtin(operator.setitem, Counted, types.Any, types.Any)(_counting(arrayobj.setitem_array))


class Separate(CompilerBase):
    """numba's compiler, told that the arguments of a function share no memory that it writes."""

    def define_pipelines(self) -> list[Any]:
        """numba's usual passes."""
        self.state.flags.noalias = True
        return [DefaultPassBuilder.define_nopython_pipeline(self.state)]


def plus(total: Any, term: Any) -> Any:
    """total + term, where a loop may add its terms in any order, several at a time."""
    return total + term


@type_callable(plus)
def _type_plus(_context: Any) -> Callable[[Any, Any], Any]:
    def typer(total: Any, term: Any) -> Any:
        return total if isinstance(total, types.Float) and total == term else None

    return typer


@lower_builtin(plus, types.Float, types.Float)
def _lower_plus(_context: Any, builder: Any, _signature: Signature, arguments: Any) -> Any:
    total, term = arguments
    return builder.fadd(total, term, flags=["reassoc", "contract"])
