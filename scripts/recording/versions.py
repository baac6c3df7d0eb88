"""The programs of a recording and their versions, as the catalogue names them."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import subprocess

ASK = {
    "curl": ["curl", "-V"],
    "nginx": ["nginx", "-v"],
    "unbound": ["unbound", "-V"],
    "dig": ["dig", "-v"],
    "Node.js": ["node", "-v"],
}


def version(program: str) -> str:
    """`curl 7.88.1`: the program or Python package with its version."""
    if program == "Python":
        return f"Python {platform.python_version()}"
    if program not in ASK:
        return f"{program} {importlib.metadata.version(program)}"
    done = subprocess.run(ASK[program], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode(errors="replace")
    number = re.search(r"\d+\.\d+(\.\d+)*", said)
    return f"{program} {number[0]}" if number else program
