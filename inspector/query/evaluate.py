"""The tree of a filter, typed by the field catalogue, as tests on one packet's values.

A comparison holds where any pair of values holds it; `!=` and `===` want every pair, and both sides present (Wireshark 4.0).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from inspector.core.field import FieldSpec, Kind, cell
from inspector.core.span import Span
from inspector.query import syntax
from inspector.query.literals import GROUPS, NUMBERS, OCTETS, TEXTS, Network, Unfit, convert, shown
from inspector.query.syntax import At, FilterError


class View(Protocol):
    """What a test asks of a packet."""

    def values(self, name: str, layers: tuple[syntax.Range, ...] | None = None) -> list[Any]:
        """The values of a field, or the spans of a protocol's layers, in the order of the packet."""


class Value(NamedTuple):
    """An expression with a type. get: its values in a packet; fields: the names that it asks for."""

    spec: FieldSpec
    get: Callable[[View], list[Any]]
    fields: frozenset[str]
    at: At
    constant: Any = None  # for a literal

    @property
    def kind(self) -> Kind:
        return self.spec.kind


class Test(NamedTuple):
    """A test that is made on a packet. plain: (field, operator, number) where that is all of it; the
    operator `present` asks only whether the field is there."""

    holds: Callable[[View], bool]
    fields: frozenset[str]
    plain: tuple[str, str, int] | None = None


class All(NamedTuple):
    parts: tuple[Any, ...]


class Any_(NamedTuple):
    parts: tuple[Any, ...]


class Odd(NamedTuple):
    """Exclusive or: an odd number of parts hold."""

    parts: tuple[Any, ...]


class Never(NamedTuple):
    """Negation."""

    part: Any


Node = Test | All | Any_ | Odd | Never

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "%": operator.mod, "&": operator.and_,
}  # fmt: skip
NUMBER = FieldSpec("a number", Kind.INT, "")
TEXT = FieldSpec("a text", Kind.STRING, "")
BYTES = FieldSpec("bytes", Kind.BYTES, "")


def holds(node: Node, view: View) -> bool:
    """Does a packet pass?"""
    if isinstance(node, Test):
        return node.holds(view)
    if isinstance(node, All):
        return all(holds(part, view) for part in node.parts)
    if isinstance(node, Any_):
        return any(holds(part, view) for part in node.parts)
    if isinstance(node, Odd):
        return sum(holds(part, view) for part in node.parts) % 2 == 1
    return not holds(node.part, view)


def fields_of(node: Node) -> frozenset[str]:
    """Every name that is asked for."""
    if isinstance(node, Test):
        return node.fields
    parts = (node.part,) if isinstance(node, Never) else node.parts
    return frozenset().union(*map(fields_of, parts))


