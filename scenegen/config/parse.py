"""The one way from plain dictionaries to typed values, for any of the dataclasses here."""

from __future__ import annotations

import difflib
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from scenegen.errors import ConfigError

T = TypeVar("T")


def parse_config(kind: type[T], values: Mapping[str, Any]) -> T:
    """Turn a plain dictionary into the dataclass `kind`.

    Raises:
        ConfigError: a key is unknown, missing, of the wrong type, or its value makes no sense.

    >>> from scenegen.config import ImageSizeConfig
    >>> parse_config(ImageSizeConfig, {"width_px": 200, "height_px": 112})
    ImageSizeConfig(width_px=200, height_px=112)
    >>> parse_config(ImageSizeConfig, {"width_px": 200, "hight_px": 112})
    Traceback (most recent call last):
    scenegen.errors.ConfigError: expected a known key, found 'hight_px'. Did you mean 'height_px'?
    """
    return typing.cast(T, _convert(values, kind, where=""))


def known_keys(kind: type[Any], prefix: str = "") -> list[str]:
    """List every key of a configuration, dotted."""
    keys = []
    for name, hint in get_type_hints(kind).items():
        keys.append(prefix + name)
        if is_dataclass(hint):
            keys += known_keys(typing.cast(type, hint), f"{prefix}{name}.")
    return keys


def unknown_key_error(key: str, known: list[str]) -> ConfigError:
    """Say that a key does not exist, and which one was probably meant."""
    near = difflib.get_close_matches(key, known, n=1) or [k for k in known if k.rsplit(".", 1)[-1] == key][:1]
    fix = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(k for k in known if '.' not in k)}"
    return ConfigError("a known key", found=repr(key), fix=fix)


def _convert(value: Any, hint: Any, *, where: str) -> Any:
    if is_dataclass(hint):
        return _convert_dataclass(value, typing.cast(type, hint), where=where)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and types.NoneType in arguments:
            return None
        return _convert(value, next(a for a in arguments if a is not types.NoneType), where=where)
    if origin is tuple:
        return _convert_tuple(value, arguments, where=where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not hint or (hint is float and not math.isfinite(value)):
        found = "nothing" if value is None else f"{value!r} ({type(value).__name__})"
        raise ConfigError(f"{_TYPE_NAMES[hint]} for {where!r}", found=found)
    return value


_TYPE_NAMES = {int: "a whole number", float: "a finite number", str: "a text", bool: "true or false"}


def _convert_dataclass(value: Any, kind: type[Any], *, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise ConfigError(f"keys below {where or 'the root'!r}", found=f"{value!r}")
    hints = get_type_hints(kind)
    prefix = f"{where}." if where else ""
    for key in value:
        if key == "_target_":
            raise ConfigError("names that scenegen looks up in its own tables", found=f"{prefix}_target_")
        if key not in hints:
            raise unknown_key_error(f"{prefix}{key}", [f"{prefix}{name}" for name in hints])
    for field in fields(kind):
        if field.default is MISSING and value.get(field.name, "???") == "???":
            raise ConfigError(f"a value for {prefix + field.name!r}", fix=f"add {prefix}{field.name}=...")
    converted = {
        name: _convert(value[name], hint, where=prefix + name) for name, hint in hints.items() if name in value
    }
    try:
        return kind(**converted)
    except ConfigError as error:
        if error.where:
            raise
        raise ConfigError(error.expected, found=error.found, where=where, fix=error.fix) from None


def _convert_tuple(value: Any, arguments: tuple[Any, ...], *, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"a list for {where!r}", found=repr(value), fix=f"write {where}=[{value}]")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_convert(item, arguments[0], where=f"{where}[{i}]") for i, item in enumerate(value))
    if len(value) != len(arguments):
        raise ConfigError(f"{len(arguments)} values for {where!r}", found=str(len(value)))
    return tuple(_convert(v, a, where=f"{where}[{i}]") for i, (v, a) in enumerate(zip(value, arguments, strict=True)))
