"""Systems with maxima in every place where one may stand, and what a maximum is worth, written out with NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

SYSTEMS = {
    "pooling in one dimension, windows overlap": """
        sizes c channels, m outputs, R window, s = 2
        given x in R^(c x (s*(m-1) + R)), t in R^(c x m)
        y[k,i] = max over a = 0..R-1 of x[k, s*i + a] for i = 0..m-1
        loss = squared(y, t)
    """,
    "max over time": """
        sizes k filters, n length
        given h in R^(k x n), t in R^k
        m[j] = max over i of h[j,i]
        loss = squared(m, t)
    """,
    "over the steps of a recurrence, of vectors": """
        sizes T steps, d inputs, n hidden
        given x^t in R^d for t = 1..T, y in R^n
        learn W in R^(n x d), U in R^(n x n)
        start h^0 = 0
        for t = 1..T:
            h^t = tanh(W x^t + U h^{t-1})
        end
        m = max over t = 1..T of h^t
        loss = squared(m, y)
    """,
    "of vectors made of others": """
        sizes T, n, d
        given x^t in R^d for t = 1..T, y in R^n
        learn W in R^(n x d), b in R^n
        m = max over t = 1..T of (W x^t)
        loss = squared(m + b, y)
    """,
    "up to the present step": """
        sizes T
        given x^t in R for t = 1..T, y^t in R for t = 1..T
        learn w in R
        for t = 1..T:
            h^t = max over s = 1..t of (w * x^s)
            e^t = squared(h^t, y^t)
        end
        loss = sum over t = 1..T of e^t
    """,
    "in a loop over time": """
        sizes T steps, n hidden, R window
        given x^t in R^(n + R - 1) for t = 1..T, y in R^n
        learn w in R^n
        start h^0 = 0
        for t = 1..T:
            h^t[i] = tanh(w[i] * h^{t-1}[i] + max over a = 0..R-1 of x^t[i + a]) for i = 0..n-1
        end
        loss = squared(h^T, y)
    """,
    "of the state itself": """
        sizes T steps, n hidden
        given x^t in R^n for t = 1..T, y in R^n
        learn W in R^(n x n)
        start h^0 in R^n
        for t = 1..T:
            h^t[i] = max over j of (W[i,j] * h^{t-1}[j]) + x^t[i]
        end
        loss = squared(h^T, y)
    """,
    "inside functions and sums": """
        sizes n rows, R window
        given x in R^(n x R), y in R
        learn w in R^R, b in R
        z = sum over k of sigmoid(max over a of (w[a] * x[k, a])) + b
        loss = (z - y)^2 / 2
    """,
    "two in one equation": """
        sizes n, m
        given A in R^(n x m), B in R^(n x m), t in R^n
        y[i] = (max over a of A[i,a]) * (max over b of B[i,b]) for i = 0..n-1
        loss = squared(y, t)
    """,
    "one in another": """
        sizes n, m, k
        given A in R^(n x m x k), t in R^n
        y[i] = max over a of (max over b of A[i,a,b]) for i = 0..n-1
        loss = squared(y, t)
    """,
    "in a loss": """
        sizes n, m
        given x in R^m, y in R^n
        learn W in R^(n x m)
        e = W x - y
        loss = max over i of abs(e[i])
    """,
    "behind a convolution": """
        sizes c, n, R, P, m = n - R - P + 2
        given x in R^(c x n), y in R^m
        learn w in R^(c x R), b in R
        u[i] = relu((sum over k, a of w[k,a] * x[k, i + a]) + b) for i = 0..n-R
        v[j] = max over p = 0..P-1 of u[j + p] for j = 0..m-1
        loss = squared(v, y)
    """,
    "of sums": """
        sizes n, d, k pieces
        given x in R^d, y in R^n
        learn W in R^(n x k x d), b in R^(n x k)
        h[i] = max over j of ((sum over l of W[i,j,l] * x[l]) + b[i,j])
        loss = squared(h, y)
    """,
    "with a condition": """
        sizes n, R
        given x in R^n, y in R^n
        z[i] = max over a = 0..R-1 with 0 <= i + a <= n - 1 of x[i + a] for i = 0..n-1
        loss = squared(z, y)
        convention ties is all
    """,
    "padded by zeros": """
        sizes H, R, s, p from 0, O = number of i with s*i + R - 1 <= H + 2*p - 1
        given x in R^H, t in R^O
        y[i] = max over a = 0..R-1 of x[s*i + a - p] for i = 0..O-1
        loss = squared(y, t)
        convention outside is zero
    """,
    "over steps and entries, ties split": """
        sizes T, n
        given x^t in R^n for t = 1..T, y in R
        m = max over t, i of x^t[i]
        loss = squared(m, y)
        convention ties is split
    """,
}
"""Definitions by where the maximum stands."""

POOLING = """
    title   Maximum of a window
    option  D = 2 of 1, 2, 3
    option  ties = first of first, split, all
    sizes   c, H^D, R^D, s^D default 1, d^D default 1, p^D from 0 default 0
    sizes   O^D = number of i with s*i + d*(R-1) <= H + 2*p - 1
    index   i^D, a^D
    given   x in R^(c x H), g in R^(c x O)
    y[k, i] = max over a = 0..R-1 of x[k, s*i + d*a - p] for i = 0..O-1
    loss = <y, g>
    convention outside is skipped
"""
"""The gradient of this loss in x is what pooling sends back for the cotangent g."""


def text(name: str) -> str:
    """The definition called ``name``, with its title."""
    return f"title {name}\n{SYSTEMS[name]}"


def shares(values: Sequence[float], ties: str) -> np.ndarray:
    """The share of each value in the largest one: by a loop, a NaN being larger than any number."""
    best = 0
    for place in range(len(values)):
        larger = values[place] > values[best] or (np.isnan(values[place]) and not np.isnan(values[best]))
        best = place if larger else best
    equal = [v == values[best] or (np.isnan(v) and np.isnan(values[best])) for v in values]
    if ties == "first":
        return np.array([float(place == best) for place in range(len(values))])
    return np.array(equal, dtype=float) / (sum(equal) if ties == "split" else 1)


def pooled(x: Any, cotangent: Any, window: int, stride: int, padding: int, ties: str) -> tuple[Any, Any]:
    """Maxima of windows along the last axis, and what their cotangents send back to ``x``; padding takes no part."""
    y, back = np.zeros_like(cotangent), np.zeros_like(x)
    for *around, i in np.ndindex(*cotangent.shape):
        places = [p for p in range(stride * i - padding, stride * i - padding + window) if 0 <= p < x.shape[-1]]
        if not places:
            continue
        row = x[(*around, slice(None))]
        weights = shares([float(row[p]) for p in places], ties)
        y[(*around, i)] = row[places[int(np.argmax(weights))]]
        for place, weight in zip(places, weights, strict=True):
            back[(*around, place)] += weight * cotangent[(*around, i)]
    return y, back
