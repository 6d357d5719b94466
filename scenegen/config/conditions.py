"""Which ray caster renders the condition maps, and where."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from scenegen.config.require import require_choice
from scenegen.errors import ConfigError

CONDITIONS_NAMES = ("compiled", "torch")
CONDITIONS_DEVICES = ("cpu", "cuda")


@dataclass(frozen=True, kw_only=True)
class ConditionsConfig:
    """Which ray caster renders the condition maps, and where.

    Attributes:
        name: `compiled` for processors, or `torch`.
        device: `cpu`, or `cuda` for `torch`.
    """

    name: str
    device: str

    def __post_init__(self) -> None:
        require_choice(self, "name", CONDITIONS_NAMES)
        require_choice(self, "device", CONDITIONS_DEVICES)
        if self.name == "compiled" and self.device != "cpu":
            raise ConfigError(
                "device=cpu with the compiled ray caster", found=f"device={self.device}", fix="say conditions=torch"
            )

    @property
    def torch_device(self) -> str | None:
        """Where torch casts; None where it does not."""
        return self.device if self.name == "torch" else None

    def decisive(self) -> dict[str, Any]:
        """Return what decides bytes: nothing for the default; all else until it has been seen to be the same."""
        return asdict(self) if self.name == "torch" else {}
