"""Every file of inspector/protocols is exercised by real units: one of its functions runs while they are taken apart.

A file without functions (tables of names) must be imported by one that is exercised. Which tests prove what the file does
is not for a machine to say; that none is forgotten is.
"""

from __future__ import annotations

import ast
import sys
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import FrameType
from typing import Any

import units

import inspector.protocols

FOLDER = Path(inspector.protocols.__file__).resolve().parent
# No bundled capture has what they read: the tests that exercise them, and a name in them that shows it.
ELSEWHERE = {
    "encodings/ocsp.py": ("protocols/test_ocsp.py", "ocsp.certStatus"),
    "encodings/schema.py": ("protocols/test_protobuf.py", "encodings.schema"),
    "http/plain.py": ("streams/test_exchanges.py", "http.plain"),
    "tls/sct.py": ("protocols/test_tls_handshake.py", "tls.sct.sct_timestamp"),
    "tls/transport_parameters.py": ("protocols/test_tls_handshake.py", "tls.quic.parameter"),
}


def test_every_protocol_file_is_exercised() -> None:
    ran = _exercised()
    files = {path for path in FOLDER.rglob("*.py") if path.read_text(encoding="utf-8").strip()} - {FOLDER / "__init__.py"}
    tables = {path for path in files if not _functions(path)}
    imported = {name for path in ran & files for name in _imports(path)}
    idle = {path for path in files - tables if path not in ran}
    idle |= {path for path in tables if ".".join(path.relative_to(FOLDER).with_suffix("").parts) not in imported}
    names = {str(path.relative_to(FOLDER)) for path in idle}
    assert names == set(ELSEWHERE)
    root = Path(__file__).resolve().parent.parent
    for test, shows in ELSEWHERE.values():
        assert shows in (root / test).read_text(encoding="utf-8"), f"{test} says nothing of {shows}"


def _exercised() -> set[Path]:
    """The files whose functions run while the units are collected and dissected."""
    seen: set[Any] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            seen.add(frame.f_code)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        found = units.units.__wrapped__()
        for name in found:
            for unit in found[name][:3]:
                units.of_bytes(unit, unit.data)
    finally:
        sys.setprofile(before)
    bodies = (code for code in seen if code.co_flags & CO_OPTIMIZED)  # of functions: modules and classes run when imported
    return {Path(code.co_filename).resolve() for code in bodies if code.co_name != "<lambda>"}


def _functions(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) for node in ast.walk(tree))


def _imports(path: Path) -> set[str]:
    """What a file imports of inspector.protocols, as `tls.names`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("inspector.protocols"):
            inside = node.module.removeprefix("inspector.protocols").lstrip(".")
            found |= {inside, *(f"{inside}.{alias.name}".lstrip(".") for alias in node.names)}
    return found
