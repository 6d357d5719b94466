"""Hydra, and only here: YAML groups and overrides become one plain dictionary, and Hydra is forgotten."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import yaml

import scenegen
from scenegen.config import known_keys, parse_config, unknown_key_error
from scenegen.errors import ConfigError, DependencyError

T = TypeVar("T")
OWN_RIG = "own_file"
"""Name under which Hydra sees a rig that was given as a file."""
INTERPOLATION = "${"
"""What OmegaConf resolves, from the environment too: refused in what users give, so that nothing reads a secret."""
OTHER_KEY = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_.]*\}")


def config_folder() -> Path:
    """Return the configuration tree: the checkout's `conf/`, or the one inside the wheel."""
    package = Path(scenegen.__file__).parent
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "generate.yaml").is_file():
            return folder
    raise ConfigError("the folder conf beside or inside the package", found="neither", where=str(package))


def compose_config(kind: type[T], job: str, overrides: Sequence[str], *, search: Path | None = None) -> T:
    """Compose `conf/<job>.yaml` with overrides and check it.

    Args:
        kind: dataclass of the job's configuration.
        job: `generate` or `train`.
        overrides: `key=value` texts; `rig=` also takes the path of a YAML file.
        search: a further folder with config groups of the user's own, for example `rig/mine.yaml`.

    Raises:
        ConfigError: anything in it is not usable; the message names the key.
    """
    return parse_config(kind, compose_dict(job, overrides, known=known_keys(kind), search=search))


def compose_dict(job: str, overrides: Sequence[str], *, known: list[str], search: Path | None = None) -> dict[str, Any]:
    """Compose to a plain dictionary; keys without a value are "???". Swept rigs stand in full in `sweep.rig`."""
    _check_not_swept_too(overrides)
    values = _compose_once(job, overrides, known=known, search=search)
    names = (values.get("sweep") or {}).get("rig")
    if names and all(isinstance(name, str) for name in names):
        others = [text for text in overrides if not text.startswith("sweep.rig=")]
        rigs = [_compose_once(job, [f"rig={name}", *others], known=known, search=search)["rig"] for name in names]
        values["sweep"]["rig"] = rigs
    return values


def _check_not_swept_too(overrides: Sequence[str]) -> None:
    """Refuse a key that is given one value and swept over others."""
    keys = {text.partition("=")[0] for text in overrides}
    for axis in ("rig", "seed"):
        if {axis, f"sweep.{axis}"} <= keys:
            raise ConfigError(
                f"either {axis} or sweep.{axis}", found="both", where="overrides", fix=f"leave {axis}=... out"
            )


def _compose_once(
    job: str, overrides: Sequence[str], *, known: list[str], search: Path | None = None
) -> dict[str, Any]:
    try:
        from hydra import compose, initialize_config_dir
        from hydra.errors import HydraException, OverrideParseException
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException
    except ImportError as error:
        raise DependencyError("hydra-core", found="none", fix="run pip install 'scenegen[generate]'") from error

    if search is not None and not search.is_dir():
        raise ConfigError("an existing folder", found=str(search), where="--config-dir")
    if search is not None:
        for path in sorted((*search.rglob("*.yaml"), *search.rglob("*.yml"))):
            _check_defaults(path)
    texts = [_checked_override(text) for text in overrides]
    try:
        with (
            TemporaryDirectory() as own,
            initialize_config_dir(version_base="1.3", config_dir=str(config_folder().resolve())),
        ):
            texts = [_adopt_rig_file(text, Path(own)) for text in texts]
            folders = ",".join(f"'file://{folder.resolve()}'" for folder in (search, Path(own)) if folder is not None)
            composed = compose(job, overrides=[*texts, f"hydra.searchpath=[{folders}]"])
        _check_plain(OmegaConf.to_container(composed, resolve=False))
        values = OmegaConf.to_container(composed, resolve=True)
    except OverrideParseException as error:
        raise ConfigError(
            "an override that Hydra can read",
            found=repr(error.override),
            fix="put quotes inside quotes around a value with special characters: 'output=\"my=data\"'",
        ) from None
    except (HydraException, OmegaConfBaseException) as error:
        raise _explain(error, known) from None
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def _checked_override(text: str) -> str:
    if "=" not in text and not text.startswith("~"):
        raise ConfigError("overrides of the form key=value", found=repr(text))
    if "_target_" in text:
        raise ConfigError("names that scenegen looks up in its own tables", found=repr(text))
    if INTERPOLATION in text:
        raise _interpolation_error(text)
    return text


