from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scenegen.cli.command_line import main
from scenegen.config import GenerateConfig, parse_config
from scenegen.errors import OutputError, SceneFailedError

HEAVY = ("torch", "ray", "hydra", "zarr", "numba", "scipy", "shapely", "av", "rich")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("generate", "sed=1"),
        ("generate", "seed=x"),
        ("generate", "nonsense"),
        ("generate", "video._target_=os.system"),
        ("generate", "layouts=[no_such_scene]", "video=preview"),
        ("generate", "layouts=[nowhere/missing.yaml]", "video=preview"),
        ("generate", "layouts=[klingon:x]", "video=preview"),
        ("generate", "rig.cameras=[]", "video=preview"),
        ("generate", "rig.image.height_px=900", "video=preview"),
        ("generate", "--config-dir", "nowhere"),
        ("train", "recipe=video"),
        ("layout", "show", "no_such_scene"),
        ("layout", "validate", "nowhere/missing.yaml"),
        ("verify", "nowhere"),
        ("status", "nowhere"),
        ("inspect", "nowhere"),
    ],
)
def test_bad_input_is_exit_2_and_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("scenegen: ") and err.count("\n") == 1
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "generate", "sed=1", "--debug")
    assert code == 2
    assert "Traceback" in err and err.rstrip().endswith("Did you mean 'seed'?")


def test_cfg_prints_a_config_that_parses_again(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "generate", "--cfg", "seed=7", "--plain", "rig=front1")
    config = parse_config(GenerateConfig, yaml.safe_load(out))
    assert code == 0
    assert (config.seed, config.progress, len(config.rig.cameras)) == (7, "plain", 1)


def test_flags_and_overrides_mix_in_any_order(capsys: pytest.CaptureFixture[str]) -> None:
    outputs = {
        run(capsys, "generate", *arguments)[1]
        for arguments in (["a" * 0 + "seed=3", "--cfg", "split=val"], ["--cfg", "seed=3", "split=val"])
    }
    assert len(outputs) == 1


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["generate", "--help"], ["train", "--help"], ["layout", "--help"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
        assert "examples:" in capsys.readouterr().out


def test_an_unknown_verb_or_flag_is_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["paint"], ["generate", "--sed"], ["status", "a", "b=c"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
    capsys.readouterr()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SceneFailedError("all scenes", found="1 failed"), 3),
        (OutputError("space"), 2),
        (PermissionError(13, "Permission denied", "out"), 2),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("x"), 1),
    ],
)
def test_exit_codes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr("scenegen.cli.jobs.compose_config", fail)
    found, _, err = run(capsys, "generate", "seed=1")
    assert found == code
    assert err.count("\n") == 1
    if code == 130:
        assert "scenegen generate seed=1" in err


def test_doctor_names_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "doctor")
    assert code == 0
    for name in ("python", "numpy", "torch", "cpu cores", "memory"):
        assert name in out


def test_the_command_line_starts_light_and_fast() -> None:
    program = (
        "import sys, time; started = time.process_time();"
        "from scenegen.cli.command_line import build_parser; build_parser();"
        "print(time.process_time() - started, *[m for m in sys.argv[1:] if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program, *HEAVY], capture_output=True, text=True, check=True)
    seconds, *loaded = answer.stdout.split()
    assert loaded == []
    assert float(seconds) < 1.0
