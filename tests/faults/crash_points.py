"""The steps of the write path at which a test can end a writer, by name: death in this process, without clean-up."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from unittest import mock

from scenegen.dataset.staging import Staging


class Death(BaseException):
    """The end of a process, as seen from inside."""


@dataclass(frozen=True)
class CrashPoint:
    """A call of the write path, and whether the writer dies before it or after it.

    Attributes:
        target: dotted name of the function.
        is_after: die when it has returned.
        call: which call of it, from 1.
    """

    target: str
    is_after: bool = False
    call: int = 1


WRITE_POINTS = {
    "first shard staged": CrashPoint("scenegen.dataset.store.SceneStore.write_steps", is_after=True),
    "store finished": CrashPoint("scenegen.dataset.store.SceneStore.finish", is_after=True),
    "before seal": CrashPoint("scenegen.dataset.write.seal_files"),
    "after seal": CrashPoint("scenegen.dataset.write.seal_files", is_after=True),
}
COMMIT_POINTS = {
    "before previews": CrashPoint("scenegen.dataset.publish.place_previews"),
    "after previews": CrashPoint("scenegen.dataset.publish.place_previews", is_after=True),
    "in the upload": CrashPoint("scenegen.dataset.storage.object_store.ObjectStorage.place_file", call=3),
    "before rename": CrashPoint("scenegen.dataset.storage.local.LocalStorage.place_folder"),
    "after store": CrashPoint("scenegen.dataset.publish.place_store", is_after=True),
    "before receipt": CrashPoint("scenegen.dataset.publish.write_receipt"),
    "after receipt": CrashPoint("scenegen.dataset.publish.write_receipt", is_after=True),
}
FOLD_POINTS = {
    "before card": CrashPoint("scenegen.dataset.fold.card_text"),
    "after card": CrashPoint("scenegen.dataset.fold.manifest_text"),
    "after swap": CrashPoint("scenegen.dataset.fold.Committer._try_to_fold", is_after=True),
}
ALL_POINTS = {**WRITE_POINTS, **COMMIT_POINTS, **FOLD_POINTS}


@contextmanager
def dying_at(point: CrashPoint) -> Iterator[None]:
    """Let the block die at a point; it ends quietly, whether or not the point was reached.

    What death does, happens: locks and marks are let go. What only clean-up does, does not.
    """
    owner, name = resolve(point.target)
    original = getattr(owner, name)
    num_calls = 0

    def call_and_die(*arguments: Any, **options: Any) -> Any:
        nonlocal num_calls
        num_calls += 1
        if num_calls < point.call:
            return original(*arguments, **options)
        if point.is_after:
            original(*arguments, **options)
        raise Death

    def let_go(staging: Staging) -> None:
        if staging._mark is not None:
            staging._mark.close()

    with mock.patch.object(owner, name, call_and_die), mock.patch.object(Staging, "discard", let_go), suppress(Death):
        yield


def resolve(target: str) -> tuple[Any, str]:
    path, _, name = target.rpartition(".")
    load: Callable[[str], Any] = importlib.import_module
    try:
        return load(path), name
    except ModuleNotFoundError:
        module, _, kind = path.rpartition(".")
        return getattr(load(module), kind), name
