"""Convolution and pooling of a person's own grid, worked through by the engine window by window.

``tables`` reads grids from files, ``settings`` says what is asked, ``terms`` reads windows off index notation,
``computation`` puts the numbers together, ``comparison`` names wrong cells, ``page`` and ``report`` show it all.
"""
