"""Where emitted source lives: a directory per user, one file per text, version of the tools and processor."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import sys
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

VARIABLE = "UNROLLED_CACHE"
TOOLS = ("numba", "numpy", "llvmlite")
SUPPORT = (
    *("contraction.py", "contraction_block.py", "places.py", "room_block.py", "ways.py"),
    *("entry.py", "product.py", "register_block.py", "rows.py", "scalars.py", "vocabulary.py"),
)
"""The modules whose code is compiled into every kernel."""
WRITTEN_AT = 1_000_000_000
"""One time stamp for all files: numba takes a new stamp for a new text, and two processes may write the same file."""


def directory() -> Path:
    """The first that can be written to: $UNROLLED_CACHE, the platform's cache directory, a temporary directory."""
    for candidate in (os.environ.get(VARIABLE), platform_directory(), shared_temporary()):
        if candidate and writable(Path(candidate)):
            return Path(candidate)
    return private_temporary()


def platform_directory() -> str | None:
    """The directory for caches by the platform's convention; None where no home is known."""
    try:
        home = Path.home()
    except RuntimeError:
        home = None
    places = {
        "Windows": os.environ.get("LOCALAPPDATA"),
        "Darwin": home and str(home / "Library" / "Caches"),
    }
    other = os.environ.get("XDG_CACHE_HOME") or (home and str(home / ".cache"))
    base = places.get(platform.system(), other)
    return str(Path(base) / "unrolled") if base else None


def shared_temporary() -> str | None:
    """A temporary directory that is this user's, the same for all processes; None where somebody else made it."""
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    place = Path(tempfile.gettempdir()) / f"unrolled-{user}"
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        return str(place) if not hasattr(os, "getuid") or place.stat().st_uid == os.getuid() else None
    except OSError:
        return None


@cache
def private_temporary() -> Path:
    """A temporary directory for this process alone."""
    return Path(tempfile.mkdtemp(prefix="unrolled-"))


def writable(place: Path) -> bool:
    """True if files can be made in ``place``, which is made if need be."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            return True
    except OSError:
        return False


@cache
def tools() -> str:
    """Versions and processor that compiled code depends on, and the text of what is compiled into it."""
    from llvmlite import binding  # no numba: it must cost nothing to find a file

    features = binding.get_host_cpu_features().flatten()
    versions = [f"{tool} {version(tool)}" for tool in TOOLS]
    forced = [f"{name}={os.environ[name]}" for name in sorted(os.environ) if name.startswith("NUMBA_CPU")]
    texts = [Path(__file__).with_name(name).read_text(encoding="utf-8") for name in SUPPORT]
    return "\n".join([sys.version, *versions, binding.get_host_cpu_name(), features, *forced, *texts])


def key(text: str) -> str:
    """The hash that names the file of ``text``."""
    return hashlib.sha256(f"{tools()}\n{text}".encode()).hexdigest()[:24]


def stored(text: str, stem: str) -> Path:
    """The file that holds ``text``; written under another name first, so that nobody reads half of it."""
    path = directory() / f"{stem}_{key(text)}.py"
    if path.exists():
        return path
    handle, temporary = tempfile.mkstemp(suffix=".tmp", dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.utime(temporary, (WRITTEN_AT, WRITTEN_AT))
    os.replace(temporary, path)
    return path


@cache
def loaded(path: Path) -> ModuleType:
    """The module in the file ``path``."""
    name = f"unrolled_kernels_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
