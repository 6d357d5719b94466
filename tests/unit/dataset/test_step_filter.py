from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scenegen.dataset import open_dataset
from scenegen.dataset.filter_fields import FIELDS, SceneFacts
from scenegen.dataset.step_filter import parse_filter
from scenegen.errors import ConfigError


@pytest.fixture
def facts(shared_dataset: Path) -> SceneFacts:
    dataset = open_dataset(shared_dataset)
    entry = dataset.manifest.scenes[0]
    return SceneFacts(entry, lambda: dataset[entry.scene_id])


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", range(7)),
        ("weather == 'clear' and num_pedestrians >= 1 and split == 'train'", range(2, 7)),  # the walker comes at 2
        ("num_pedestrians == 0", range(2)),
        ("weather in ('rain', 'fog')", ()),
        ("weather not in ['rain', 'fog'] and is_key_frame", (0, 6)),
        ("not is_key_frame", range(1, 6)),
        ("0.2 < time_s <= 10 / 23", (3, 4, 5)),
        ("step * 2 - 1 > 8 or step == 0", (0, 5, 6)),
        ("count(category in ('car', 'pedestrian')) == 2", range(2, 7)),
        ("any(category == 'pedestrian' and speed_mps > 1)", range(2, 7)),
        ("all(category == 'car' and distance_m < 15.1)", (0, 1)),
        ("any(attribute == 'vehicle.moving' and visible_fraction > 0.9)", range(7)),
        ("any(category == 'pedestrian' and distance_m < 11 and step > 3)", (4, 5, 6)),
        ("any(num_boxes > 1)", range(2, 7)),
        ("ego_speed_mps > 5.9 and rate_hz == 12 and num_cameras == 6", range(7)),
        ("num_cars / num_pedestrians > 1", (0, 1)),  # one by nothing is infinite
    ],
)
def test_a_filter_marks_the_steps_it_says(facts: SceneFacts, text: str, steps: range) -> None:
    assert np.flatnonzero(parse_filter(text).steps(facts)).tolist() == list(steps)


def test_every_field_has_a_value_of_its_level_and_kind(facts: SceneFacts) -> None:
    shapes = {"entry": (), "scene": (), "step": (facts.num_steps,), "box": (int(facts.num_boxes.sum()),)}
    kinds = {"text": "U", "number": "iuf", "flag": "b"}
    for name, field in FIELDS.items():
        value = np.asarray(facts.read(name, per_box=field.level == "box"))
        assert (value.shape, value.dtype.kind in kinds[field.kind]) == (shapes[field.level], True), name


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("wether == 'rain'", "did you mean weather"),
        ("weather == 'rian'", "'rian'"),
        ("'rian' == weather", "'rian'"),
        ("split in ('train', 'dev')", "'dev'"),
        ("weather > 3", "expected a text"),
        ("num_cars == '3'", "expected a number"),
        ("num_cars", "expected a condition"),
        ("num_cars and weather == 'rain'", "expected a flag"),
        ("category == 'car'", "inside any"),
        ("count(num_cars)", "expected a flag"),
        ("any(any(category == 'car'))", "one condition on boxes"),
        ("max(category == 'car')", "a call of 'max'"),
        ("num_cars ** 9 > 1", "+ - * /"),
        ("weather is 'rain'", "== !="),
        ("__import__('os').system('true')", "a call of"),
        ("(lambda: True)()", "a call of"),
        ("weather.upper() == 'RAIN'", "a call of"),
        ("[step for step in (1, 2)] == 1", "expected names"),
        ("num_cars[0] > 1", "expected names"),
        ("f'{weather}' == 'rain'", "expected names"),
        ("weather ==", "expected an expression"),
        ("(" * 500 + "step" + ")" * 500 + " > 1", "filter: expected"),
        ("step > 1" + " and step > 1" * 300, "at most 2000 characters"),
        ("step == None", "expected text, a number"),
        ("step == b'1'", "expected text, a number"),
    ],
)
def test_a_wrong_filter_is_refused_and_the_known_fields_named(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_filter(text)
    assert complaint in str(caught.value)
    assert "num_pedestrians" in str(caught.value)


def test_fields_of_the_manifest_open_no_scene(shared_dataset: Path) -> None:
    entry = open_dataset(shared_dataset).manifest.scenes[0]

    def refuse() -> None:
        raise AssertionError("the scene was opened")

    facts = SceneFacts(entry, refuse)  # type: ignore[arg-type]
    assert parse_filter("split == 'train' and is_key_frame").steps(facts).sum() == 2
    assert not parse_filter("split == 'val' and weather == 'clear'").steps(facts).any()
    assert parse_filter("split == 'train' or weather == 'clear'").steps(facts).all()
