"""Messages say what, where and what to do, also on the other side of a process border."""

from __future__ import annotations

import pickle

import pytest

from scenegen import errors
from scenegen.errors import LayoutError, QualityError, SceneFailedError, SceneGenError, TrainingError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SceneGenError)]


def test_a_message_reads_as_one_sentence_and_an_advice() -> None:
    error = LayoutError("a number", found="'fast'", where="my.yaml:3: key agents[0].speed_mps", fix="write 8.3")
    assert str(error) == "my.yaml:3: key agents[0].speed_mps: expected a number, found 'fast'. Write 8.3"
    assert str(LayoutError("a number")) == "expected a number"


@pytest.mark.parametrize("kind", KINDS)
def test_errors_survive_pickling(kind: type[SceneGenError]) -> None:
    error = kind("a", found="b", where="c", fix="d")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.expected, copy.found, copy.where, copy.fix) == (
        kind,
        str(error),
        "a",
        "b",
        "c",
        "d",
    )


def test_exit_codes_are_those_of_the_contract() -> None:
    after_work = {SceneFailedError, QualityError, TrainingError}
    assert {kind.exit_code for kind in after_work} == {3}
    assert {kind.exit_code for kind in KINDS if kind not in after_work} == {2}
