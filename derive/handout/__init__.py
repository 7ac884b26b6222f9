"""Handouts: blocks and formulas on one side, a writer for each format on the other.

``formula`` builds mathematical layout, ``blocks`` the document, ``editions`` filters it, ``writers`` writes it.
"""
