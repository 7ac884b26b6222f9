"""Definitions that a compiler of recurrent networks might not expect, by what is odd about them."""

ODD = {
    "index form": """
        sizes n positions, k width, c channels
        given x in R^(n + k - 1), y in R^n
        learn w in R^(c x k), v in R^c
        u[i, j] = sum over a = 0..k-1 of w[i, a] x[j + a] for i = 0..c-1 for j = 0..n-1
        p[j] = sum over i = 0..c-1 of v[i] tanh(u[i, j]) for j = 0..n-1
        loss = squared(p, y)
    """,
    "sums over time inside formulas": """
        sizes T steps, d inputs, e width
        given x^t in R^d for t = 1..T, y^t in R^e for t = 1..T
        learn Q in R^(e x d), K in R^(e x d), V in R^(e x d)
        for t = 1..T:
            q^t = Q x^t
            k^t = K x^t
            v^t = V x^t
        end
        for t = 1..T:
            o^t = sum over s = 1..T of <q^t, k^s> v^s
            l^t = squared(o^t, y^t)
        end
        loss = sum over t = 1..T of l^t
    """,
    "layers with one matrix, and their number in no shape": """
        sizes L layers, n width
        given x in R^n, y in R^n
        learn W in R^(n x n), b in R^n
        start h^0 in R^n
        for l = 1..L:
            h^l = tanh(W h^{l-1} + b)
        end
        loss = squared(h^L, y) + <x, x> / L
    """,
    "diagonal matrices, transposes and traces": """
        sizes n width
        given x in R^n, y in R
        learn a in R^n, A in R^(n x n), B in R^(n x n)
        z = diag(a) A B diag(x) x + (A B)' x
        loss = (<z, z> - y)^2 / 2 + trace(A' B) + sum(A)
    """,
    "outer products of parameters": """
        sizes n width, m other
        given x in R^n, u in R^m, y in R
        learn A in R^(n x m), a in R^n, b in R^m
        P = a b' + A
        loss = (x' P u - y)^2 + <P, P> / 3
    """,
    "powers, quotients and stable functions": """
        sizes n width
        given x in R^n
        learn a in R^n, p in R
        loss = sum((a .* a + 1).^(3/2)) + p^3 / 3 + sum(exp(a) ./ (1 + x .* x)) + logsumexp(a) * <softmax(a .* x), x>
    """,
    "a start that is learnt": """
        sizes T steps, n width, m small
        given x^t in R^n for t = 1..T, y in R
        learn U in R^(n x n), s in R^n, A in R^(n x m), c in R^m
        start h^0 = A c + s
        for t = 1..T:
            h^t = tanh(U h^{t-1} + x^t)
        end
        loss = squared(sum(h^T), y)
    """,
    "a recurrence of parameters alone": """
        sizes T steps, n width
        given y in R^n
        learn U in R^(n x n), s in R^n
        start h^0 = s
        for t = 1..T:
            h^t = tanh(U h^{t-1})
        end
        loss = squared(h^T, y)
    """,
    "products of parameters in a recurrence": """
        sizes n width, T steps
        given x^t in R^n for t = 1..T
        learn U in R^(n x n), V in R^(n x n)
        start h^0 = 0
        A = U V
        C = tanh(A' A)
        for t = 1..T:
            h^t = C h^{t-1} + x^t
        end
        loss = <h^T, h^T> + <C, C>
    """,
}


def text(name: str) -> str:
    """The definition called ``name``, with its title."""
    lines = [line.strip() for line in ODD[name].strip().splitlines()]
    return "\n".join([f"title {name}", *lines]) + "\n"
