"""Taking a capture into the index: what is odd is dissected, and what took long to read is kept for the next time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from inspector.core.packet import Packet
from inspector.dissection.fragments import Fragments
from inspector.index import Columns, Index, Transport
from inspector.sources import Source

if TYPE_CHECKING:
    from inspector.dissection.engine import Engine


def index_of(source: Source, engine: Callable[[], Engine]) -> Index:
    """An empty index, whose slow path is the dissection of the packets that the columns cannot read."""

    def slow(packet: Packet) -> Sequence[Transport]:
        from inspector.streams.transports import transports

        result = engine().dissect(packet, lambda: index.packet(packet.number).data)
        return [found for _, found in transports(result)]

    index = Index(source, slow)
    return index


def take_in(
    source: Source, index: Index, engine: Callable[[], Engine], fragments: Fragments, progress: Callable[[float], None]
) -> threading.Thread | None:
    """Fill the index of a whole capture: with the one that was kept, or anew. Where that took long it is kept, by a thread
    that is returned: it needs the source until it ends."""
    from inspector.index import cache

    def anew() -> Columns:
        from inspector.dissection.engine import Engine

        again, other = source.again(), Engine(engine().registry, Fragments().offer)
        fresh = index_of(again, lambda: other)
        fresh.build()
        again.close()
        return fresh.columns

    known = cache.identity(source)
    kept = cache.load(source, known, anew) if known is not None else None
    if kept is not None:
        index.restore(kept.columns, kept.flows)
        fragments.owe(kept.fragments, lambda number: engine().dissect(index.packet(number), lambda: index.packet(number).data))
        return None
    began = monotonic()
    index.build(progress)
    if known is None or monotonic() - began < cache.WORTH:
        return None
    keeping = threading.Thread(target=cache.save, args=(source, known, index, fragments.packets), name="cache")
    keeping.start()
    return keeping
