"""Make ``unrolled-math.woff2``, the mathematical font embedded in HTML handouts, from Latin Modern Math.

    python docs/make_math_font.py /path/to/latinmodern-math.otf

Needs fonttools and brotli. The result keeps the glyphs our formulas use and the MATH table, and is renamed because the
GUST Font License asks that a modified font does not carry the name of the original.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

from derive.handout import symbols

FAMILY = "Unrolled Math"
RANGES = (
    (0x20, 0x7E), (0x391, 0x3A9), (0x3B1, 0x3C9), (0x1D434, 0x1D467), (0x1D6E2, 0x1D71B), (0x1D538, 0x1D56B),
)  # fmt: skip
SINGLE = "ℎ′″‴⁗^~¯˙ˆ˜\u0302\u0303\u0304\u0307\u0305⏟⏞ϵϕ√·–—…†‡∅∪∩∘±∓≠≪≫≺⊂⊃⊆⊇∧∨¬←→↔⇐⇒⇔⟵⟶|‖∥\u00a0\u2006\u2009"


def characters() -> set[int]:
    """Every code point that a formula may contain."""
    wanted = {code for low, high in RANGES for code in range(low, high + 1)} | {ord(c) for c in SINGLE}
    for sign in symbols.OPERATORS.values():
        wanted |= {ord(c) for c in sign.character}
    for side in (symbols.LEFT, symbols.RIGHT):
        wanted |= {ord(c) for delimiter in side.values() for c in delimiter.character}
    for large in symbols.BIG.values():
        wanted |= {ord(c) for c in large.character + large.arrow}
    wanted |= {ord(symbols.blackboard(chr(code))) for code in range(ord("A"), ord("Z") + 1)}
    return wanted


def main(source: str) -> int:
    """Write the subset of the font in the file ``source``."""
    font = TTFont(source)
    options = subset.Options()
    options.layout_features = ["ssty", "kern", "mark", "mkmk"]
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    options.notdef_outline = True
    options.desubroutinize = False
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=characters())
    subsetter.subset(font)
    names = {1: FAMILY, 3: f"{FAMILY} subset of Latin Modern Math", 4: FAMILY, 6: FAMILY.replace(" ", "")}
    for record in list(font["name"].names):
        if record.nameID in names:
            font["name"].setName(
                names[record.nameID], record.nameID, record.platformID, record.platEncID, record.langID
            )
    if "CFF " in font:
        top = font["CFF "].cff
        top.fontNames = [FAMILY.replace(" ", "")]
        top[0].FullName = top[0].FamilyName = FAMILY
    font.flavor = "woff2"
    font.recalcTimestamp = False
    target = Path(symbols.__file__).with_name("data") / "unrolled-math.woff2"
    font.save(target)
    print(f"{target.name}: {target.stat().st_size} bytes, {len(font.getGlyphOrder())} glyphs")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
