"""Text in terminal cells: cut, filled, and numbers as people read them."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size


def fit(text: str, width: int) -> str:
    """`text` in exactly `width` cells: filled with blanks, or cut with `…`."""
    if width <= 0:
        return ""
    if text.isascii():
        size = len(text)
        return text + " " * (width - size) if size <= width else text[: width - 1] + "…"
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1) + "…"


def between(ends: tuple[str, str], width: int, tails: tuple[str, str] = ("", "")) -> str:
    """`client → server`, filled to `width` cells; the longer name gives way first. tails: what follows a name, and is kept."""
    names, sizes = list(ends), [cell_len(name) for name in ends]
    room = width - cell_len(f"{tails[0]} → {tails[1]}")
    if sum(sizes) > room:
        for at, longest in enumerate((max(room - sizes[1], room - room // 2), max(room - sizes[0], room // 2))):
            names[at] = fit(names[at], min(sizes[at], longest))
    return fit(f"{names[0]}{tails[0]} → {names[1]}{tails[1]}", width)


def right(text: str, width: int) -> str:
    """Like `fit`, set to the right."""
    return " " * max(width - cell_len(text), 0) + fit(text, min(cell_len(text), width))


def octets(count: int) -> str:
    """A number of bytes: `812 B`, `1.4 kB`, `3.2 MB`."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.5 or unit == "TB":
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"
    raise AssertionError


def seconds(time_ns: int) -> str:
    """A length of time: `12 µs`, `3.4 ms`, `1.250 s`."""
    size = abs(time_ns)
    if size < 1_000:
        return f"{time_ns} ns"
    if size < 1_000_000:
        return f"{time_ns / 1e3:.0f} µs" if size >= 100_000 else f"{time_ns / 1e3:.1f} µs"
    if size < 1_000_000_000:
        return f"{time_ns / 1e6:.0f} ms" if size >= 100_000_000 else f"{time_ns / 1e6:.1f} ms"
    return f"{time_ns / 1e9:.3f} s"
