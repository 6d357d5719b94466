"""What comes from outside runs nothing, reads no secret from the environment, and does not grow without bounds."""

from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path

import pytest

from scenegen.cli.compose import compose_config
from scenegen.config import GenerateConfig
from scenegen.errors import ConfigError, LayoutError, SceneGenError, WeightsError
from scenegen.layout.sources import read_layout

pytestmark = pytest.mark.battery("F13 attacks")
SECRET = "canary-secret"
RIG = "name: {}\nsource_image: {{width_px: 4, height_px: 4}}\nimage: {{width_px: 4, height_px: 4}}\ncameras: []\n"
LOOKUPS = ["${oc.env:CANARY}", "${oc.decode:${oc.env:CANARY}}", "${oc.env:NOT_THERE,${oc.env:CANARY}}"]


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", SECRET)


def assert_refused_without_the_secret(*overrides: str, search: Path | None = None) -> None:
    with pytest.raises(ConfigError, match="interpolation") as caught:
        compose_config(GenerateConfig, "generate", overrides, search=search)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("lookup", LOOKUPS)
@pytest.mark.parametrize("key", ["output", "prompt", "rig", "+video.weights"])
def test_an_override_never_reads_the_environment(key: str, lookup: str) -> None:
    assert_refused_without_the_secret(f"{key}={lookup}")


@pytest.mark.parametrize("lookup", LOOKUPS)
def test_a_rig_file_never_reads_the_environment(lookup: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(RIG.format(lookup))
    assert_refused_without_the_secret(f"rig={tmp_path / 'mine.yaml'}")


@pytest.mark.parametrize("lookup", LOOKUPS)
def test_a_group_of_the_users_own_never_reads_the_environment(lookup: str, tmp_path: Path) -> None:
    (tmp_path / "rig").mkdir()
    (tmp_path / "rig" / "mine.yaml").write_text(RIG.format(lookup))
    assert_refused_without_the_secret("rig=mine", search=tmp_path)


@pytest.mark.parametrize("lookup", LOOKUPS)
@pytest.mark.parametrize("entry", ["- {0}", "- base: {0}", "- optional base: {0}", "- base@{0}: one", "- /rig: {0}"])
def test_a_list_of_defaults_never_reads_the_environment(entry: str, lookup: str, tmp_path: Path) -> None:
    (tmp_path / "rig" / "base").mkdir(parents=True)
    (tmp_path / "rig" / "base" / "one.yaml").write_text("name: one\n")
    (tmp_path / "rig" / "mine.yaml").write_text(f"defaults:\n  {entry.format(lookup)}\n")
    assert_refused_without_the_secret("rig=mine", search=tmp_path)


@pytest.mark.parametrize(
    "text", ['defaults: [{/rig: "\\x24{oc.env:CANARY}"}]', "<<: {defaults: [{/rig: '${oc.env:CANARY}'}]}"]
)
def test_a_list_of_defaults_that_hides_a_lookup_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "rig").mkdir()
    (tmp_path / "rig" / "mine.yaml").write_text(text)
    assert_refused_without_the_secret("rig=mine", search=tmp_path)
    assert_refused_without_the_secret(f"rig={tmp_path / 'rig' / 'mine.yaml'}")


def test_a_list_of_defaults_behind_an_alias_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rig").mkdir()
    (tmp_path / "rig" / "mine.yaml").write_text(f"x: &x\n  - /rig: '{LOOKUPS[0]}'\ndefaults: *x\n")
    with pytest.raises(ConfigError, match="alias") as caught:
        compose_config(GenerateConfig, "generate", ["rig=mine"], search=tmp_path)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("target", ["os.system", "builtins.exec", "pathlib.Path.unlink", "torch.load"])
def test_a_rig_file_that_names_code_is_refused_and_its_canary_stays(target: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("alive")
    (tmp_path / "mine.yaml").write_text(f"{RIG.format('x')}_target_: {target}\n_args_: ['{canary}']\n")
    with pytest.raises(ConfigError, match="_target_"):
        compose_config(GenerateConfig, "generate", [f"rig={tmp_path / 'mine.yaml'}"])
    assert canary.read_text() == "alive"


def alias_bomb(key: str) -> str:
    """Nine lines that stand for 9^8 values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    return "\n".join([*lines, f"{key}: *a8\n"])


@pytest.mark.timeout(20)
def test_aliases_in_a_rig_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bomb.yaml").write_text(alias_bomb("cameras"))
    with pytest.raises(ConfigError, match="alias"):
        compose_config(GenerateConfig, "generate", [f"rig={tmp_path / 'bomb.yaml'}"])


@pytest.mark.timeout(20)
@pytest.mark.parametrize("key", ["agents", "roads", "areas", "ego", "environment"])
def test_aliases_in_a_layout_do_not_explode(key: str, tmp_path: Path) -> None:
    (tmp_path / "bomb.yaml").write_text(alias_bomb(key))
    with pytest.raises(LayoutError) as caught:
        read_layout(str(tmp_path / "bomb.yaml"))
    assert len(str(caught.value)) < 1000


class Command:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return os.unlink, (self.canary,)


def safetensors_of(entries: dict[str, object], data: bytes) -> bytes:
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + data


def overlapping() -> bytes:
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    return safetensors_of({"a": entry, "b": entry}, bytes(8))


HEADER_BEYOND_THE_FILE = struct.pack("<Q", 1 << 40) + b"{}"


def read_model(path: Path) -> object:
    from scenegen.video.build import load_backbone

    return load_backbone("native", steps=1, weights=str(path))


def read_judge(path: Path) -> object:
    from scenegen.checks.judge import load_judge

    return load_judge(path)


def read_checkpoint(path: Path) -> object:
    from scenegen.training.checkpoint import load_checkpoint

    return load_checkpoint(path.rename(path.with_name("checkpoint.safetensors")).parent, modules={}, optimizers={})


@pytest.mark.parametrize("read", [read_model, read_judge, read_checkpoint])
@pytest.mark.parametrize("kind", ["pickle", "overlapping", "endless header"])
def test_weights_that_are_no_sound_safetensors_are_refused_and_run_nothing(
    read: type[object], kind: str, tmp_path: Path
) -> None:
    canary, path = tmp_path / "canary", tmp_path / "weights.safetensors"
    canary.touch()
    contents = {
        "pickle": pickle.dumps(Command(canary)),
        "overlapping": overlapping(),
        "endless header": HEADER_BEYOND_THE_FILE,
    }
    path.write_bytes(contents[kind])
    with pytest.raises(WeightsError) as caught:
        read(path)
    assert isinstance(caught.value, SceneGenError) and str(tmp_path) in str(caught.value)
    assert canary.exists()
