"""Messages of other people's protobuf formats, described at run time by the few fields that are read.

Fields that are not named are skipped by the library; enumerations are read as numbers, so that values of tomorrow
arrive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scenegen.errors import DependencyError, LayoutError

SCALARS = ("double", "float", "int32", "int64", "sint32", "sfixed32", "bool", "string", "bytes")
VARINT, BLOCK, SIZES = 0, 2, {1: 8, 5: 4}
"""Wire types; those of fixed size, with their bytes."""
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


def require_few_fields(content: bytes, most: int, *, expected: str, where: str) -> None:
    """Check, without parsing it, that a message has at most `most` fields at its top level; parsed, each takes memory.

    >>> require_few_fields(bytes([0x12, 0, 0x08, 1]), 2, expected="a message", where="here")

    Raises:
        LayoutError: it has more, or groups, which no format has that is read here.
    """
    at = count = 0
    while at < len(content):
        key, at = _varint(content, at)
        if key & 7 not in (VARINT, *SIZES, BLOCK):
            raise LayoutError(expected, found=f"a field of wire type {key & 7} near byte {at}", where=where)
        number, end = _varint(content, at) if key & 7 in (VARINT, BLOCK) else (SIZES[key & 7], at)
        at = end if key & 7 == VARINT else end + number
        count += 1
        if count > most:
            raise LayoutError(f"at most {most:,} elements", found="more", where=where)


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """Read a number of at most ten bytes, and return where the next field is."""
    value = 0
    for shift, byte in enumerate(content[at : at + 10]):
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value, at + shift + 1
    return value, len(content)