class Typist:
    """Gives every part of a filter its type. fields: the catalogue; protocols: the names of the layers."""

    def __init__(self, text: str, fields: Mapping[str, FieldSpec], protocols: frozenset[str]) -> None:
        self.text = text
        self.fields = fields
        self.protocols = protocols

    def fail(self, reason: str, at: At) -> FilterError:
        return FilterError(self.text, reason, at)

    # --- tests

    def test(self, node: Any) -> Node:
        if isinstance(node, syntax.Join):
            parts = tuple(self.test(part) for part in node.parts)
            return All(parts) if node.op == "and" else Any_(parts) if node.op == "or" else Odd(parts)
        if isinstance(node, syntax.Not):
            return Never(self.test(node.of))
        if isinstance(node, syntax.Present):
            return self._present(node)
        if isinstance(node, syntax.Member):
            return self._member(node)
        if node.op in ("contains", "matches"):
            return self._search(node)
        return self._compare(node)

    def _present(self, node: syntax.Present) -> Test:
        if self._is_literal(node.of):
            raise self._unknown(node.of)
        of = self.value(node.of, None)
        get = of.get
        if isinstance(node.of, syntax.Arithmetic):
            return Test(lambda view: any(map(_nonzero, get(view))), of.fields)
        alone = isinstance(node.of, syntax.Word) and node.of.layers is None
        return Test(lambda view: bool(get(view)), of.fields, (node.of.text, "present", 0) if alone else None)

    def _compare(self, node: syntax.Compare) -> Test:
        left, right = self._sides(node.left, node.right)
        fields = left.fields | right.fields
        compare = _COMPARE[node.op]
        network = next((side.constant for side in (left, right) if isinstance(side.constant, Network)), None)
        if network is not None:
            compare = _masked(compare, network.mask)
        get, other = left.get, right.get
        if right.constant is not None:
            wanted = right.constant
            if node.every:
                return Test(lambda view: bool(found := get(view)) and all(compare(value, wanted) for value in found), fields,
                            self._plain(node, wanted))  # fmt: skip
            return Test(lambda view: any(compare(value, wanted) for value in get(view)), fields, self._plain(node, wanted))

        def pairs(view: View) -> bool:
            found, others = get(view), other(view)
            if not found or not others:
                return False
            held = (compare(one, two) for one in found for two in others)
            return all(held) if node.every else any(held)

        return Test(pairs, fields)

    def _plain(self, node: syntax.Compare, wanted: Any) -> tuple[str, str, int] | None:
        left = node.left
        if isinstance(left, syntax.Word) and left.layers is None and isinstance(wanted, int):
            return left.text, node.op, int(wanted)
        return None

    def _search(self, node: syntax.Compare) -> Test:
        left = self.value(node.left, None)
        if left.constant is not None or self._is_literal(node.left):
            raise self._unknown(node.left)
        if node.op == "matches":
            return self._matches(node, left)
        if left.kind not in OCTETS and left.kind not in TEXTS:
            text = f"{self._name(left)} is {_article(left.kind)}: only texts and bytes contain something; see also string()"
            raise self.fail(text, left.at)
        like = left if left.kind in TEXTS else left._replace(spec=BYTES)
        right = self.value(node.right, like)
        self._same(like, right)
        get, other = left.get, right.get
        if node.every:
            return Test(
                lambda view: bool(found := get(view)) and all(two in one for one in found for two in other(view)),
                left.fields | right.fields,
            )
        return Test(lambda view: any(two in one for one in get(view) for two in other(view)), left.fields | right.fields)

    def _matches(self, node: syntax.Compare, left: Value) -> Test:
        if not (isinstance(node.right, syntax.Literal) and node.right.kind == "string"):
            raise self.fail("matches takes a regular expression in double quotes", node.right.at)
        pattern, flags = node.right.text, re.IGNORECASE
        if pattern.startswith("(?-i)"):
            pattern, flags = pattern[5:], re.NOFLAG
        try:
            text = re.compile(pattern, flags)
            raw = re.compile(pattern.encode("utf-8", "surrogateescape"), flags)
        except (re.error, OverflowError, RecursionError) as error:
            raise self.fail(f"the regular expression is wrong: {error}", node.right.at) from None
        get, spec, quantity = left.get, left.spec, all if node.every else any
        if left.kind is Kind.BYTES:
            return Test(lambda view: bool(found := get(view)) and quantity(raw.search(_raw(one)) for one in found), left.fields)
        if left.kind in TEXTS:
            return Test(lambda view: bool(found := get(view)) and quantity(text.search(one) for one in found), left.fields)
        return Test(
            lambda view: bool(found := get(view)) and quantity(text.search(cell(spec, one)) for one in found), left.fields
        )

    def _member(self, node: syntax.Member) -> Test:
        of = self.value(node.of, None)
        if of.constant is not None or self._is_literal(node.of):
            raise self._unknown(node.of)
        fields = of.fields
        single: list[Callable[[Any, View], bool]] = []
        constants: set[Any] = set()
        for low, high in node.elements:
            first = self._other(of, low)
            fields |= first.fields
            if high is None and first.constant is not None and not isinstance(first.constant, Network):
                constants.add(first.constant)
            elif high is None:
                single.append(_one(first))
            else:
                last = self._other(of, high)
                fields |= last.fields
                for end in (first, last):
                    if isinstance(end.constant, Network):
                        raise self.fail("a range goes from an address to an address", end.at)
                single.append(_between(first, last))
        get, quantity = of.get, all if node.every else any

        def member(view: View) -> bool:
            found = get(view)
            return bool(found) and quantity(
                value in constants or any(within(value, view) for within in single) for value in found
            )

        return Test(member, fields)

    # --- values

    def _sides(self, left: Any, right: Any) -> tuple[Value, Value]:
        if not self._is_literal(left):
            one = self.value(left, None)
            return one, self._other(one, right)
        if self._is_literal(right):
            raise self._unknown(left)
        two = self.value(right, None)
        return self._other(two, left), two

    def _other(self, like: Value, node: Any) -> Value:
        found = self.value(node, like)
        self._same(like, found)
        return found

    def _same(self, one: Value, two: Value) -> None:
        """Both sides are of types that can be compared."""
        group = next(group for group in GROUPS if one.kind in group)
        if two.kind not in group:
            text = f"{self._name(one)} is {_article(one.kind)} and {self._name(two)} is {_article(two.kind)}"
            raise self.fail(f"{text}: these cannot be compared", two.at)
        if one.kind is Kind.NONE:
            raise self.fail(f"{one.spec.name} has no value; only whether it is there can be asked", one.at)

    def _name(self, value: Value) -> str:
        return self.text[value.at.start : value.at.stop]

    def _is_literal(self, node: Any) -> bool:
        """There is no field in it."""
        if isinstance(node, syntax.Literal):
            return True
        if isinstance(node, syntax.Word):
            return node.layers is None and not self._known(node.text)
        if isinstance(node, syntax.Arithmetic):
            return self._is_literal(node.left) and (node.right is None or self._is_literal(node.right))
        return False

    def _known(self, name: str) -> bool:
        return name in self.fields or name in self.protocols

    def _unknown(self, node: Any) -> FilterError:
        from difflib import get_close_matches

        while isinstance(node, syntax.Arithmetic):
            node = node.left
        if isinstance(node, syntax.Literal) or node.text[:1].isdigit():
            return self.fail(f"{shown(node.text)} is a value; a field belongs here", node.at)
        near = get_close_matches(node.text, [*self.fields, *self.protocols], 1, 0.5)
        return self.fail(
            f"no field and no protocol is called {shown(node.text)}" + (f"; did you mean {near[0]}?" if near else ""), node.at
        )

    def value(self, node: Any, like: Value | None) -> Value:
        """An expression. like: the other side, which gives a literal its type."""
        if self._is_literal(node):
            if like is None:
                raise self._unknown(node)
            return self._literal(node, like)
        if isinstance(node, syntax.Word):
            return self._field(node)
        if isinstance(node, syntax.Slice):
            return self._slice(node)
        if isinstance(node, syntax.Call):
            return self._call(node)
        return self._calculate(node)

    def _literal(self, node: Any, like: Value) -> Value:
        if isinstance(node, syntax.Arithmetic):
            found = self._literal(node.left, like).constant
            if node.right is not None:
                found = self._apply(node, found, self._literal(node.right, like).constant)
            elif like.kind in OCTETS or like.kind in TEXTS:
                raise self.fail("a minus stands in front of a number", node.at)
            else:
                found = -found
        else:
            how = node.kind if isinstance(node, syntax.Literal) else "word"
            try:
                found = convert(like.spec, node.text, how)
            except Unfit as unfit:
                raise self.fail(f"{shown(node.text)} {unfit}", node.at) from None
        held = [found.address if isinstance(found, Network) else found]
        return Value(like.spec, lambda view: held, frozenset(), node.at, found)

    def _apply(self, node: syntax.Arithmetic, left: Any, right: Any) -> Any:
        try:
            return _calculation(node.op)(left, right)
        except (ZeroDivisionError, TypeError):
            raise self.fail("this cannot be calculated", node.at) from None

    def _field(self, node: syntax.Word) -> Value:
        name, layers = node.text, node.layers
        if not self._known(name):
            raise self._unknown(node)
        spec = self.fields.get(name)
        if spec is not None:
            return Value(spec, lambda view: view.values(name, layers), frozenset({name}), node.at)
        spec = FieldSpec(name, Kind.BYTES, name)
        return Value(spec, lambda view: [_Lazy(span) for span in view.values(name, layers)], frozenset({name}), node.at)

    def _slice(self, node: syntax.Slice) -> Value:
        of = self.value(node.of, None)
        if of.kind not in OCTETS and of.kind not in TEXTS:
            raise self.fail(f"{self._name(of)} is {_article(of.kind)}: only texts and bytes have slices", node.at)
        get, ranges = of.get, node.ranges

        def pieces(view: View) -> list[bytes]:
            found = (_cut(_raw(value), ranges) for value in get(view))
            return [piece for piece in found if piece is not None]

        return Value(BYTES, pieces, of.fields, node.at)

    def _call(self, node: syntax.Call) -> Value:
        make = _FUNCTIONS.get(node.name)
        if make is None:
            from difflib import get_close_matches

            near = get_close_matches(node.name, _FUNCTIONS, 1)
            known = f"did you mean {near[0]}()?" if near else f"there are {', '.join(_FUNCTIONS)}"
            raise self.fail(f"no function is called {node.name}; {known}", node.at)
        if not node.arguments or (node.name not in ("max", "min") and len(node.arguments) != 1):
            raise self.fail(f"{node.name}() takes {'values' if node.name in ('max', 'min') else 'one value'}", node.at)
        first = self.value(node.arguments[0], None)
        arguments = [first, *(self._other(first, argument) for argument in node.arguments[1:])]
        if node.name in ("upper", "lower") and first.kind not in TEXTS:
            raise self.fail(f"{node.name}() works on texts; {self._name(first)} is {_article(first.kind)}", node.at)
        if node.name == "len" and first.kind not in OCTETS | TEXTS:
            raise self.fail(f"len() works on texts and bytes; {self._name(first)} is {_article(first.kind)}", node.at)
        if node.name == "abs" and first.kind not in NUMBERS | {Kind.DURATION}:
            raise self.fail(f"abs() works on numbers; {self._name(first)} is {_article(first.kind)}", node.at)
        spec, get = make(arguments)
        return Value(spec, get, frozenset().union(*(argument.fields for argument in arguments)), node.at)

    def _calculate(self, node: syntax.Arithmetic) -> Value:
        if node.right is None:
            of = self.value(node.left, None)
            if of.kind not in NUMBERS | {Kind.DURATION}:
                raise self.fail("a minus stands in front of a number", node.at)
            get_one = of.get
            return Value(_free(of.spec), lambda view: [-value for value in get_one(view)], of.fields, node.at)
        left, right = self._sides(node.left, node.right)
        allowed = NUMBERS | ({Kind.BYTES} if node.op == "&" else {Kind.DURATION, Kind.TIME})
        for side in (left, right):
            if side.kind not in allowed:
                raise self.fail(f"{self._name(side)} is {_article(side.kind)}: {node.op} does not work on it", side.at)
        calculate, get, other = _calculation(node.op), left.get, right.get

        def results(view: View) -> list[Any]:
            found = []
            for one in get(view):
                for two in other(view):
                    try:
                        found.append(calculate(_whole(one), _whole(two)))
                    except ZeroDivisionError:
                        continue
            return found

        return Value(_free(left.spec), results, left.fields | right.fields, node.at)


