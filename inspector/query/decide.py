"""What the columns already say of a filter: for a block of packets, which surely pass and which surely do not.

Three-valued: a packet that is in neither answer is dissected. Only regular packets are decided here (see `index.decode`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from inspector.core.field import FieldSpec, Kind
from inspector.index.cells import COLUMN_FIELDS, extract
from inspector.index.columns import SHAPE_IPV4_TCP, SHAPE_IPV4_UDP, SHAPE_IPV6_TCP, SHAPE_IPV6_UDP, SHAPE_OTHER
from inspector.query import syntax
from inspector.query.catalog import ALIASES
from inspector.query.evaluate import All, Any_, Node, Odd, Test
from inspector.query.literals import integer

if TYPE_CHECKING:
    from inspector.session import Session

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
_VECTOR: dict[str, Callable[[Ints, int], Mask]] = {
    "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip
_LIMIT = 1 << 62  # numbers beyond are left to Python
# Columns that hold a field's value as it is; the first group for every packet, the second for TCP.
_ALWAYS = {"frame.number", "frame.len", "frame.cap_len", "frame.time", "frame.time_epoch", "frame.time_relative",
           "frame.time_delta", "frame.interface_id"}  # fmt: skip
_TCP = {"tcp.len": "payload_length", "tcp.seq_raw": "seq", "tcp.ack_raw": "ack", "tcp.flags": "flags",
        "tcp.window_size_value": "window"}  # fmt: skip
_FLAGS = {f"tcp.flags.{name}": bit
          for bit, name in enumerate(("fin", "syn", "reset", "push", "ack", "urg", "ece", "cwr", "ae"))}  # fmt: skip
# Fields that every packet of one direction of a flow shares.
_FLOW = {"ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "tcp.stream",
         "udp.stream"}  # fmt: skip
_BELOW = 4  # protocols up to this OSI layer are read by the columns, or are not in a regular packet


class Answer(NamedTuple):
    """yes: these pass; no: these do not; the others are not known."""

    yes: Mask
    no: Mask


class _Given:
    """A view with the values of one field."""

    def __init__(self, values: list[Any]) -> None:
        self._values = values

    def values(self, name: str, layers: tuple[syntax.Range, ...] | None = None) -> list[Any]:
        return self._values


class Speakers:
    """Which TCP packets carry more than their own layers: those that complete a unit of their conversation,
    and those whose payload no stream parser reads."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._flows: dict[int, Ints] = {}
        self._talking: set[int] = set()  # the flows with any payload; in all others nobody says anything
        self._told = 0  # packets that were looked at for such

    def quiet(self, numbers: Ints, flows: Ints) -> Mask:
        """Of regular TCP packets with these numbers and flows: those that end with their TCP layer."""
        index = self._session.index
        if self._told < index.count:
            lengths, own = index.since("payload_length", self._told), index.since("flow", self._told)
            size = min(len(lengths), len(own))
            self._talking.update(np.unique(own[:size][lengths[:size] > 0]).tolist())
            self._told += size
        found = np.ones(len(numbers), bool)
        order = np.argsort(flows, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(flows[order])) + 1):
            flow = int(flows[rows[0]]) if len(rows) else -1
            if flow not in self._talking:
                continue
            speaking = self._flows.get(flow)
            if speaking is None:
                conversation = self._session.conversation(flow)
                loose = [packet for packet in conversation.ranges if not conversation.recognised(packet)]
                speaking = self._flows[flow] = np.array(sorted({*conversation.tree.pdus, *loose}), np.int64)
            found[rows] = ~np.isin(numbers[rows], speaking)
        return found


