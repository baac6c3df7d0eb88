#!/usr/bin/env python3
"""Records the bundled captures from real programs, and writes captures/catalog.toml.

    pip install -e '.[record]'
    sudo .venv/bin/python scripts/record_captures.py             all of them
    sudo .venv/bin/python scripts/record_captures.py sse sse-cut  only these

Linux only, as root: each capture is made in two network namespaces of its own, which are gone afterwards. On Debian:
apt install iproute2 ethtool wireshark-common tshark curl nginx unbound bind9-dnsutils (nothing needs to run as a service).
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

PROGRAMS = {  # program → Debian package
    "ip": "iproute2",
    "ethtool": "ethtool",
    "dumpcap": "wireshark-common",
    "tshark": "tshark",
    "curl": "curl",
    "nginx": "nginx",
    "unbound": "unbound",
    "dig": "bind9-dnsutils",
}
PACKAGES = ("cryptography", "starlette", "uvicorn", "websockets")  # the record extra


def missing() -> Iterable[str]:
    """What keeps this machine from recording, one sentence each."""
    if sys.platform != "linux":
        yield "network namespaces are needed: record on Linux"
        return
    if os.geteuid():
        yield "network namespaces need root: run it with sudo"
    for program, package in PROGRAMS.items():
        if not shutil.which(program):
            yield f"{program} is missing: apt install {package}"
    absent = [package for package in PACKAGES if not importlib.util.find_spec(package)]
    if absent:
        yield f"{', '.join(absent)} missing: pip install -e '.[record]'"


def record(names: list[str], folder: Path) -> None:
    from recording import catalog, pcapng, versions
    from recording.lab import Lab, RecordingError
    from recording.stories import STORIES

    known = {story.name: story for story in STORIES}
    if unknown := [name for name in names if name not in known]:
        raise RecordingError(f"no capture is called {', '.join(unknown)}; there are {', '.join(known)}")
    listed = folder / "catalog.toml"
    for name in names or known:
        story = known[name]
        print(f"{name} …", end=" ", flush=True)
        path = folder / f"{name}.pcapng"
        with Lab() as lab:
            raw, draft = lab.dir / "raw.pcapng", lab.dir / path.name
            secrets = story.record(lab, raw)
            data = raw.read_bytes()
            comment = f"{story.title}. Recorded at the client from real programs: {', '.join(map(versions.version, story.peers))}."

            def finish(comments: dict[int, str]) -> None:
                draft.write_bytes(pcapng.rewrite(data, comment, story.interface, secrets, comments))

            finish({})
            catalog.check(story, draft)
            finish({number: text for number, text, wanted in catalog.looks(story, draft) if wanted})
            entries = catalog.read(listed)
            entries[name] = catalog.entry(story, draft, [versions.version(peer) for peer in story.peers])
            path.write_bytes(draft.read_bytes())
            catalog.write(listed, entries, known)
        print(f"{entries[name]['facts']['packets']} packets, {path.stat().st_size} bytes")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="the captures to record; all where none is named")
    parser.add_argument("--to", type=Path, default=ROOT / "captures", metavar="FOLDER", help="where to write them")
    arguments = parser.parse_args()
    if problems := list(missing()):
        print("\n".join(problems), file=sys.stderr)
        return 2
    from recording.lab import RecordingError

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so that everything is removed
    arguments.to.mkdir(parents=True, exist_ok=True)
    try:
        record(arguments.names, arguments.to)
    except RecordingError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; everything is removed", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
