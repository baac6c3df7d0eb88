"""Schemas of protobuf: .proto files and descriptor sets, as the bytes of one descriptor set."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from inspector.core.errors import InspectError


def descriptor_set(paths: Sequence[str]) -> bytes:
    """The descriptors of all the files; .proto files are compiled, anything else is taken for a descriptor set.

    Raises InspectError for a file that cannot be read or compiled, and where the extra `grpc` is not installed.
    """
    parts = []
    for path in paths:
        if not os.path.isfile(path):
            raise InspectError(f"--proto {path}: no such file")
        parts.append(_compile(path) if path.endswith(".proto") else Path(path).read_bytes())
    return b"".join(parts)  # descriptor sets put together are one: `file` is a repeated field


def _compile(path: str) -> bytes:
    try:
        import grpc_tools
        from grpc_tools import protoc
    except ImportError:
        raise InspectError("--proto needs the extra grpc: pip install 'osi-inspect[grpc]'") from None
    folder = os.path.dirname(os.path.abspath(path))
    known = os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")  # google/protobuf/*.proto
    with TemporaryDirectory() as scratch:
        out = os.path.join(scratch, "set")
        options = [f"-I{folder}", f"-I{known}", f"--descriptor_set_out={out}", "--include_imports"]
        if protoc.main(["protoc", *options, os.path.abspath(path)]) != 0:
            raise InspectError(f"--proto {path}: protoc does not accept it (its words are above)")
        return Path(out).read_bytes()
