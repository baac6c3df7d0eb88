#!/usr/bin/env python3
"""Records the bundled captures from real programs, and writes captures/catalog.toml.

    pip install -e '.[record]'
    sudo .venv/bin/python scripts/record_captures.py             all of them
    sudo .venv/bin/python scripts/record_captures.py sse sse-cut  only these
    sudo .venv/bin/python scripts/record_captures.py --faults     the captures that tests of findings need

Linux only, as root: each capture is made in two network namespaces of its own, which are gone afterwards. On Debian:
apt install iproute2 ethtool wireshark-common tshark curl nftables nginx unbound bind9-dnsutils nodejs (no service runs).
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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recording.story import Story

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

PROGRAMS = {  # program → Debian package
    "ip": "iproute2",
    "ethtool": "ethtool",
    "dumpcap": "wireshark-common",
    "tshark": "tshark",
    "curl": "curl",
    "nft": "nftables",
    "nginx": "nginx",
    "unbound": "unbound",
    "dig": "bind9-dnsutils",
    "node": "nodejs",
}
FAULTS = ROOT / "tests" / "annotations" / "faults"
ATTEMPTS = 4  # real programs race: who closes first, whose packet comes first
PACKAGES = ("cryptography", "grpc_tools", "httpx", "requests", "starlette", "uvicorn", "websockets")  # the record extra


def missing() -> Iterable[str]:
    """What keeps this machine from recording, one sentence each."""
    if sys.platform != "linux":
        yield "network namespaces are needed: record on Linux"
        return
    if os.geteuid():
        yield "network namespaces need root: run it with sudo"
        return  # others may not even see /usr/sbin
    for program, package in PROGRAMS.items():
        if not shutil.which(program):
            yield f"{program} is missing: apt install {package}"
    absent = [package for package in PACKAGES if not importlib.util.find_spec(package)]
    if absent:
        yield f"{', '.join(absent)} missing: pip install -e '.[record]'"


def record(names: list[str], folder: Path) -> None:
    from recording import catalog
    from recording.lab import RecordingError
    from recording.stories import STORIES

    known = {story.name: story for story in STORIES}
    if unknown := [name for name in names if name not in known]:
        raise RecordingError(f"no capture is called {', '.join(unknown)}; there are {', '.join(known)}")
    listed = folder / "catalog.toml"
    for name in names or known:
        print(f"{name} …", end=" ", flush=True)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                capture, entry = record_one(known[name])
                break
            except RecordingError as error:
                if attempt == ATTEMPTS:
                    raise
                print(f"again ({error}) …", end=" ", flush=True)
        (folder / f"{name}.pcapng").write_bytes(capture)
        entries = catalog.read(listed)
        catalog.write(listed, {**entries, name: entry}, known)
        print(f"{entry['facts']['packets']} packets, {len(capture)} bytes")


def record_faults(names: list[str], folder: Path) -> None:
    """One capture for each finding that no bundled capture shows. Also needs `postgres` and `setpriv`."""
    from recording import pcapng
    from recording.faults import FAULTS as known
    from recording.lab import Lab, RecordingError

    if unknown := [name for name in names if name not in known]:
        raise RecordingError(f"no fault is called {', '.join(unknown)}; there are {', '.join(known)}")
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or known:
        with Lab() as lab:
            raw = lab.dir / "raw.pcapng"
            secrets = known[name](lab, raw)
            comment = f"{name}, made by real programs between network namespaces."
            made = pcapng.rewrite(raw.read_bytes(), comment, "veth, offloads off", secrets, {})
            (folder / f"{name}.pcapng").write_bytes(made)
        print(name)


def record_one(story: Story) -> tuple[bytes, dict[str, Any]]:
    """Record and check: the file's bytes and its entry in the catalogue; `RecordingError` if it is not what the story says."""
    from recording import catalog, pcapng, versions
    from recording.lab import Lab

    peers = [versions.version(peer) for peer in story.peers]
    comment = f"{story.title}. Recorded at the {story.vantage} from real programs: {', '.join(peers)}."
    with Lab() as lab:
        raw, draft = lab.dir / "raw.pcapng", lab.dir / "draft.pcapng"
        secrets = story.record(lab, raw)
        data = raw.read_bytes()
        draft.write_bytes(pcapng.rewrite(data, comment, story.interface, secrets, {}))
        catalog.check(story, draft)
        comments = {number: text for number, text, wanted in catalog.looks(story, draft) if wanted}
        draft.write_bytes(pcapng.rewrite(data, comment, story.interface, secrets, comments))
        return draft.read_bytes(), catalog.entry(story, draft, peers)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="the captures to record; all where none is named")
    parser.add_argument("--to", type=Path, default=ROOT / "captures", metavar="FOLDER", help="where to write them")
    parser.add_argument("--faults", action="store_true", help="record the captures of tests/annotations/faults instead")
    arguments = parser.parse_args()
    if problems := list(missing()):
        print("\n".join(problems), file=sys.stderr)
        return 2
    from recording.lab import RecordingError

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so that everything is removed
    arguments.to.mkdir(parents=True, exist_ok=True)
    try:
        if arguments.faults:
            record_faults(arguments.names, FAULTS)
        else:
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
