"""The citations of RFCs in the product's words and comments, and the titles that the cited sections have.

    python tests/citations.py FOLDER

writes tests/vectors/rfc_sections.txt anew. In FOLDER are the RFCs as plain text, `rfc9293.txt`; Debian's packages doc-rfc-*
have most. Where a text is missing, the line that is there already stays; a section that its RFC does not have is told, and
left out.

A citation is `RFC 9293, 3.4`, `RFC 9293, 3.4 and 3.10`, `RFC 2131, 2 to 4`, `RFC 8446, A.1`, `RFC 1112, appendix I`, or, where
sections have no numbers, `RFC 826, Packet Reception`; behind a section may stand what it is about, in parentheses.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILE = ROOT / "tests/vectors/rfc_sections.txt"
UNREAD = "?"  # stands for the title of a section that is to be looked up: the test fails
HOLE = "\x00"  # in a text: what is computed
UNNUMBERED = {"826": ("Packet Generation", "Packet Reception")}

_SECTION = r"(?:(?:[Ss]ections? |[Aa]ppendix )?(?:[A-Z](?:\.\d+)*|\d{1,2}(?:\.\d+)*)(?![\w-])|\x00)"
_BETWEEN = r"(?: \([^()]*\))?(?:, | and | to )"
_NAMES = "|".join(name for names in UNNUMBERED.values() for name in names)
_CITATION = re.compile(rf"RFC (\d+)(?: section|,)? ({_SECTION}(?:{_BETWEEN}{_SECTION})*|{_NAMES})")

Citation = tuple[str, str]  # the RFC's number, and the section's


def citations(text: str) -> Iterator[Citation]:
    """Every section of an RFC that a text cites; the HOLE where what section it is is computed."""
    for found in _CITATION.finditer(text):
        number, places = found.groups()
        if places in UNNUMBERED.get(number, ()):
            yield number, places
            continue
        parts = re.split(rf"({_BETWEEN})", places)
        before = ""
        for joint, part in zip(["", *parts[1::2]], parts[::2], strict=True):
            section = re.sub(r"^([Ss]ections?|[Aa]ppendix) ", "", part)
            if joint.endswith(" to ") and before.isdigit() and section.isdigit():
                yield from ((number, str(between)) for between in range(int(before) + 1, int(section)))
            yield number, section
            before = section


def _texts(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of all that a module says: its strings, with what an f-string computes as a HOLE, and its comments."""
    tree = ast.parse(source)
    parts = {id(value) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for value in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(str(v.value) if isinstance(v, ast.Constant) else HOLE for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.lineno, node.value
    comments: list[str] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            comments.append(token.string.lstrip("# "))
        elif token.type != tokenize.NL and comments:
            yield token.start[0], " ".join(comments)
            comments = []


def collect() -> dict[Citation, list[str]]:
    """Every citation in the package → where, as `file:line`."""
    found: dict[Citation, list[str]] = {}
    for path in sorted((ROOT / "inspector").rglob("*.py")):
        for line, text in _texts(path.read_text("utf-8")):
            for citation in citations(re.sub(r"\s+", " ", text)):
                found.setdefault(citation, []).append(f"{path.relative_to(ROOT)}:{line}")
    return found


def read() -> dict[Citation, str]:
    """The file: citation → title."""
    lines = [line for line in FILE.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    found = {}
    for line in lines:
        number, section, title = line.split("\t")
        found[number, section] = title
    assert len(found) == len(lines), "a section is there twice"
    return found


def order(citation: Citation) -> tuple[int, list[tuple[bool, int, str]]]:
    number, section = citation
    return int(number), [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in section.split(".")]


def title(text: str, section: str) -> str | None:
    """The title of a section in an RFC's plain text; None where there is none. The table of contents does not count."""
    pages = re.sub(r"\n+[^\n]*\[Page \d+\]\n\f?[^\n]*\n", "\n\n", text).replace("\f", "")
    if not re.match(r"[A-Z](\.|$)|\d", section):
        return section if re.search(rf"^ *{section}:?$", pages, re.M) else None
    appendix = r"(?:appendix )" + ("?" if "." in section else "") if section[0].isalpha() else ""
    name = r"(\S.*(?:\n {4,}\S.*)*)"
    head = re.compile(rf"^ {{0,12}}{appendix}{re.escape(section)}(?:\.0?|:| ?-)?(?: +|\n\n? +){name}", re.M | re.I)
    other = re.compile(r"(\. ?){3}|\s{3,}\d+$|^\D*[.;,]$")  # a line of the table of contents, or of prose
    heads = [found for found in head.finditer(pages) if not other.search(found[1].split("\n")[0])]
    if not heads:  # RFC 6298 numbers its rules in parentheses
        rule = re.search(rf"^ +\({re.escape(section)}\) \S.*", pages, re.M)
        return rule and re.sub(r"\s+", " ", rule[0]).strip()
    first = min(heads, key=lambda found: (len(found[0]) - len(found[0].lstrip()), -found.start()))
    return re.sub(r"\s+", " ", first[1]).strip().rstrip(".")


def main() -> None:
    folder, known, found = Path(sys.argv[1]), read(), collect()
    lines = []
    for number, section in sorted(found, key=order):
        path = folder / f"rfc{number}.txt"
        if section == HOLE:
            continue
        if not path.exists():
            name = known.get((number, section), UNREAD)
        elif (name := title(path.read_text("utf-8", "replace"), section) or "") == "":
            print(f"RFC {number} has no section {section}:", ", ".join(found[number, section]))
            continue
        lines.append(f"{number}\t{section}\t{name}")
    head = FILE.read_text("utf-8").split("\n\n")[0]
    FILE.write_text("\n".join([head, "", *lines, ""]), "utf-8")


if __name__ == "__main__":
    main()
