"""The grammar of display filters, Wireshark's (wireshark-filter(4)): a text becomes a tree of what was written.

Names, numbers and addresses are all words here; what a word means is decided where the type of the other side is known.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from inspector.core.errors import InspectError

if TYPE_CHECKING:
    from lark import Lark

MAX_FILTER = 16 * 1024  # characters of a filter
MAX_DEPTH = 100  # parentheses and `not` inside one another

GRAMMAR = r"""
start: expr
?expr: xor (OR xor)*                -> disjunction
?xor: conj (XOR conj)*              -> exclusive
?conj: neg (AND neg)*               -> conjunction
?neg: NOT neg                       -> negation
    | ANY test                      -> any_of
    | ALL test                      -> all_of
    | test
    | "(" expr ")"                  -> inner
?test: sum                          -> present
    | sum (COMPARE sum)+            -> compare
    | entity CONTAINS entity        -> search
    | entity MATCHES entity         -> search
    | entity IN set                 -> member
    | entity NOT IN set             -> no_member
?sum: sum BITAND term               -> arithmetic
    | term
?term: term (PLUS | MINUS) factor   -> arithmetic
    | factor
?factor: factor (STAR | SLASH | PERCENT) unary -> arithmetic
    | unary
?unary: PLUS entity                 -> positive
    | MINUS entity                  -> negative
    | "{" sum "}"                   -> inner
    | entity
?entity: STRING                     -> string
    | CHAR                          -> char
    | WORD                          -> word
    | WORD "#" INDEX                -> layered
    | WORD "#" "[" ranges "]"       -> layered
    | entity "[" ranges "]"         -> slice
    | WORD "(" [sum ("," sum)*] ")" -> call
set: "{" element ("," element)* "}"
element: signed [DOTDOT signed]
?signed: PLUS entity                -> positive
    | MINUS entity                  -> negative
    | entity
ranges: RANGE ("," RANGE)*

