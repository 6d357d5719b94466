"""Change weather, light, words and the kind of place."""

from __future__ import annotations

from dataclasses import replace

from scenegen.errors import LayoutError
from scenegen.layout.prompt import read_prompt
from scenegen.types.layout import Layout


def change_environment(
    layout: Layout,
    weather: str | None = None,
    *,
    time_of_day: str | None = None,
    prompt: str | None = None,
    style: str | None = None,
) -> Layout:
    """Change what is named and keep the rest; a prompt also sets the weather and light that its words say.

    Args:
        layout: any layout.
        weather: one of `types.layout.WEATHERS`.
        time_of_day: one of `types.layout.TIMES_OF_DAY`.
        prompt: words; without one, a prompt that speaks of another weather or light is dropped.
        style: one of `types.layout.STYLES`. It changes what the layout leaves open: buildings and plants.

    Raises:
        LayoutError: nothing is named, an unknown word, or a prompt that says something else than the keys.
    """
    named = {"weather": weather, "time_of_day": time_of_day, "style": style}
    changes = {key: value for key, value in named.items() if value is not None}
    if not changes and prompt is None:
        raise LayoutError("at least one of weather, time_of_day, prompt, style", found="none", where=layout.layout_id)
    environment = layout.environment if prompt is None else read_prompt(prompt, layout.environment)
    changed = replace(environment, **changes)
    if prompt is not None and _contradicts(prompt, changed.weather, changed.time_of_day):
        raise LayoutError(
            f"a prompt of {changed.weather} weather by {changed.time_of_day}", found=repr(prompt), where="environment"
        )
    if prompt is None and _contradicts(changed.prompt, changed.weather, changed.time_of_day):
        changed = replace(changed, prompt="")
    return replace(layout, environment=changed)


def _contradicts(prompt: str, weather: str, time_of_day: str) -> bool:
    """Say whether the words of a prompt mean another weather or light; words without either mean none."""
    from scenegen.types.layout import Environment

    try:
        said = read_prompt(prompt, Environment(weather=weather, time_of_day=time_of_day))
    except LayoutError:
        return False
    return (said.weather, said.time_of_day) != (weather, time_of_day)
