"""How gradients are derived: index notation, contraction, the reverse walk, and the way back to matrices.

stages and index_notation prepare a program, contract and adjoint differentiate it, lift, elementwise and network read
the result as matrices; recurrence and closed_form solve what repeats over time; explain and chain_steps tell it as
steps.
"""
