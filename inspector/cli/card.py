"""`osi-inspect card`: the eight properties of protocols; with a capture, the bytes that show them."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from inspector.cli.common import AsJson, Keylog, opened, write_lines

WIDTH = 120


def command(
    protocols: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PROTOCOL…]", help="tcp, http2, websocket …; several are compared, all are listed for none."),
    ] = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE|NAME", help="Show the bytes of this capture, too.")
    ] = None,
    as_json: AsJson = False,
    keylog: Keylog = None,
) -> None:
    """Show eight properties of protocols, side by side."""
    from inspector.annotations.cards import (
        LOOKED_AT,
        TITLES,
        card_of,
        evidence,
        find,
        first_packet,
        properties,
        table,
        unshown,
    )
    from inspector.dissection.engine import make_registry

    registry = make_registry(None).protocols
    if not protocols:
        known = sorted((one for one in registry.values() if card_of(one) is not None), key=lambda one: (one.osi, one.name))
        write_lines(f"{one.name:14} layer {one.osi}  {one.title}" for one in known)
        return
    found = [find(name, registry) for name in protocols]
    proofs, looked = {}, ""
    if file is not None:
        with opened(file, keylog) as session:
            for protocol in found:
                own = evidence(session, protocol.name)
                if own or first_packet(session, protocol.name):
                    proofs[protocol.name] = own
            looked = "this capture" if session.count <= LOOKED_AT else f"the first {LOOKED_AT:,} packets of this capture"
    if as_json:
        for protocol in found:
            assert protocol.card is not None
            shown = {
                name: [{**proof._asdict(), "data": proof.data.hex()} for proof in own]
                for name, own in proofs.get(protocol.name, {}).items()
            }
            reference = protocol.card.reference
            record = {"protocol": protocol.name, "title": protocol.title, "osi": protocol.osi, "reference": reference}
            silent = [name for name in TITLES if name not in shown] if protocol.name in proofs else []
            why = {name: unshown(protocol.name, name) for name in silent}
            write_lines([json.dumps({**record, **properties(protocol.card), "evidence": shown, "unshown": why})])
        return
    lines = table([(f"{one.title} (layer {one.osi})", one.card) for one in found if one.card is not None], WIDTH)
    for protocol in found if file is not None else ():
        if protocol.name not in proofs:
            lines += ["", f"no {protocol.title} in {looked}: there are no bytes to show"]
            continue
        own = proofs[protocol.name]
        lines += ["", f"{protocol.title} in {looked}"]
        for name, title in TITLES.items():
            for proof in own.get(name, []):
                lines.append(f"  {title:20} packet {proof.packet}: {proof.label}  {proof.text}  [{proof.data.hex(' ')}]")
            if name not in own:
                lines.append(f"  {title:20} {unshown(protocol.name, name)}")
    write_lines(lines)
