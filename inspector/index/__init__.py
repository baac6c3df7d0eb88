"""The index: a capture as columns, without an object a packet."""

from __future__ import annotations

from inspector.index.columns import Columns
from inspector.index.entries import Transport
from inspector.index.flows import FlowTable
from inspector.index.index import Index

__all__ = ["Columns", "FlowTable", "Index", "Transport"]
