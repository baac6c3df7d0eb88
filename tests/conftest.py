"""What the tests share: bugs in dissectors and parsers come through instead of becoming an issue; nothing is kept in the
home of whoever runs them."""

from __future__ import annotations

import os

os.environ["OSI_INSPECT_STRICT"] = "1"
os.environ["OSI_INSPECT_NO_CACHE"] = "1"
