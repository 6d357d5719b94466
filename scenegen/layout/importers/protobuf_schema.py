"""Messages of other people's protobuf formats, described at run time by the few fields that are read.

Fields that are not named are skipped by the library; enumerations are read as numbers, so that values of tomorrow
arrive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scenegen.errors import DependencyError, LayoutError

SCALARS = ("double", "float", "int32", "int64", "sint32", "sfixed32", "bool", "string", "bytes")
Fields = Mapping[str, Mapping[str, tuple[int, str, bool]]]
"""Message: {field: (number, type, whether repeated)}; a type that is no scalar is a message of the same table."""


def build_message_type(fields_of: Fields, name: str, *, package: str) -> Any:
    """Build the class of one message.

    Raises:
        DependencyError: protobuf is not installed.
    """
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError as error:
        raise DependencyError(
            "protobuf, to read Waymo scenarios and L5Kit maps", found=str(error), fix="install scenegen[waymo]"
        ) from error
    kinds = descriptor_pb2.FieldDescriptorProto
    scalars = {scalar: getattr(kinds, f"TYPE_{scalar.upper()}") for scalar in SCALARS}
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto2")
    for message_name, fields in fields_of.items():
        message = file.message_type.add(name=message_name)
        for field_name, (number, kind, is_repeated) in fields.items():
            field = message.field.add(name=field_name, number=number)
            field.label = kinds.LABEL_REPEATED if is_repeated else kinds.LABEL_OPTIONAL
            field.type = scalars.get(kind, kinds.TYPE_MESSAGE)
            if kind not in scalars:
                field.type_name = f".{package}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))


def parse_message(message_type: Any, content: bytes, *, expected: str, where: str) -> Any:
    """Parse bytes that hold one message.

    Raises:
        LayoutError: they do not.
    """
    from google.protobuf.message import DecodeError

    try:
        return message_type.FromString(content)
    except DecodeError as error:
        raise LayoutError(expected, found=str(error), where=where) from error
