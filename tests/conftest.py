"""What the tests share: bugs in dissectors and parsers come through instead of becoming an issue."""

from __future__ import annotations

import os

os.environ["OSI_INSPECT_STRICT"] = "1"
