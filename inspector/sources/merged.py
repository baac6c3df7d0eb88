"""Several captures as one, in the order of time: the files of a ring, or what several machines saw at once.

As mergecap does it: the next packet is the earliest of those that each file has next, so that a file's own order is kept
even where its clock went backwards. Packets of the same time come in the order of the files' names on the command line.

A place in such a capture is the place in its file behind the number of the file.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence

import numpy as np

from inspector.core.errors import InspectError
from inspector.core.limits import MAX_INTERFACES
from inspector.core.packet import Interface
from inspector.sources.source import MARGIN, WINDOW, Batch, Damage, FileSource, Int64s, Source

SHIFT = 44  # of a file's number: files of 16 TiB
MAX_FILES = 1 << 18  # what then fits a place of 63 bits
FIRST = 16 * 1024  # bytes of each file that are read to see when it begins: the files of a ring wait their turn
LEAST = 256 * 1024  # bytes read at a time where many files run side by side


class Merged(Source):
    """The captures of `members`, which are closed with it."""

    def __init__(self, members: Sequence[FileSource], name: str) -> None:
        """Raises InspectError for more files, or larger ones, than places can be given to."""
        super().__init__(name)
        if len(members) > MAX_FILES or any(member.size >> SHIFT for member in members):
            raise InspectError(f"{name}: at most {MAX_FILES:,} files of 16 TiB each can be opened as one")
        self.format = " and ".join(sorted({member.format for member in members}))
        self._members = [_Member(number, source) for number, source in enumerate(members)]
        self._same: dict[Interface, list[int]] = {}  # the numbers of interfaces that are alike in everything
        self._count = 0
        self._whole, self._given = self.size, 0.0  # bytes of all files, and those that have been given
        for member in self._members:
            self._collect(member)

    @property
    def size(self) -> int:
        return sum(member.source.size for member in self._members)

    def share(self, offset: int) -> float:
        """How much of all files has been given, whatever the place."""
        return self._given / max(self._whole, 1)

    def file(self, offset: int) -> str:
        return self._members[offset >> SHIFT].source.name

    def files(self) -> list[int] | None:
        found: list[int] = []
        for member in self._members:
            own = member.source.files()
            if own is None:
                return None
            found += own
        return found

    def read(self, offset: int, size: int) -> bytes:
        return self._members[offset >> SHIFT].source.read(offset & (1 << SHIFT) - 1, size)

    def near(self, offset: int, size: int) -> bytes:
        return self._members[offset >> SHIFT].source.near(offset & (1 << SHIFT) - 1, size)

    def batches(self) -> Iterator[Batch]:
        waiting = sorted((member for member in self._members if self._filled(member)), key=_Member.begins, reverse=True)
        running: list[_Member] = []  # in the order of the files; those of a ring have their turn one after the other
        while running or waiting:
            # Up to the earliest of the last packets at hand nothing can come in between any more.
            last = min(running or waiting[-1:], key=_Member.reaches)
            while waiting and waiting[-1].begins() <= last.reaches():
                running.append(waiting.pop())
                last = min(last, running[-1], key=_Member.reaches)
            running.sort(key=lambda member: member.number)
            bound = int(last.keys[-1])
            parts: list[tuple[_Member, slice]] = []
            for member in running:
                keys = member.keys
                stop = np.searchsorted(keys, bound, "right") if member.number <= last.number else np.searchsorted(keys, bound)
                rows = slice(member.given, int(stop))
                if rows.start < rows.stop:
                    parts.append((member, rows))
                    member.given = rows.stop
            yield self._joined(parts)
            together = len(running)
            running = [member for member in running if self._filled(member, together)]
        self._tell_damage()

    def _filled(self, member: _Member, together: int = 1) -> bool:
        """There is a packet of this file at hand that has not been given. together: files that are read side by side."""
        if member.ended or member.given < len(member.keys):
            return not member.ended
        if member.begun:
            member.source.window = max(WINDOW // together, LEAST)
        more = member.fill()
        self._collect(member)
        if not more:
            self._advance(member, 1.0)
        return more

    def _advance(self, member: _Member, done: float) -> None:
        self._given += (done - member.done) * member.source.size
        member.done = done

    def _collect(self, member: _Member) -> None:
        """Take over what a file has told since: interfaces, names, secrets, comments of sections, statistics."""
        source = member.source
        for interface in source.interfaces[len(member.interfaces) :]:
            member.interfaces.append(self._interface(interface, member))
        self.names.update(source.names)
        base = member.number << SHIFT
        self.secrets += [one._replace(offset=base + one.offset) for one in source.secrets]
        self.section_comments += source.section_comments
        for told in source.interface_statistics:
            if told["interface"] < len(member.interfaces):
                self.interface_statistics.append({**told, "interface": member.interfaces[told["interface"]]})
        for taken in (source.names, source.secrets, source.section_comments, source.interface_statistics):
            taken.clear()

    def _interface(self, interface: Interface, member: _Member) -> int:
        """The number of a file's next interface: the files of a ring have the same ones."""
        alike = self._same.setdefault(interface, [])
        member.alike[interface] += 1
        if member.alike[interface] > len(alike):
            if len(self.interfaces) == MAX_INTERFACES:
                raise InspectError(f"{self.name}: the files have more than {MAX_INTERFACES:,} interfaces in all")
            alike.append(len(self.interfaces))
            self.interfaces.append(interface)
        return alike[member.alike[interface] - 1]

    def _joined(self, parts: list[tuple[_Member, slice]]) -> Batch:
        columns: list[list[Int64s]] = []
        windows, keys, at = [], [], 0
        for member, rows in parts:
            batch = member.batch
            assert batch is not None
            start = batch.start[rows]
            low, high = int(start[0]), int(start[-1] + batch.captured[rows][-1])
            places = batch.offset[rows] + (member.number << SHIFT)
            interface = np.array(member.interfaces, np.int64)[batch.interface[rows]]
            columns.append([places, batch.captured[rows], batch.wire[rows], batch.time_ns[rows], interface, start - low + at])
            windows.append(batch.window[low : min(high + MARGIN, len(batch.window))])
            keys.append(member.keys[rows])
            at += len(windows[-1])
            self._advance(member, member.source.share(int(batch.offset[rows.stop - 1])))
        if len(parts) == 1:
            order = np.arange(len(keys[0]))
            found, window = columns[0], windows[0]
        else:
            order = np.argsort(np.concatenate(keys), kind="stable")
            found = [np.concatenate(column)[order] for column in zip(*columns, strict=True)]
            window = np.concatenate([*windows, np.zeros(MARGIN + 1, np.uint8)])
        self._comments(parts, order)
        self._count += len(order)
        offset, captured, wire, time, interface, start = found
        return Batch(offset, captured, wire, time, interface, start, window)

    def _comments(self, parts: list[tuple[_Member, slice]], order: Int64s) -> None:
        """The comments of these packets, by their numbers here."""
        place: Int64s | None = None
        before = 0
        for member, rows in parts:
            while member.comments and member.comments[0][0] < member.first + rows.stop:
                number, texts = member.comments.popleft()
                if place is None:
                    place = np.empty(len(order), np.int64)
                    place[order] = np.arange(len(order))
                row = number - member.first - rows.start
                self.comments[self._count + 1 + int(place[before + row])] = texts
            before += rows.stop - rows.start

    def _tell_damage(self) -> None:
        damaged = [(member, member.source.damage) for member in self._members if member.source.damage is not None]
        if damaged and self.damage is None:
            text = "; ".join(f"{member.source.name}: {damage.text}" for member, damage in damaged if damage is not None)
            first = min((member.number << SHIFT) + damage.offset for member, damage in damaged if damage is not None)
            self.damage = Damage(first, self._count, text)

    def again(self) -> Merged:
        return Merged([member.source.again() for member in self._members], self.name)

    def shrunk(self) -> None:
        for member in self._members:
            if member.source.size < member.reached:
                member.source.shrunk()
        self._tell_damage()

    def stop(self) -> None:
        for member in self._members:
            member.source.stop()

    def close(self) -> None:
        for member in self._members:
            member.source.close()


