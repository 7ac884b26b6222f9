"""The formats a handout can be written in, by the suffix of the file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from .blocks import Document, DocumentError
from .html import html
from .markdown import markdown
from .notebook import notebook
from .pdf import pdf
from .tex import tex

WRITERS: dict[str, Callable[[Document], bytes]] = {
    "pdf": pdf,
    "html": html,
    "tex": tex,
    "md": markdown,
    "ipynb": notebook,
}


def write(document: Document, path: str | os.PathLike[str]) -> Path:
    """Write the document in the format its suffix names; the file is there whole or not at all."""
    target = Path(path)
    suffix = target.suffix.removeprefix(".").lower()
    if suffix not in WRITERS:
        raise DocumentError(f"{target.name}: no format has the suffix {target.suffix!r}; known: {', '.join(WRITERS)}")
    content = WRITERS[suffix](document)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        mask = os.umask(0)
        os.umask(mask)
        part.chmod(0o666 & ~mask)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return target