class _Lazy:
    """The bytes of a protocol's layer, read only where they are compared."""

    __slots__ = ("_data", "_span")

    def __init__(self, span: Span) -> None:
        self._span = span
        self._data: bytes | None = None

    def __bytes__(self) -> bytes:
        if self._data is None:
            self._data = self._span.read()
        return self._data

    def __eq__(self, other: object) -> bool:
        return bytes(self) == _raw(other)

    def __hash__(self) -> int:
        return hash(bytes(self))

    def __lt__(self, other: Any) -> bool:
        return bytes(self) < _raw(other)

    def __le__(self, other: Any) -> bool:
        return bytes(self) <= _raw(other)

    def __gt__(self, other: Any) -> bool:
        return bytes(self) > _raw(other)

    def __ge__(self, other: Any) -> bool:
        return bytes(self) >= _raw(other)

    def __contains__(self, other: Any) -> bool:
        return _raw(other) in bytes(self)

    def __len__(self) -> int:
        return self._span.size


def _raw(value: Any) -> bytes:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)


def _whole(value: Any) -> Any:
    return bytes(value) if isinstance(value, _Lazy) else value


def _nonzero(value: Any) -> bool:
    return any(value) if isinstance(value, bytes) else bool(value)


def _free(spec: FieldSpec) -> FieldSpec:
    """The type of what is calculated: without the bounds and words of its field."""
    return NUMBER if spec.kind in (Kind.UINT, Kind.BOOL, Kind.FRAME) else FieldSpec(spec.name, spec.kind, "")