def _check_defaults(path: Path) -> None:
    """Refuse lookups in `defaults` lists of a user's file: Hydra resolves them, and says what it found in errors."""
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, yaml.SafeLoader)
        has_aliases = any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return  # Hydra reads it no better, and says so where the file is chosen
    for node in () if root is None else _values_of_defaults(root):
        if has_aliases:
            raise ConfigError("YAML without aliases beside a `defaults` list", found="one", where=str(path))
        if any(INTERPOLATION in text for text in _scalars(node)):
            raise _interpolation_error(INTERPOLATION, where=f"{path}: defaults")


def _values_of_defaults(root: yaml.Node) -> Iterator[yaml.Node]:
    """Yield what stands under `defaults`, also where another key merges it in."""
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if key.value == "defaults":
            yield value
        elif key.value == "<<":
            yield from _values_of_defaults(value)


def _scalars(node: yaml.Node) -> Iterator[str]:
    """Yield the texts of a node as they are meant, without YAML's escapes."""
    if isinstance(node, yaml.ScalarNode):
        yield node.value
        return
    for child in node.value:
        for part in child if isinstance(child, tuple) else (child,):
            yield from _scalars(part)


def _check_plain(values: Any, where: str = "") -> None:
    """Refuse values that would be looked up anywhere but under another key of the configuration."""
    if isinstance(values, dict):
        for key, value in values.items():
            _check_plain(value, f"{where}.{key}" if where else str(key))
    elif isinstance(values, list):
        for idx, value in enumerate(values):
            _check_plain(value, f"{where}[{idx}]")
    elif isinstance(values, str) and INTERPOLATION in OTHER_KEY.sub("", values):
        raise _interpolation_error(values, where=where)


def _interpolation_error(text: str, where: str = "") -> ConfigError:
    return ConfigError("values that stand for themselves", found=f"{text!r}, an interpolation", where=where)


def _adopt_rig_file(text: str, folder: Path) -> str:
    """Turn `rig=path/to/mine.yaml` into a choice of the group `rig` in `folder`; other overrides stay as they are."""
    key, _, value = text.partition("=")
    if key != "rig" or not value.endswith((".yaml", ".yml")):
        return text
    path = Path(value)
    try:
        content = path.read_text(encoding="utf-8")
        has_aliases = any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(content, yaml.SafeLoader))
        values = None if has_aliases else yaml.safe_load(content)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("a rig file that can be read", found=f"{type(error).__name__}", where=str(path)) from None
    except yaml.YAMLError as error:
        raise ConfigError("YAML", found=" ".join(str(error).split()), where=str(path)) from None
    if has_aliases:
        raise ConfigError("YAML without aliases, which can grow without bounds", found="one", where=str(path))
    if INTERPOLATION in content:
        raise _interpolation_error(INTERPOLATION, where=str(path))
    if not isinstance(values, dict):
        raise ConfigError("keys of a rig (name, source_image, image, cameras)", found=repr(values), where=str(path))
    _check_defaults(path)
    group = folder / "rig"
    group.mkdir(exist_ok=True)
    (group / f"{OWN_RIG}.yaml").write_text(content, encoding="utf-8")
    return f"rig={OWN_RIG}"


def _explain(error: Exception, known: list[str]) -> ConfigError:
    """Turn what Hydra says into one line that names the key."""
    text = str(error)
    if match := re.search(r"Could not override '([^']+)'", text):
        return unknown_key_error(match.group(1).lstrip("+"), known)
    if match := re.search(r"Could not find '([^']+)/([^']+)'", text):
        group, choice = match.groups()
        options = re.findall(r"^\t(\S+)$", text, re.MULTILINE)
        near = difflib.get_close_matches(choice, options, n=1)
        return ConfigError(
            f"{group} in {', '.join(options)}", found=repr(choice), fix=f"did you mean {near[0]!r}?" if near else ""
        )
    if match := re.search(r"You must specify '([^']+)'", text):
        options = re.findall(r"^\t(\S+)$", text, re.MULTILINE)
        return ConfigError(f"a value for {match.group(1)!r}", found="nothing", fix=f"one of: {', '.join(options)}")
    return ConfigError("a configuration that can be composed", found=" ".join(text.split()))