class Block:
    """Packets `start` to `stop` (exclusive) in columns."""

    def __init__(self, session: Session, fields: dict[str, FieldSpec], start: int, stop: int) -> None:
        self.session = session
        self.fields = fields
        self.start, self.stop = start, stop
        self.size = stop - start
        shape = self.column("shape")
        self.regular: Mask = shape != SHAPE_OTHER
        self.tcp: Mask = (shape == SHAPE_IPV4_TCP) | (shape == SHAPE_IPV6_TCP)
        self.udp: Mask = (shape == SHAPE_IPV4_UDP) | (shape == SHAPE_IPV6_UDP)
        self.four: Mask = (shape == SHAPE_IPV4_TCP) | (shape == SHAPE_IPV4_UDP)
        self.six: Mask = (shape == SHAPE_IPV6_TCP) | (shape == SHAPE_IPV6_UDP)
        links = np.array([interface.link_type for interface in session.interfaces] or [0], np.int64)
        self.ethernet = self.regular & (links[self.column("interface")] == 1)
        registry = session.registry
        self.below = {name for name, protocol in registry.protocols.items() if protocol.osi <= _BELOW}
        self.redecoded = any(table == "udp.port" for table, _ in registry.decode_as)
        self.owners = owners(registry.protocols)
        self.quiet: Mask | None = None

    def column(self, name: str) -> Ints:
        return self.session.index.column(name)[self.start - 1 : self.stop - 1].astype(np.int64)

    # --- answers

    def decide(self, node: Node) -> Answer:
        if isinstance(node, Test):
            return self._test(node)
        if isinstance(node, All | Any_ | Odd):
            answers = [self.decide(part) for part in node.parts]
            yes, no = answers[0]
            for other in answers[1:]:
                if isinstance(node, All):
                    yes, no = yes & other.yes, no | other.no
                elif isinstance(node, Any_):
                    yes, no = yes | other.yes, no & other.no
                else:
                    yes, no = (yes & other.no) | (no & other.yes), (yes & other.yes) | (no & other.no)
            return Answer(yes, no)
        yes, no = self.decide(node.part)
        return Answer(no, yes)

    def unknown(self) -> Answer:
        return Answer(np.zeros(self.size, bool), np.zeros(self.size, bool))

    def _test(self, test: Test) -> Answer:
        absent = np.ones(self.size, bool)
        for name in test.fields:
            absent &= self.absent(name)
        if len(test.fields) != 1:
            return Answer(np.zeros(self.size, bool), absent)
        (name,) = test.fields
        known = self._known(test, name)
        if known is None:
            return Answer(np.zeros(self.size, bool), absent)
        return Answer(known.yes, known.no | absent)

    def absent(self, name: str) -> Mask:
        """Rows that cannot have a field or layer of that name."""
        none = np.zeros(self.size, bool)
        owners = self.owners(name)
        if owners & {"exchange", "finding"}:
            return none
        if owners <= {"tcp"}:
            return self.regular & ~self.tcp if owners else none
        if owners == {"udp"}:
            return self.regular & ~self.udp
        if owners == {"ip"}:
            return self.regular & ~self.four
        if owners == {"ipv6"}:
            return self.regular & ~self.six
        if owners == {"ip", "ipv6"}:
            return none
        if "frame" in owners or owners & {"eth", "vlan", "sll", "sll2", "null", "raw"}:
            return none
        if owners <= self.below:
            return none if self.redecoded else self.regular
        return none if self.quiet is None else self.quiet

    def _known(self, test: Test, name: str) -> Answer | None:
        """The answer of a test on one field that the columns hold; None where they do not."""
        if test.plain == (name, "present", 0):
            there = self._there(name)
            if there is not None:
                return there
        numbers = self._numbers(name)
        if numbers is not None:
            values, rows = numbers
            passed = self._numeric(test, values, rows)
            return Answer(passed, rows & ~passed)
        if _FLOW.intersection(ALIASES.get(name, (name,))):
            return self._by_flow(test, name)
        if name in COLUMN_FIELDS:
            return self._by_cell(test, name)
        return None

    def _there(self, name: str) -> Answer | None:
        rows = {"tcp": self.tcp, "udp": self.udp, "ip": self.four, "ipv6": self.six}.get(name)
        if name == "frame":
            return Answer(np.ones(self.size, bool), np.zeros(self.size, bool))
        if name == "eth":
            return Answer(self.ethernet, self.regular & ~self.ethernet)
        return None if rows is None else Answer(rows, self.regular & ~rows)

    def _numbers(self, name: str) -> tuple[Ints, Mask] | None:
        """A field's numbers, and the rows that have them."""
        every = np.ones(self.size, bool)
        if name in _ALWAYS:
            return self._frame(name), every
        if name in _TCP:
            return self.column(_TCP[name]), self.tcp
        if name in _FLAGS:
            return self.column("flags") >> _FLAGS[name] & 1, self.tcp
        if name in ("tcp.seq", "tcp.ack"):
            return self._relative(name), self.tcp
        return None

    def _frame(self, name: str) -> Ints:
        times = self.session.index.column("time_ns")
        if name == "frame.number":
            return np.arange(self.start, self.stop, dtype=np.int64)
        if name in ("frame.len", "frame.cap_len", "frame.interface_id"):
            return self.column({"frame.len": "wire", "frame.cap_len": "captured", "frame.interface_id": "interface"}[name])
        own = self.column("time_ns")
        if name == "frame.time_relative":
            return own - int(times[0])
        if name == "frame.time_delta":
            before = times[max(self.start - 2, 0) : self.stop - 2] if self.start > 1 else times[: self.size - 1]
            return own - (before if self.start > 1 else np.concatenate([times[:1], before]))
        return own

    def _relative(self, name: str) -> Ints:
        flow, direction = self.column("flow"), self.column("direction")
        bases = np.array(self.session.index.flows.base_seq or [[0, 0]], np.int64)
        if name == "tcp.seq":
            return (self.column("seq") - bases[np.maximum(flow, 0), direction]) & 0xFFFFFFFF
        value = (self.column("ack") - bases[np.maximum(flow, 0), 1 - direction]) & 0xFFFFFFFF
        return np.where(self.column("flags") & 0x10, value, self.column("ack"))

    def _numeric(self, test: Test, values: Ints, rows: Mask) -> Mask:
        if test.plain is not None:
            _, op, wanted = test.plain
            if op == "present":
                return rows.copy()
            if abs(wanted) < _LIMIT:
                return rows & _VECTOR[op](values, wanted)
        unique, inverse = np.unique(values[rows], return_inverse=True)
        passed = np.zeros(self.size, bool)
        passed[rows] = np.array([test.holds(_Given([value])) for value in unique.tolist()], bool)[inverse]
        return passed

    def _by_flow(self, test: Test, name: str) -> Answer:
        """Addresses and ports live in the table of flows: one verdict a flow and direction."""
        flows = self.session.index.flows
        wanted = [one for one in ALIASES.get(name, (name,)) if one in _FLOW]
        protocol = wanted[0].split(".")[0]
        rows = {"ip": self.four, "ipv6": self.six, "tcp": self.tcp, "udp": self.udp}[protocol]
        slots = self.column("flow") * 2 + self.column("direction")
        unique, inverse = np.unique(slots[rows], return_inverse=True)
        verdicts = np.zeros(len(unique), bool)
        memo: dict[tuple[Any, ...], bool] = {}
        for at, slot in enumerate(unique.tolist()):
            flow, direction = divmod(slot, 2)
            if flow < 0:
                continue
            ends = flows.addresses(flow)
            ports = flows.sport(flow), flows.dport(flow)
            found = {"src": ends[direction], "dst": ends[1 - direction], "srcport": ports[direction],
                     "dstport": ports[1 - direction], "stream": int(flows.stream[flow])}  # fmt: skip
            values = tuple(found[one.split(".")[1]] for one in wanted)
            if values not in memo:
                memo[values] = test.holds(_Given(list(values)))
            verdicts[at] = memo[values]
        passed = np.zeros(self.size, bool)
        passed[rows] = verdicts[inverse]
        return Answer(passed, rows & ~passed)

    def _by_cell(self, test: Test, name: str) -> Answer | None:
        """Other fields of the headers: one verdict for each distinct cell."""
        spec = self.fields[name]
        read = _CELL.get(spec.kind)
        if read is None:
            return None
        memo: dict[str, bool] = {}
        passed, failed = np.zeros(self.size, bool), np.zeros(self.size, bool)
        for row, cells in enumerate(extract(self.session.index, [name], self.start, self.stop)):
            if cells is None:
                continue
            text = cells[0]
            verdict = memo.get(text)
            if verdict is None:
                values = [read(part) for part in text.split(",")] if text else []
                verdict = memo[text] = test.holds(_Given(values))
            (passed if verdict else failed)[row] = True
        return Answer(passed, failed)


_CELL: dict[Kind, Callable[[str], Any]] = {
    Kind.UINT: integer,
    Kind.BOOL: int,
    Kind.ETHER: lambda text: bytes.fromhex(text.replace(":", "")),
}


def owners(protocols: Any) -> Callable[[str], frozenset[str]]:
    """The protocols that declare a field, or that have that name themselves."""
    found: dict[str, set[str]] = {name: {name} for name in protocols}
    for protocol in protocols.values():
        for field in protocol.fields:
            found.setdefault(field, set()).add(protocol.name)

    def of(name: str) -> frozenset[str]:
        meant = ALIASES.get(name, (name,))
        known = [found[one] for one in meant if one in found]
        return frozenset().union(*known) if known else frozenset({name.split(".")[0]})

    return of
