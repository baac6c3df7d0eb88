"""`osi-inspect interfaces`: what can be captured on."""

from __future__ import annotations

import time

from inspector.cli.common import AsJson
from inspector.core.text import printable

LOOK = 0.3  # seconds in which activity is watched


def command(as_json: AsJson = False) -> None:
    """List the interfaces, their addresses and packets a second."""
    import json

    from inspector.capture.interfaces import ETHERNET, RAW, links

    before, began = {one.name: one.packets for one in links()}, time.monotonic()
    time.sleep(LOOK)
    now, passed = links(), time.monotonic() - began
    kinds = {ETHERNET: "Ethernet", RAW: "raw IP"}
    rows = [
        {
            "name": one.name,
            "up": one.up,
            "link_type": one.link_type,
            "addresses": list(one.addresses),
            "packets": one.packets,
            "packets_per_second": round(max(one.packets - before.get(one.name, one.packets), 0) / passed, 1),
        }
        for one in now
    ]
    if as_json:
        print(json.dumps(rows))
        return
    names = [printable(one.name) for one in now]  # the kernel takes any byte but a blank, a slash and a colon
    width = max(map(len, names))
    for one, name, row in zip(now, names, rows, strict=True):
        kind = kinds.get(one.link_type, "cooked (SLL2)")
        addresses = ", ".join(one.addresses) or ("every interface at once" if not one.index else "no address")
        state, rate = "up" if one.up else "down", row["packets_per_second"]
        print(f"{name:<{width}}  {state:<4}  {kind:<13}  {rate:>9,.1f}/s  {addresses}")
