"""The field tree: layers, and below each its fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from inspector.core.field import Field, Kind
from inspector.core.layer import Layer
from inspector.core.text import printable
from inspector.tui.messages import Copied, FieldSelected, GoTo
from inspector.tui.taking import of_entry

if TYPE_CHECKING:
    from inspector.dissection.engine import Dissection

Entry = Layer | Field


class FieldTree(Tree[Entry]):
    """Layers with their fields; the last layer is open."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("c", "copy", "Copy")]

    def __init__(self, id: str, classes: str = "") -> None:
        super().__init__("packet", id=id, classes=classes)
        self.show_root = False
        self.guide_depth = 2
        self._quiet = False

    def show(self, result: Dissection) -> None:
        """Show another packet."""
        self.clear()
        for layer in result.layers:
            label = Text.assemble((layer.title, "bold"), "  ", printable(layer.summary))
            node = self.root.add(label, layer)
            if layer is result.layers[-1]:
                self._fill(node)
                node.expand()

    def _fill(self, node: TreeNode[Entry]) -> None:
        """A layer's fields, when it is opened: most never are."""
        if isinstance(node.data, Layer) and not node.children:
            for field in node.data.fields:
                self._add(node, field)

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Entry]) -> None:
        event.stop()
        self._fill(event.node)

    def _add(self, node: TreeNode[Entry], field: Field) -> None:
        mark = "≈ " if field.generated else ""
        label = Text.assemble((f"{mark}{field.label}  ", "dim"), field.text)
        if field.children:
            inner = node.add(label, field)
            for child in field.children:
                self._add(inner, child)
        else:
            node.add_leaf(label, field)

    def reveal(self, entry: Entry) -> None:
        """Put the cursor on a layer or a field, opening what is around it, without telling anybody."""
        for above in self.root.children:
            if isinstance(entry, Field) and isinstance(above.data, Layer) and any(f is entry for f in above.data.walk()):
                self._fill(above)
        node = self._find(self.root, entry)
        if node is None:
            return
        parent = node.parent
        while parent is not None:
            parent.expand()
            parent = parent.parent
        self._quiet = True
        self.call_after_refresh(self._move, node)

    def _move(self, node: TreeNode[Entry]) -> None:
        self.move_cursor(node)
        self.scroll_to_node(node, animate=False)
        self.call_after_refresh(self._loud)

    def _loud(self) -> None:
        self._quiet = False

    def action_copy(self) -> None:
        if self.cursor_node is not None and self.cursor_node.data is not None:
            self.post_message(Copied(of_entry(self.cursor_node.data), "the value"))

    def on_tree_node_selected(self, event: Tree.NodeSelected[Entry]) -> None:
        """Enter on a field that names another packet goes there."""
        event.stop()
        entry = event.node.data
        if isinstance(entry, Field) and entry.spec.kind is Kind.FRAME and entry.value:
            self.post_message(GoTo(int(entry.value)))

    def _find(self, node: TreeNode[Entry], entry: Entry) -> TreeNode[Entry] | None:
        for child in node.children:
            if child.data is entry:
                return child
            found = self._find(child, entry)
            if found is not None:
                return found
        return None

    def on_tree_node_highlighted(self, event: Tree.NodeHighlighted[Entry]) -> None:
        event.stop()
        if self._quiet or not self.has_focus:
            return
        if event.node.data is not None:
            self.post_message(FieldSelected(event.node.data))

    def on_click(self) -> None:
        """A click on the line under the cursor chooses it again."""
        if self.cursor_node is not None and self.cursor_node.data is not None:
            self.post_message(FieldSelected(self.cursor_node.data))