OR.3: /or(?![\w.:-])|\|\|/
XOR.3: /xor(?![\w.:-])|\^\^/
AND.3: /and(?![\w.:-])|&&/
NOT.3: /not(?![\w.:-])|!(?!=)/
ANY.3: /any(?![\w.:-])/
ALL.3: /all(?![\w.:-])/
IN.3: /in(?![\w.:-])/
CONTAINS.3: /contains(?![\w.:-])/
MATCHES.3: /matches(?![\w.:-])|~(?!=)/
COMPARE.3: /===|!==|==|!=|~=|>=|<=|>|<|(eq|ne|gt|ge|lt|le|any_eq|all_eq|any_ne|all_ne)(?![\w.:-])/
BITAND.3: /&(?!&)|(bitand|bitwise_and)(?![\w.:-])/
PLUS: "+"
MINUS: "-"
STAR: "*"
SLASH: "/"
PERCENT: "%"
DOTDOT: ".."
STRING.2: /[rR]?"(\\.|[^"\\])*"/s
CHAR: /'(\\.[^']*|[^'\\])'/s
WORD: /[A-Za-z0-9_:](?:[A-Za-z0-9_:\/-]|\.(?!\.))*/
INDEX: /[0-9]+/
RANGE: /[^\]\[,]+/
%ignore /[ \t\r\n]+/
"""


class At(NamedTuple):
    """Columns `start` to `stop` of the filter's text."""

    start: int
    stop: int


class FilterError(InspectError):
    """A filter that means nothing. start, stop: the columns of its text where that shows, counted from 0."""

    def __init__(self, text: str, reason: str, at: At) -> None:
        super().__init__(f"filter, column {at.start + 1}: {reason}")
        self.filter = text
        self.reason = reason
        self.start, self.stop = at


class Literal(NamedTuple):
    """A value as it was written. kind: `word` (no quotes), `string` or `char`; text: without quotes and escapes."""

    kind: str
    text: str
    at: At
    negative: bool = False


class Word(NamedTuple):
    """A name, or an unquoted value. layers: ranges of the occurrences of its protocol in a packet, from 1; None for all."""

    text: str
    at: At
    layers: tuple[Range, ...] | None = None


class Range(NamedTuple):
    """Bytes `start` to `stop` (exclusive) of a value; negative numbers count from its end, None goes as far as it has bytes.
    length: the number of bytes, where that was given in place of `stop`."""

    start: int
    stop: int | None
    length: int | None = None


class Slice(NamedTuple):
    of: Any
    ranges: tuple[Range, ...]
    at: At


class Call(NamedTuple):
    name: str
    arguments: tuple[Any, ...]
    at: At


class Arithmetic(NamedTuple):
    """op: one of + - * / % &, or `neg` with `right` None."""

    op: str
    left: Any
    right: Any
    at: At


class Present(NamedTuple):
    of: Any
    at: At


class Compare(NamedTuple):
    """left op right. op: one of == != < <= > >= contains matches; every: all pairs of values must hold, not any."""

    op: str
    every: bool
    left: Any
    right: Any
    at: At


class Member(NamedTuple):
    """elements: (low, high) pairs; high is None for a single value."""

    of: Any
    elements: tuple[tuple[Any, Any], ...]
    every: bool
    at: At


class Not(NamedTuple):
    of: Any
    at: At


class Join(NamedTuple):
    """op: and, or, xor."""

    op: str
    parts: tuple[Any, ...]
    at: At


_OPERATORS = {
    "==": ("==", False), "eq": ("==", False), "any_eq": ("==", False), "===": ("==", True), "all_eq": ("==", True),
    "!=": ("!=", True), "ne": ("!=", True), "all_ne": ("!=", True),
    "!==": ("!=", False), "~=": ("!=", False), "any_ne": ("!=", False),
    ">": (">", False), "gt": (">", False), ">=": (">=", False), "ge": (">=", False),
    "<": ("<", False), "lt": ("<", False), "<=": ("<=", False), "le": ("<=", False),
}  # fmt: skip
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_PIECE = re.compile(r"""\s*([A-Za-z0-9_:.]+|"(?:\\.|[^"\\])*"|'[^']*'|[=!<>~]=+|&&|\|\||\^\^|\S)""", re.DOTALL)
_RANGE = re.compile(r"\s*(?:(-?\d+)\s*(?:(:)\s*(-?\d+)?|-\s*(-?\d+))?|(:)\s*(\d+))\s*")


def parse(text: str) -> Any:
    """The tree of a filter; None for an empty one. Raises FilterError."""
    if not text.strip():
        return None
    if len(text) > MAX_FILTER:
        raise FilterError(text, f"longer than {MAX_FILTER:,} characters", At(MAX_FILTER, len(text)))
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    try:
        tree = _parser().parse(text)
        return _Builder(text).build(tree)
    except UnexpectedToken as error:
        raise _unexpected(text, len(text) if error.token.type == "$END" else error.token.start_pos or 0) from None
    except UnexpectedCharacters as error:
        raise _unexpected(text, error.pos_in_stream or 0) from None


def _unexpected(text: str, at: int) -> FilterError:
    """What to say of a place where the grammar does not go on."""
    found = _PIECE.match(text, at)
    if found is None:
        return FilterError(text, "the filter ends too early", At(len(text), len(text)))
    piece = found.group(1)
    here = At(found.start(1), found.end(1))
    if piece == "=":
        return FilterError(text, "equality is written ==", here)
    if piece in ('"', "'"):
        return FilterError(text, "the closing quote is missing", At(here.start, len(text)))
    return FilterError(text, f"“{piece}” does not belong here", here)


@cache
def _parser() -> Lark:
    from lark import Lark

    return Lark(GRAMMAR, parser="lalr", lexer="contextual", propagate_positions=True, maybe_placeholders=False)


class _Builder:
    """From the parser's tree to the one of this module."""

    def __init__(self, text: str) -> None:
        self.text = text

    def build(self, tree: Any, depth: int = 0) -> Any:
        if depth > 4 * MAX_DEPTH:
            raise FilterError(self.text, f"more than {MAX_DEPTH} levels inside one another", self._at(tree))
        made = getattr(self, f"_{tree.data}")
        children = [child if not hasattr(child, "data") else self.build(child, depth + 1) for child in tree.children]
        return made(children, self._at(tree))

    @staticmethod
    def _at(tree: Any) -> At:
        meta = tree.meta
        return At(meta.start_pos, meta.end_pos) if not meta.empty else At(0, 0)

    # Every method takes the children, tokens or built nodes, and where the whole stands.

    def _start(self, children: list[Any], at: At) -> Any:
        return self._test(children[0])

    def _inner(self, children: list[Any], at: At) -> Any:
        return children[0]

    def _test(self, node: Any) -> Any:
        """A value where a test is wanted: is it there?"""
        return node if isinstance(node, Compare | Member | Not | Join | Present) else Present(node, node.at)

    def _join(self, op: str, children: list[Any], at: At) -> Any:
        parts = [self._test(child) for child in children[::2]]
        return parts[0] if len(parts) == 1 else Join(op, tuple(parts), at)

    def _disjunction(self, children: list[Any], at: At) -> Any:
        return self._join("or", children, at)

    def _exclusive(self, children: list[Any], at: At) -> Any:
        return self._join("xor", children, at)

    def _conjunction(self, children: list[Any], at: At) -> Any:
        return self._join("and", children, at)

    def _negation(self, children: list[Any], at: At) -> Not:
        return Not(self._test(children[1]), at)

    def _present(self, children: list[Any], at: At) -> Present:
        return Present(children[0], at)

    def _quantified(self, node: Any, every: bool) -> Any:
        if isinstance(node, Compare | Member):
            return node._replace(every=every)
        if isinstance(node, Not):
            return node._replace(of=self._quantified(node.of, every))
        if isinstance(node, Join):
            return node._replace(parts=tuple(self._quantified(part, every) for part in node.parts))
        raise FilterError(self.text, "“any” and “all” stand in front of a comparison", node.at)

    def _any_of(self, children: list[Any], at: At) -> Any:
        return self._quantified(self._test(children[1]), False)

    def _all_of(self, children: list[Any], at: At) -> Any:
        return self._quantified(self._test(children[1]), True)

    def _compare(self, children: list[Any], at: At) -> Any:
        found = []
        for i in range(0, len(children) - 2, 2):
            op, every = _OPERATORS[str(children[i + 1])]
            left, right = children[i], children[i + 2]
            found.append(Compare(op, every, left, right, At(left.at.start, right.at.stop)))
        return found[0] if len(found) == 1 else Join("and", tuple(found), at)

    def _search(self, children: list[Any], at: At) -> Compare:
        op = "contains" if children[1] == "contains" else "matches"
        return Compare(op, False, children[0], children[2], at)

    def _member(self, children: list[Any], at: At) -> Member:
        return Member(children[0], children[-1], False, at)

    def _no_member(self, children: list[Any], at: At) -> Not:
        return Not(Member(children[0], children[-1], False, at), at)

    def _set(self, children: list[Any], at: At) -> tuple[Any, ...]:
        return tuple(children)

    def _element(self, children: list[Any], at: At) -> tuple[Any, Any]:
        return children[0], children[2] if len(children) > 2 else None

    def _arithmetic(self, children: list[Any], at: At) -> Arithmetic:
        op = {"bitand": "&", "bitwise_and": "&"}.get(str(children[1]), str(children[1]))
        return Arithmetic(op, children[0], children[2], at)

    def _positive(self, children: list[Any], at: At) -> Any:
        return children[1]

    def _negative(self, children: list[Any], at: At) -> Any:
        of = children[1]
        if isinstance(of, Word):
            return Arithmetic("neg", of, None, at)
        if isinstance(of, Literal):
            raise FilterError(self.text, "a minus stands in front of a number or a field", at)
        return Arithmetic("neg", of, None, at)

    def _string(self, children: list[Any], at: At) -> Literal:
        token = str(children[0])
        if token[0] in "rR":
            return Literal("string", token[2:-1].replace('\\"', '"') if '\\"' in token else token[2:-1], at)
        return Literal("string", self._unescape(token[1:-1], at), at)

    def _char(self, children: list[Any], at: At) -> Literal:
        text = self._unescape(str(children[0])[1:-1], at)
        if len(text) != 1:
            raise FilterError(self.text, "a character between single quotes is one character; texts take double quotes", at)
        return Literal("char", text, at)

    def _unescape(self, text: str, at: At) -> str:
        def one(found: re.Match[str]) -> str:
            hexadecimal, octal, short, long, char = found.groups()
            if hexadecimal or octal:
                value = int(hexadecimal, 16) if hexadecimal else int(octal, 8)
                if value > 255:
                    raise FilterError(self.text, f"\\{octal} is more than 255", at)
                return chr(value) if value < 128 else chr(0xDC00 + value)
            if short or long:
                value = int(short or long, 16)
                if value > 0x10FFFF or 0xD800 <= value < 0xE000:
                    raise FilterError(self.text, f"U+{value:X} is no character", at)
                return chr(value)
            if char in _ESCAPES or char in "\"'\\":
                return _ESCAPES.get(char, char)
            raise FilterError(self.text, f'\\{char} is no escape; a backslash is written \\\\ or in a raw string r"…"', at)

        written = _ESCAPE.sub(one, text)
        return written.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")

    def _word(self, children: list[Any], at: At) -> Word:
        return Word(str(children[0]), at)

    def _layered(self, children: list[Any], at: At) -> Word:
        second = children[1]
        ranges = second if isinstance(second, tuple) else (Range(int(second), None, 1),)
        return Word(str(children[0]), at, ranges)

    def _slice(self, children: list[Any], at: At) -> Slice:
        return Slice(children[0], children[1], at)

    def _ranges(self, children: list[Any], at: At) -> tuple[Range, ...]:
        return tuple(map(self._range, children))

    def _range(self, token: Any) -> Range:
        found = _RANGE.fullmatch(str(token))
        if found is None:
            at = At(token.start_pos, token.end_pos)
            raise FilterError(self.text, "a range looks like 2, 0:3 (offset:length), 1-4, :3 or 2:", at)
        start, colon, length, last, open_, open_length = found.groups()
        if open_:
            return Range(0, None, int(open_length))
        if colon:
            return Range(int(start), None, int(length) if length is not None else None)
        if last is not None:
            stop = int(last) + 1
            return Range(int(start), stop or None)  # up to the last byte, -1
        return Range(int(start), None, 1)

    def _call(self, children: list[Any], at: At) -> Call:
        return Call(str(children[0]), tuple(children[1:]), at)
