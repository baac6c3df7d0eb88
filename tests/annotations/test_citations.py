"""Every section of an RFC that the package cites exists, and somebody has looked it up."""

from __future__ import annotations

import re

import pytest

from inspector.protocols.http import meaning
from inspector.protocols.http.semantics import METHODS, MORE_STATUSES, STATUSES
from tests.citations import HOLE, UNREAD, citations, collect, order, read, title

FOUND = collect()
KNOWN = read()


def test_every_citation_has_been_looked_up() -> None:
    cited = {citation for citation in FOUND if citation[1] != HOLE}
    assert len(cited) > 500
    new = [f"RFC {number}, {section}: {FOUND[number, section]}" for number, section in sorted(cited - set(KNOWN), key=order)]
    assert not new, "not in tests/vectors/rfc_sections.txt; tests/citations.py tells how to look them up"
    stale = sorted(set(KNOWN) - cited, key=order)
    assert not stale, "nobody cites these any more"
    assert all(name and name == name.strip() for name in KNOWN.values())
    assert UNREAD not in KNOWN.values()


def test_no_section_is_computed() -> None:
    computed = [place for (_, section), places in FOUND.items() if section == HOLE for place in places]
    assert not computed, "what is put together is not seen here"


@pytest.mark.parametrize("table", [STATUSES, MORE_STATUSES, METHODS, meaning._DIRECTIVES, meaning._CONDITIONS])
def test_a_row_cites_the_section_that_has_its_name(table: dict[object, tuple[str, str]]) -> None:
    for name, (_, reference) in table.items():
        first = next(citations(reference))
        assert re.match(rf"{name}\b", KNOWN[first], re.I), f"{name}: {reference}, {KNOWN[first]}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("so it is (RFC 9112, 9.6).", "9112 9.6"),
        ("RFC 8300, section 2", "8300 2"),
        ("RFC 6455 section 5, with permessage-deflate (RFC 7692)", "6455 5"),
        ("RFC 2131, 2 to 4; RFC 2132", "2131 2, 2131 3, 2131 4"),
        ("RFC 9260, 3, 6 and 7", "9260 3, 9260 6, 9260 7"),
        ("RFC 9113, 5.1.1; RFC 9218", "9113 5.1.1"),
        ("RFC 9293, 3.1 (format), 3.3 and 3.6 (state and close), 3.4", "9293 3.1, 9293 3.3, 9293 3.6, 9293 3.4"),
        ("RFC 5246, 7.3, figure 2; RFC 8446, Appendix A", "5246 7.3, 8446 A"),
        ("RFC 1112, appendix I, RFC 7413, appendix A.1 and RFC 6101, E", "1112 I, 7413 A.1, 6101 E"),
        ("RFC 826, Packet Reception; RFC 768, User Interface", "826 Packet Reception"),
        ("RFC 4034, 5155, and RFC 5321 allows 512, RFC 7162 advises 8,192", ""),
        ("RFC 1035, 3.3; AAAA RFC 3596", "1035 3.3"),
        (f"RFC 9110, {HOLE} and more", f"9110 {HOLE}"),
    ],
)
def test_how_citations_are_written(text: str, expected: str) -> None:
    assert ", ".join(f"{number} {section}" for number, section in citations(text)) == expected


def test_titles_are_those_of_the_text_and_not_of_its_table_of_contents() -> None:
    text = """
   1.  Introduction ....................... 1
     1.1. What it is ....................... 3
   A.  More ............................... 9

Somebody                    Informational                  [Page 1]
\x0c
RFC 1                          Words                        May 1999

1.  Introduction

   As section 1.1 says, of
   1.1 of them some remain.

1.1.  What It Is, in a Title That Goes
      On

   (2.4) When it is so, it is.

Appendix A.  More
"""
    assert [title(text, section) for section in ("1", "1.1", "2.4", "A", "3", "1.2")] == [
        "Introduction", "What It Is, in a Title That Goes On", "(2.4) When it is so, it is.", "More", None, None,
    ]  # fmt: skip