class _Member:
    """A file, and its packets that are at hand: those of `batch` from row `given` on.

    keys: when each one's turn comes: its time, or that of a later one before it in the file; first: the number, in the
    file, of the batch's first packet, counted from 1; done: the share that was given.
    """

    def __init__(self, number: int, source: FileSource) -> None:
        self.number = number
        self.source = source
        self.interfaces: list[int] = []  # their numbers in the whole
        self.alike: Counter[Interface] = Counter()
        self.comments: deque[tuple[int, list[str]]] = deque()
        self.batch: Batch | None = None
        self.keys: Int64s = np.zeros(0, np.int64)
        self.given = 0
        self.first = 1
        self.reached = 0
        self.done = 0.0
        self.begun = self.ended = False  # more than its first packets were wanted; there are no more
        source.window = FIRST
        self._batches = source.batches()

    def begins(self) -> tuple[int, int]:
        """When the turn of the first packet at hand comes, before or behind those of other files."""
        return int(self.keys[0]), self.number

    def reaches(self) -> tuple[int, int]:
        """When the turn of the last packet at hand comes."""
        return int(self.keys[-1]), self.number

    def fill(self) -> bool:
        """Get the next packets; false where there are none."""
        self.begun = self.batch is not None
        self.first += len(self.keys)
        before = self.keys[-1:]
        self.batch = next(self._batches, None)
        self.given = 0
        if self.batch is None:
            self.keys, self.ended = self.keys[:0], True
            return False
        self.keys = np.maximum.accumulate(np.concatenate([before, self.batch.time_ns]))[len(before) :]
        self.reached = int(self.batch.offset[-1] + self.batch.captured[-1])
        self.comments.extend(self.source.comments.items())
        self.source.comments.clear()
        return True
