"""What a system must satisfy besides its shapes: accesses in range, nothing from the future, no cycle, one loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from derive.language.bounds import Bounds, bounded, extremes, surely_negative
from derive.language.errors import CyclicStep, FutureUse, LossNotScalar, MissingLoss
from derive.language.expression import Access, Expression, Maximum, OrderedProduct, Sum, children, walk
from derive.language.printer import expression_source
from derive.language.shapes import describe
from derive.language.system import Equation, Program, System


def check(system: System) -> System:
    """``system`` if it is sound, with guards where reads beyond an axis count as zero; else a DefinitionError."""
    _check_loss(system)
    check_order(system.program)
    outside = dict(system.conventions).get("outside", "error")
    return replace(system, program=bounded(system.program, outside))


def _check_loss(system: System) -> None:
    declaration = system.program.declaration(system.loss)
    name = system.loss
    if declaration.role != "defined":
        raise MissingLoss(
            f"No equation defines {name}.", declaration.span, f"Add a line such as {name} = (yhat - y)^2 / 2."
        )
    if declaration.superscripts:
        over = declaration.superscripts[0]
        repair = f"Add the whole: {name} = sum over {over.index} = {over.lower}..{over.upper} of {name}^{over.index}"
        raise LossNotScalar(f"There is a {name} for each {over.index}, and no single number.", declaration.span, repair)
    if declaration.shape:
        repair = "Make it a number, for example by <a, a> or sum(a)."
        raise LossNotScalar(f"{name} is {describe(declaration.shape)}, not a number.", declaration.span, repair)


@dataclass(frozen=True)
class _Use:
    """One equation's use of a defined array: when, compared with its own step."""

    user: Equation
    access: Access
    steps: tuple[int, ...]
    """For each superscript that both have, -1: an earlier step, 0: the same one, 1: a later one, or any."""

    @property
    def when(self) -> int:
        """The first superscript that differs decides; 0 where none does, or for an array without steps."""
        return next((step for step in self.steps if step), 0)


def _uses(equation: Equation, defined: dict[str, Equation]) -> Iterator[_Use]:
    def visit(node: Expression, bounds: Bounds) -> Iterator[_Use]:
        match node:
            case Access(name=name) if name in defined:
                yield _Use(equation, node, tuple(_steps(equation, node, bounds)))
            case Sum(index=bound, lower=lower, upper=upper):
                bounds = {**bounds, bound: (lower, upper)}
            case Maximum(ranges=ranges):
                bounds = {**bounds, **{item.index: (item.lower, item.upper) for item in ranges}}
            case OrderedProduct(index=bound, first=first, last=last, descending=descending):
                bounds = {**bounds, bound: (last, first) if descending else (first, last)}
            case _:
                pass
        for child in children(node):
            yield from visit(child, bounds)

    yield from visit(equation.value, {})


def _steps(equation: Equation, access: Access, bounds: Bounds) -> Iterator[int]:
    """How the step of ``access`` compares with that of ``equation``, superscript by superscript."""
    for own, other in zip(equation.target.superscripts, access.superscripts, strict=False):
        ends = extremes(other - own, bounds)
        yield 1 if ends is None or (ends[1] != 0 and not surely_negative(ends[1])) else 0 if ends[1] == 0 else -1


def check_order(program: Program) -> None:
    """Refuse a program that no order of computing its values fits: a cycle, or a use of the future."""
    defined = {equation.target.name: equation for equation in program.equations}
    uses = {name: list(_uses(equation, defined)) for name, equation in defined.items()}
    graph = {name: [use.access.name for use in entries] for name, entries in uses.items()}
    first_values = [(start, node) for start in program.starts if start.value for node in walk(start.value)]
    first_uses = [(start, node) for start, node in first_values if isinstance(node, Access) and node.name in defined]
    for start, node in first_uses:
        graph[start.access.name].append(node.name)
    component = _components(graph)
    for start, node in first_uses:
        if component[start.access.name] == component[node.name]:
            message = f"{start.key} needs {expression_source(node)}, which is computed from {start.key}."
            raise CyclicStep(message, node.span, "Start from given or learned values.")
    _check_future(uses, 0)
    _check_cycles({name: [use for use in entries if use.when == 0] for name, entries in uses.items()}, program)


def _check_future(uses: dict[str, list[_Use]], level: int) -> None:
    """Refuse a use of a later step among arrays that need one another, superscript by superscript.

    What is read from an earlier step of one superscript binds nothing at the next one: all of one step may be made
    before anything else of that step.
    """
    component = _components({name: [use.access.name for use in entries] for name, entries in uses.items()})
    inside = {
        name: [use for use in entries if component[name] == component[use.access.name] and level < len(use.steps)]
        for name, entries in uses.items()
    }
    for use in (use for entries in inside.values() for use in entries if use.steps[level] > 0):
        target, later = expression_source(use.user.target), expression_source(use.access)
        raise FutureUse(
            f"{target} uses {later}, which is computed only afterwards, from {target} itself.",
            use.access.span,
            f"Use a step that is known already, such as {_earlier(use)}.",
        )
    if any(inside.values()):
        same = {name: [use for use in entries if use.steps[level] == 0] for name, entries in inside.items()}
        _check_future(same, level + 1)


def _earlier(use: _Use) -> str:
    first = use.user.target.superscripts[0]
    return expression_source(Access(use.access.name, (first - 1, *use.access.superscripts[1:])), None)


def _check_cycles(same_step: dict[str, list[_Use]], program: Program) -> None:
    done: set[str] = set()
    for root, first_uses in same_step.items():
        path = [root]
        stack = [(root, iter(first_uses))]
        while stack:
            name, pending = stack[-1]
            use = next((entry for entry in pending if entry.access.name not in done), None)
            if use is None:
                done.add(name)
                stack.pop()
                path.pop()
            elif use.access.name in path:
                raise _cycle(use, path, program)
            else:
                path.append(use.access.name)
                stack.append((use.access.name, iter(same_step[use.access.name])))


def _cycle(use: _Use, path: list[str], program: Program) -> CyclicStep:
    loop = [*path[path.index(use.access.name) :], use.access.name]
    targets = {equation.target.name: expression_source(equation.target, program) for equation in program.equations}
    shown = " → ".join(targets[name] for name in loop)
    step = " within one step" if use.user.target.superscripts else ""
    repair = "One of them must use an earlier step." if step else "One of them must not use the other."
    return CyclicStep(f"Each of these needs the next{step}: {shown}.", use.access.span, repair)


def _components(graph: dict[str, list[str]]) -> dict[str, int]:
    """For each node the number of its strongly connected component (Tarjan's algorithm, without recursion)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    component: dict[str, int] = {}
    open_nodes: list[str] = []
    for root, neighbours in graph.items():
        if root in order:
            continue
        order[root] = low[root] = len(order)
        open_nodes.append(root)
        stack = [(root, iter(neighbours))]
        while stack:
            node, pending = stack[-1]
            child = next(pending, None)
            if child is None:
                stack.pop()
                if stack:
                    low[stack[-1][0]] = min(low[stack[-1][0]], low[node])
                if low[node] == order[node]:
                    while node not in component:
                        component[open_nodes.pop()] = order[node]
            elif child not in order:
                order[child] = low[child] = len(order)
                open_nodes.append(child)
                stack.append((child, iter(graph[child])))
            elif child not in component:
                low[node] = min(low[node], order[child])
    return component