def _calculation(op: str) -> Callable[[Any, Any], Any]:
    def divide(left: Any, right: Any) -> Any:
        if isinstance(left, float) or isinstance(right, float):
            return left / right
        return abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)  # towards zero, as C divides

    def mask(left: Any, right: Any) -> Any:
        if isinstance(left, bytes):
            return bytes(one & two for one, two in zip(left, right, strict=False))
        return left & right

    return {"/": divide, "&": mask}.get(op) or _ARITHMETIC[op]


def _masked(compare: Callable[[Any, Any], bool], mask: int) -> Callable[[Any, Any], bool]:
    def number(value: Any) -> int:
        if isinstance(value, Network):
            return value.address
        return (value if isinstance(value, int) else int.from_bytes(value, "big")) & mask

    return lambda left, right: compare(number(left), number(right))


def _one(of: Value) -> Callable[[Any, View], bool]:
    if isinstance(of.constant, Network):
        same, network = _masked(operator.eq, of.constant.mask), of.constant
        return lambda value, view: same(value, network)
    return lambda value, view: any(value == other for other in of.get(view))


def _between(first: Value, last: Value) -> Callable[[Any, View], bool]:
    if first.constant is not None and last.constant is not None:
        low, high = first.constant, last.constant
        return lambda value, view: bool(low <= value <= high)
    return lambda value, view: any(one <= value for one in first.get(view)) and any(value <= two for two in last.get(view))


