"""The story of a capture in plain sentences."""

from inspector.annotations.story.step import Narrated, Step, ranges
from inspector.annotations.story.story import story

__all__ = ["Narrated", "Step", "ranges", "story"]
