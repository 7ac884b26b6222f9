"""A product of vectors and matrices over summed subscripts, read as a matrix expression.

Every subscript is a node; a vector hangs on one node, a matrix joins two. A part of the network that is a tree is a
chain of matrix products, Hadamard products and inner products; a ring of matrices is a trace. Anything else has no
matrix form.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import sympy as sp

from derive.calculus.factor_order import slopes_first
from derive.language import expression as ast
from derive.language.expression import Expression, Integer

Node = sp.Symbol


class NotAMatrix(Exception):
    """The term has no matrix form; it is written in indices instead."""


@dataclass(frozen=True)
class Edge:
    """The matrices between two nodes, all with rows at ``first`` and columns at ``second``."""

    first: Node
    second: Node
    matrices: tuple[Expression, ...]

    def joins(self, node: Node) -> bool:
        """The edge ends at ``node``."""
        return node in (self.first, self.second)

    def other_end(self, node: Node) -> Node:
        """The end that is not ``node``."""
        return self.second if node == self.first else self.first

    def matrix_from(self, node: Node) -> Expression:
        """The Hadamard product of the matrices, turned so that ``node`` indexes its rows."""
        return entry_by_entry([m if node == self.first else ast.Transpose(m) for m in self.matrices])


@dataclass(frozen=True)
class Network:
    """Vectors by the node they hang on and matrices between nodes; ``free`` nodes are not summed.

    ``is_diagonal`` says that a delta makes the two free nodes equal.
    """

    free: tuple[Node, ...]
    vectors: Mapping[Node, tuple[Expression, ...]]
    edges: tuple[Edge, ...]
    extents: Mapping[Node, Integer]
    is_diagonal: bool = False

    def at(self, node: Node) -> list[Edge]:
        """The edges that end at ``node``."""
        return [edge for edge in self.edges if edge.joins(node)]

    def ones(self, *nodes: Node) -> Expression:
        """The array of ones with these axes."""
        return ast.Filled(1, tuple(self.extents[node] for node in nodes))


def joined(matrices: Sequence[tuple[Node, Node, Expression]]) -> tuple[Edge, ...]:
    """Edges, parallel matrices on one of them: A_ij and B_ji both stand between i and j."""
    found: dict[frozenset[Node], Edge] = {}
    for first, second, matrix in matrices:
        known = found.get(frozenset((first, second)))
        if known is None:
            found[frozenset((first, second))] = Edge(first, second, (matrix,))
        else:
            turned = matrix if first == known.first else ast.Transpose(matrix)
            found[frozenset((first, second))] = Edge(known.first, known.second, (*known.matrices, turned))
    return tuple(found.values())


def factors_of(network: Network) -> list[Expression]:
    """The network as scalars and, last, one array with the free nodes as axes; NotAMatrix where it has no such form."""
    components = _components(network)
    for component in components:
        _require_tree_or_ring(component, network)
    closed = [component for component in components if not component & set(network.free)]
    scalars = [_scalar(component, network) for component in sorted(closed, key=lambda c: _root_order(c, network))]
    match network.free:
        case ():
            return scalars
        case (only,):
            array = _vector(only, (), network)
        case (row, column):
            array = _matrix(row, column, network)
        case _:
            raise NotAMatrix
    return [*scalars, array or network.ones(*network.free)]


# Parts that hang together ---------------------------------------------------------------------------------------------


def _components(network: Network) -> list[frozenset[Node]]:
    """The sets of nodes that hang together, in the order in which the network names them."""
    found: list[frozenset[Node]] = []
    for node in (*network.vectors, *(edge.first for edge in network.edges)):
        if not any(node in component for component in found):
            found.append(_reached(node, network))
    return found


def _reached(start: Node, network: Network) -> frozenset[Node]:
    reached, waiting = {start}, [start]
    while waiting:
        node = waiting.pop()
        new = [other for edge in network.at(node) if (other := edge.other_end(node)) not in reached]
        reached.update(new)
        waiting += new
    return frozenset(reached)


def _edges_of(component: frozenset[Node], network: Network) -> list[Edge]:
    return [edge for edge in network.edges if edge.first in component]


def _require_tree_or_ring(component: frozenset[Node], network: Network) -> None:
    """A tree has one edge fewer than nodes; a ring of matrices alone, each node with two neighbours, is a trace."""
    if len(_edges_of(component, network)) == len(component) - 1:
        return
    is_bare = not any(node in network.vectors or node in network.free for node in component)
    if not (is_bare and all(len(network.at(node)) == 2 for node in component)):
        raise NotAMatrix


def _path(start: Node, end: Node, network: Network, before: Node | None = None) -> list[Node]:
    """The nodes from ``start`` to ``end`` in a tree, both included; empty where they do not hang together."""
    if start == end:
        return [end]
    for edge in network.at(start):
        other = edge.other_end(start)
        if other != before and (rest := _path(other, end, network, start)):
            return [start, *rest]
    return []


# As expressions -------------------------------------------------------------------------------------------------------


def entry_by_entry(arrays: Sequence[Expression]) -> Expression:
    """The Hadamard product of one array or several."""
    return arrays[0] if len(arrays) == 1 else ast.Hadamard(tuple(arrays))


def _branches(node: Node, without: Collection[Node], network: Network) -> list[Expression]:
    """What comes to ``node`` along each of its edges, as a vector; not from the neighbours in ``without``."""
    found: list[Expression] = []
    for edge in network.at(node):
        other = edge.other_end(node)
        if other not in without:
            beyond = _vector(other, (node,), network) or network.ones(other)
            found.append(ast.Product((edge.matrix_from(node), beyond)))
    return found


def _vector(node: Node, without: Collection[Node], network: Network) -> Expression | None:
    """Everything that hangs on ``node``, as one vector; None for nothing."""
    parts = sorted((*network.vectors.get(node, ()), *_branches(node, without, network)), key=slopes_first)
    return entry_by_entry(parts) if parts else None


def _matrix(row: Node, column: Node, network: Network) -> Expression | None:
    """Everything that hangs on the two free nodes; None for nothing."""
    path = _path(row, column, network)
    if network.is_diagonal:
        if path:
            raise NotAMatrix
        vectors = [part for node in (row, column) if (part := _vector(node, (), network)) is not None]
        return ast.Diagonal(entry_by_entry(vectors)) if vectors else ast.Identity(network.extents[row])
    if not path:
        left, right = _vector(row, (), network), _vector(column, (), network)
        if left is None and right is None:
            return None
        return ast.Product((left or network.ones(row), ast.Transpose(right or network.ones(column))))
    factors: list[Expression] = []
    for before, node, after in zip([None, *path], path, [*path[1:], None], strict=False):
        neighbours = [other for other in (before, after) if other is not None]
        beside = _vector(node, neighbours, network)
        factors += [] if beside is None else [ast.Diagonal(beside)]
        factors += [_between(node, after, network)] if after is not None else []
    return factors[0] if len(factors) == 1 else ast.Product(tuple(factors))


def _between(node: Node, after: Node, network: Network) -> Expression:
    return next(edge for edge in network.at(node) if edge.joins(after)).matrix_from(node)


def _root(component: frozenset[Node], network: Network) -> Node | None:
    """The node with a vector at which a scalar is best taken apart: one with few matrices; None where there is none."""
    candidates = [node for node in network.vectors if node in component]
    return min(candidates, key=lambda node: (len(network.at(node)), node.name), default=None)


def _root_order(component: frozenset[Node], network: Network) -> tuple[bool, int, str]:
    """Scalars with few matrices first, those of matrices alone last."""
    root = _root(component, network)
    return (True, 0, "") if root is None else (False, len(network.at(root)), root.name)


def _scalar(component: frozenset[Node], network: Network) -> Expression:
    """A part without free nodes: an inner product, a sum or a trace."""
    root = _root(component, network)
    if root is None:
        return _of_matrices_alone(_edges_of(component, network), network)
    own = sorted(network.vectors[root], key=slopes_first)
    branches = sorted(_branches(root, (), network), key=slopes_first)
    if branches:
        return ast.Inner(entry_by_entry(own), entry_by_entry(branches))
    return ast.Call("sum", (own[0],)) if len(own) == 1 else ast.Inner(entry_by_entry(own[:-1]), own[-1])


def _of_matrices_alone(edges: Sequence[Edge], network: Network) -> Expression:
    """Σ_ij A_ij B_ij is an inner product, a single matrix its sum, a ring a trace."""
    if len(edges) == 1:
        first, *others = edges[0].matrices
        return ast.Inner(first, entry_by_entry(others)) if others else ast.Call("sum", (first,))
    start = edges[0].first
    ring, before = [start, edges[0].second], start
    while ring[-1] != start:
        onward = [other for edge in network.at(ring[-1]) if (other := edge.other_end(ring[-1])) != before]
        if not onward:
            raise NotAMatrix
        before = ring[-1]
        ring.append(onward[0])
    return ast.Call("trace", (ast.Product(tuple(_between(a, b, network) for a, b in pairwise(ring))),))
