"""A step of the story, and the words that its sentences share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from inspector.annotations.findings.finding import Capture
from inspector.core.packet import Packet

SHORT = 80  # characters of a text from the capture in one sentence


class Narrated(Capture, Protocol):
    """What the story asks of a session, beside what the findings ask."""

    @property
    def count(self) -> int: ...
    def packet(self, number: int) -> Packet: ...
    def name(self, address: bytes, packet: int) -> str: ...


class Step(NamedTuple):
    """One thing that happened, in a sentence.

    kind: what it is about (`lookup`, `neighbour`, `connect`, `tls`, `request`, `response`, `events`, `message`, `trouble`,
    `close`, `icmp`, `group`); packets: those that show it, in order; begun: nanoseconds since 1970, of the first of them;
    flow: the conversation in the index, -1 for none; steps: what is told when it is opened.
    """

    kind: str
    packets: tuple[int, ...]
    begun: int
    text: str
    flow: int = -1
    steps: tuple[Step, ...] = ()

    @property
    def first(self) -> int:
        """The packet to look at first; 0 where there is none."""
        return self.packets[0] if self.packets else 0


def step(capture: Narrated, kind: str, packets: Iterable[int], text: str, flow: int = -1, steps: Sequence[Step] = ()) -> Step:
    """A step that begins with the first of its packets."""
    numbers = tuple(sorted(set(packets)))
    return Step(kind, numbers, capture.time_of(numbers[0]) if numbers else 0, text, flow, tuple(steps))



def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def ranges(packets: Sequence[int]) -> str:
    """`1–4, 9`, of numbers in order."""
    found: list[list[int]] = []
    for number in packets:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(low) if low == high else f"{low}–{high}" for low, high in found)


def duration(nanoseconds: int) -> str:
    """`28 µs`, `4.1 ms`, `2.00 s`."""
    if nanoseconds < 1_000_000:
        return f"{nanoseconds / 1e3:.0f} µs"
    return f"{nanoseconds / 1e6:.1f} ms" if nanoseconds < 1_000_000_000 else f"{nanoseconds / 1e9:,.2f} s"


def sentence(text: str) -> str:
    """With a capital letter, and a full stop."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '…', '?')) else '.'}"