def _cut(data: bytes, ranges: tuple[syntax.Range, ...]) -> bytes | None:
    """The ranges of a value, joined; None where one lies outside of it."""
    parts = []
    for start, stop, length in ranges:
        begin = start + len(data) if start < 0 else start
        end = len(data) if stop is None else stop + len(data) if stop < 0 else stop
        if length is not None:
            end = begin + length if length >= 0 else len(data) + length
        if not 0 <= begin < end <= len(data):
            return None
        parts.append(data[begin:end])
    return b"".join(parts)


_Made = tuple[FieldSpec, Callable[[View], list[Any]]]


def _count(arguments: list[Value]) -> _Made:
    get = arguments[0].get
    return NUMBER, lambda view: [len(found)] if (found := get(view)) else []


def _best(choose: Callable[..., Any]) -> Callable[[list[Value]], _Made]:
    def make(arguments: list[Value]) -> _Made:
        def chosen(view: View) -> list[Any]:
            found = [value for argument in arguments for value in argument.get(view)]
            return [choose(found)] if found else []

        return _free(arguments[0].spec), chosen

    return make


def _each(spec: FieldSpec | None, change: Callable[[FieldSpec], Callable[[Any], Any]]) -> Callable[[list[Value]], _Made]:
    def make(arguments: list[Value]) -> _Made:
        of = arguments[0]
        get, one = of.get, change(of.spec)
        return spec or _free(of.spec), lambda view: [one(value) for value in get(view)]

    return make


_FUNCTIONS: dict[str, Callable[[list[Value]], _Made]] = {
    "len": _each(NUMBER, lambda spec: lambda value: len(value) if isinstance(value, _Lazy) else len(_raw(value))),
    "count": _count,
    "upper": _each(TEXT, lambda spec: str.upper),
    "lower": _each(TEXT, lambda spec: str.lower),
    "string": _each(TEXT, lambda spec: lambda value: cell(spec, _whole(value))),
    "max": _best(max),
    "min": _best(min),
    "abs": _each(None, lambda spec: abs),
}


def _article(kind: Kind) -> str:
    return {
        Kind.UINT: "a number", Kind.INT: "a number", Kind.FRAME: "the number of a packet", Kind.BOOL: "true or false",
        Kind.BYTES: "bytes", Kind.STRING: "a text", Kind.IPV4: "an IPv4 address", Kind.IPV6: "an IPv6 address",
        Kind.ETHER: "an Ethernet address", Kind.OID: "an object identifier", Kind.FLOAT: "a number",
        Kind.DURATION: "a length of time", Kind.TIME: "a point in time", Kind.NONE: "a heading without a value",
    }[kind]  # fmt: skip
