"""The one exception that users see: a sentence that says what is wrong and what to do."""

from __future__ import annotations


class InspectError(Exception):
    """One sentence for the user; the command line prints it and exits with status 2."""
