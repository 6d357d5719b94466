"""Every error that scenegen raises on purpose.

A message says what was expected, what was found, where, and what to do. The command line prints it as
one line and exits with `exit_code`; a traceback is shown only with `--debug`.
"""

from __future__ import annotations


class SceneGenError(Exception):
    """Base of all deliberate errors.

    Args:
        expected: what the code needed.
        found: what it got instead.
        where: file, line and key, or scene and stage.
        fix: what the user can do about it.
    """

    exit_code = 2

    def __init__(self, expected: str, *, found: str = "", where: str = "", fix: str = "") -> None:
        self.expected = expected
        self.found = found
        self.where = where
        self.fix = fix
        parts = [f"{where}: " if where else "", f"expected {expected}"]
        if found:
            parts.append(f", found {found}")
        if fix:
            parts.append(f". {fix[0].upper()}{fix[1:]}")
        super().__init__("".join(parts))

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.expected, self.found, self.where, self.fix))


def _rebuild(kind: type[SceneGenError], expected: str, found: str, where: str, fix: str) -> SceneGenError:
    """Rebuild an error on the other side of a process border (exceptions with keywords do not pickle)."""
    return kind(expected, found=found, where=where, fix=fix)


class ConfigError(SceneGenError):
    """A configuration key is unknown, missing or of the wrong type."""


class LayoutError(SceneGenError):
    """A layout cannot be read or does not make sense."""


class CameraError(SceneGenError):
    """A camera or rig is not usable (singular intrinsics, empty image, duplicate name)."""


class RecordingError(SceneGenError):
    """Pictures, points or labels of a real log cannot be read or contradict each other."""


class WorldError(SceneGenError):
    """A world cannot be built from a layout."""


class DatasetError(SceneGenError):
    """A data set is missing, damaged, or of another schema version."""


class OutputError(SceneGenError):
    """The output place cannot be written (permissions, full disk)."""


class StorageError(SceneGenError):
    """An object store cannot be reached, or refuses: network, credentials, permissions, throttling."""


class WeightsError(SceneGenError):
    """Model weights are missing, damaged, or do not fit the model."""


class DependencyError(SceneGenError):
    """An optional package is needed and not installed."""


class QualityError(SceneGenError):
    """A scene stayed under the bar of `quality`, however often it was painted."""

    exit_code = 3


class TrainingError(SceneGenError):
    """A training run stopped itself: what it made got worse in a way that it guards against."""

    exit_code = 3


class SceneFailedError(SceneGenError):
    """One or more scenes of a job failed; the others are committed."""

    exit_code = 3


class ClusterError(SceneGenError):
    """A cluster cannot be joined safely, or does not bring up what a job needs."""
