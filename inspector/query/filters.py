"""Display filters: `compile` a text, then ask which packets pass.

The columns decide what they can, for 65,536 packets at a time; only the packets that they leave open are dissected, in packet
order. A search can be run in a thread, a piece at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from inspector.core.field import FieldSpec
from inspector.core.span import Span
from inspector.dissection.registry import Registry
from inspector.protocols.borrowed import table as borrowed
from inspector.query import catalog, exchanges, syntax
from inspector.query.decide import Block, Speakers, owners
from inspector.query.evaluate import Node, Typist, fields_of, holds
from inspector.query.exchanges import Told
from inspector.query.syntax import At, FilterError

if TYPE_CHECKING:
    from inspector.dissection.engine import Dissection
    from inspector.session import Session

BLOCK = 65_536  # packets decided by columns at a time
DISSECTED = 256  # packets dissected before the caller hears of it
OWN_LAYERS = 4  # fields up to this OSI layer are read from the packet alone …
FROM_CONVERSATION = ("tcp.analysis", "tcp.completeness", "tcp.time", "tcp.state", "exchange.", "finding.")  # … except these

__all__ = ["Filter", "FilterError", "compile"]


def compile(text: str, registry: Registry) -> Filter:
    """A filter, ready to run; an empty text passes every packet.

    Raises FilterError, which knows the columns (`start`, `stop`, from 0) of what is wrong.
    """
    tree = syntax.parse(text)
    fields = catalog.filterable(registry)
    if tree is None:
        return Filter(text, None, fields, registry)
    protocols = frozenset(registry.protocols) | {"frame"}
    _check_words(text, tree, fields)
    try:
        node = Typist(text, fields, protocols).test(tree)
    except RecursionError:
        raise FilterError(text, "too deep", At(0, len(text))) from None
    return Filter(text, node, fields, registry)


def _check_words(text: str, tree: Any, fields: dict[str, FieldSpec]) -> None:
    """Names of Wireshark's that mean nothing here yet must not look as if no packet had them. What is borrowed from a library
    is declared there, and added to `fields` where it is asked for."""
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, syntax.Word) and node.text in catalog.PLANNED and node.text not in fields:
            raise FilterError(text, f"{node.text} is not dissected here yet", node.at)
        if isinstance(node, syntax.Word) and (spec := borrowed.named(node.text)) is not None:
            fields[node.text] = spec
        if isinstance(node, tuple) and not isinstance(node, At | syntax.Range):
            todo.extend(part for part in node if isinstance(part, tuple))


class Filter:
    """A compiled filter. fields: every name that it asks for."""

    def __init__(self, text: str, node: Node | None, fields: dict[str, FieldSpec], registry: Registry) -> None:
        self.text = text
        self.fields = fields_of(node) if node is not None else frozenset()
        self._node = node
        self._told: tuple[Session, Told] | None = None
        self._specs = fields
        self._wanted = frozenset(one for name in self.fields for one in catalog.ALIASES.get(name, (name,)))
        of = owners(registry.protocols)
        below = {name for name, protocol in registry.protocols.items() if protocol.osi <= OWN_LAYERS} | {"frame"}
        self._alone = all(
            of(name) <= below and not name.startswith(FROM_CONVERSATION) and name != "frame.protocols" for name in self._wanted
        )

    def search(self, session: Session, start: int = 1, stop: int | None = None) -> Iterator[tuple[int, list[int]]]:
        """Runs over packets `start` to `stop` (exclusive; as far as the capture goes now): yields, again and again, the first
        packet that was not looked at yet and the numbers that passed since. Leave the loop to stop it."""
        stop = session.count + 1 if stop is None else min(stop, session.count + 1)
        speakers = Speakers(session)
        for begin in range(start, stop, BLOCK):
            end = min(begin + BLOCK, stop)
            if self._node is None:
                yield end, list(range(begin, end))
                continue
            block = Block(session, self._specs, begin, end)
            yes, no = block.decide(self._node)
            open_ = ~(yes | no)
            if open_.any() and not self._alone:
                rows = np.flatnonzero(open_ & block.tcp)
                quiet = np.zeros(block.size, bool)
                quiet[rows] = speakers.quiet(rows + begin, block.column("flow")[rows])
                block.quiet = quiet
                yes, no = block.decide(self._node)
                open_ = ~(yes | no)
            yield from self._dissect(session, begin, yes, open_)

    def _dissect(self, session: Session, begin: int, yes: npt.NDArray[np.bool_], open_: npt.NDArray[np.bool_]
                 ) -> Iterator[tuple[int, list[int]]]:  # fmt: skip
        undecided = np.flatnonzero(open_)
        done = 0
        for at in range(0, len(undecided), DISSECTED):
            rows = undecided[at : at + DISSECTED]
            for row in rows.tolist():
                yes[row] = self.accepts(session, begin + row)
            until = int(rows[-1]) + 1
            yield begin + until, (np.flatnonzero(yes[done:until]) + begin + done).tolist()
            done = until
        if done < len(yes):
            yield begin + len(yes), (np.flatnonzero(yes[done:]) + begin + done).tolist()

    def matches(
        self, session: Session, start: int = 1, stop: int | None = None, progress: Callable[[float], None] | None = None
    ) -> npt.NDArray[np.int64]:
        """The numbers of the packets that pass, in order. progress: told the share that is done, 0 to 1."""
        found: list[int] = []
        last = session.count + 1 if stop is None else stop
        for reached, numbers in self.search(session, start, stop):
            found += numbers
            if progress is not None:
                progress((reached - start) / max(last - start, 1))
        return np.array(found, np.int64)

    def accepts(self, session: Session, number: int) -> bool:
        """Does one packet pass?"""
        if self._node is None:
            return True
        told = self._tell(session)
        if told is not None and self._wanted <= exchanges.FIELDS.keys():
            return holds(self._node, exchanges.PacketTold(told, number))
        result = session.layers(number) if self._alone else session.dissect(number)
        return holds(self._node, PacketView(session, result, self._wanted, told))

    def _tell(self, session: Session) -> Told | None:
        """The exchanges and findings of the session, where they are asked for and its end is known; worked out once."""
        if not (self._wanted & exchanges.FIELDS.keys() and session.complete):
            return None
        if self._told is None or self._told[0] is not session:
            self._told = (session, Told(session, self._wanted))
        return self._told[1]


class PacketView:
    """The values of one dissected packet, for the tests of a filter."""

    def __init__(self, session: Session, result: Dissection, wanted: frozenset[str], told: Told | None = None) -> None:
        self._found: dict[str, list[tuple[int, Any]]] = {}
        self._layers: dict[str, int] = {}  # how many layers of each protocol
        for layer in result.layers:
            name = layer.protocol
            ordinal = self._layers[name] = self._layers.get(name, 0) + 1
            if name in wanted:
                self._found.setdefault(name, []).append((ordinal, layer.span))
            for field in layer.walk():
                if field.spec.name in wanted:
                    self._found.setdefault(field.spec.name, []).append((ordinal, field.value))
            payload = f"{name}.payload"
            if payload in wanted and payload not in self._found and name in ("tcp", "udp"):
                self._found[payload] = [(ordinal, p.span.read()) for p in layer.payloads if p.span.size]
        for name in wanted:
            if name == "frame":
                buffer = result.buffers[f"frame:{result.packet.number}"]
                self._found[name] = [(1, Span(buffer, 0, buffer.size))]
            elif name.startswith("frame."):
                self._found[name] = [(1, value) for value in catalog.frame_values(session, result, name)]
            elif told is not None and name.startswith(("exchange.", "finding.")):
                self._found[name] = [(1, value) for value in told.values(result.packet.number, name)]

    def values(self, name: str, layers: tuple[syntax.Range, ...] | None = None) -> list[Any]:
        found = [pair for one in catalog.ALIASES.get(name, (name,)) for pair in self._found.get(one, ())]
        if layers is None:
            return [value for _, value in found]
        total = max((ordinal for ordinal, _ in found), default=0)
        return [value for ordinal, value in found if any(_within(ordinal, total, wanted) for wanted in layers)]


def _within(ordinal: int, total: int, wanted: syntax.Range) -> bool:
    start = wanted.start if wanted.start >= 0 else total + 1 + wanted.start
    if wanted.length is not None:
        return start <= ordinal < start + wanted.length
    if wanted.stop is None:
        return start <= ordinal
    return start <= ordinal < (wanted.stop if wanted.stop > 0 else total + 1 + wanted.stop)
