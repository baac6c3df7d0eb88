"""A protobuf schema: message types and methods by name, from a descriptor set (`protoc --descriptor_set_out`).

The descriptors are read with the `protobuf` library, which comes with the extra `grpc`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from inspector.protocols.encodings.protobuf import FieldType, MessageType

# google/protobuf/descriptor.proto, FieldDescriptorProto.Type
TYPES = (
    "", "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string", "group", "message", "bytes",
    "uint32", "enum", "sfixed32", "sfixed64", "sint32", "sint64",
)  # fmt: skip
REPEATED = 3  # FieldDescriptorProto.Label


class Method(NamedTuple):
    """A method of a service. kind: which of the four kinds of call it is."""

    request: MessageType | None
    response: MessageType | None
    kind: str


KINDS = {
    (False, False): "unary", (False, True): "server streaming", (True, False): "client streaming",
    (True, True): "bidirectional streaming",
}  # fmt: skip


class Schema:
    """The types of a descriptor set. Raises ValueError where the bytes are none."""

    def __init__(self, descriptors: bytes) -> None:
        from google.protobuf.descriptor_pb2 import FileDescriptorSet
        from google.protobuf.message import DecodeError

        found = FileDescriptorSet()
        try:
            found.ParseFromString(descriptors)
        except DecodeError as error:
            raise ValueError(str(error)) from None
        self.messages: dict[str, MessageType] = {}
        self._methods: dict[str, Method] = {}
        self._enums: dict[str, dict[int, str]] = {}
        nested: list[tuple[str, Any]] = []
        for file in found.file:
            prefix = f".{file.package}" if file.package else ""
            self._collect(prefix, file, nested)
        for name, message in nested:
            self._fill(name, message)
        for file in found.file:
            prefix = f"{file.package}." if file.package else ""
            for service in file.service:
                for method in service.method:
                    self._methods[f"/{prefix}{service.name}/{method.name}"] = Method(
                        self.messages.get(method.input_type),
                        self.messages.get(method.output_type),
                        KINDS[method.client_streaming, method.server_streaming],
                    )
        if not self.messages:
            raise ValueError("no message is described there")

    def _collect(self, prefix: str, scope: Any, nested: list[tuple[str, Any]]) -> None:
        """The messages and enums of a file or a message, by their full names."""
        for enum in scope.enum_type:
            self._enums[f"{prefix}.{enum.name}"] = {value.number: value.name for value in enum.value}
        for message in scope.nested_type if hasattr(scope, "nested_type") else scope.message_type:
            name = f"{prefix}.{message.name}"
            self.messages[name] = MessageType(name[1:])
            nested.append((name, message))
            self._collect(name, message, nested)

    def _fill(self, name: str, message: Any) -> None:
        for each in message.field:
            kind = TYPES[each.type] if each.type < len(TYPES) else ""
            self.messages[name].fields[each.number] = FieldType(
                each.name,
                kind,
                each.label == REPEATED,
                self.messages.get(each.type_name) if kind in ("message", "group") else None,
                self._enums.get(each.type_name) if kind == "enum" else None,
            )

    def method(self, path: str) -> Method | None:
        """The method of a gRPC path, `/package.Service/Method`."""
        return self._methods.get(path)

    def message(self, name: str) -> MessageType | None:
        """A message by its full name, `package.Message`."""
        return self.messages.get(f".{name}")
