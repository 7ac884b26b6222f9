"""Writer of PDF/UA-1: tagged, with every formula's words, from embedded fonts alone, the same bytes every time."""

from __future__ import annotations

from .blocks import Document
from .editions import prepared
from .typst_blocks import typst_source


class TypesettingError(RuntimeError):
    """The typesetter refused or warned about a document; this is our bug, not the caller's."""


def pdf(document: Document) -> bytes:
    """The document as a PDF."""
    return compiled(typst_source(prepared(document, paper=True)))


def compiled(source: str) -> bytes:
    """Typst source as PDF/UA-1; a warning is an error."""
    import typst

    compiler = typst.Compiler(font_paths=typst.Fonts(include_system_fonts=False))
    try:
        result, warnings = compiler.compile_with_warnings(
            input=source.encode(), format="pdf", pdf_standards=["ua-1"], timestamp=0
        )
    except typst.TypstError as error:
        raise TypesettingError(f"typst: {error}; hints: {error.hints}") from None
    if warnings:
        raise TypesettingError("typst: " + "; ".join(str(warning) for warning in warnings))
    if not isinstance(result, bytes):
        raise TypesettingError("typst returned no document")
    return result
