"""What TCP and UDP share: the pseudo-header checksum."""

from __future__ import annotations

from inspector.core.checksum import ones_complement_sum, pseudo_header
from inspector.core.cursor import Cursor
from inspector.core.field import Field
from inspector.core.layer import Severity


def verify(c: Cursor, protocol: int, length: int, checksum: Field, reference: str) -> None:
    """Adds an issue where the checksum is wrong; a checksum left to the network card is recognised, and no error."""
    context = c.context
    if context.quoted or context.cut or not context.source or c.stop - c.start < length:
        return
    if len(context.source) == 4 and length > 0xFFFF:  # segmentation offload: no such segment is ever sent over IPv4
        return
    header = pseudo_header(context.source, context.destination, protocol, length)
    if ones_complement_sum(header + c.slice(c.start, c.start + length)) == 0xFFFF:
        return
    # An offloading sender fills in the sum of the pseudo-header only, and the card adds the rest.
    if checksum.value == ones_complement_sum(header):
        text = "the checksum was left to the network card (offloading): captured before it was filled in, no error"
        c.issue("checksum-offloaded", text, Severity.NOTE, checksum.span)
    else:
        c.issue("checksum", f"the checksum does not match the bytes ({reference})", Severity.ERROR, checksum.span)
