"""How gradients are derived: index notation, contraction, the reverse walk, and the way back to matrices.

stages and index_notation prepare a program, contract and adjoint differentiate it, lift, elementwise and network read
the result as matrices; recurrence and closed_form solve what repeats over time; explain and chain_steps tell it as
steps. affine, letters, implied and positions know arrays that are read at positions of several indices, such as those
of a convolution; position_steps, unit_stride, map_steps and size_steps tell what follows for them, and linear_map
writes a small case as a matrix.
"""
