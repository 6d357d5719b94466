import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr.codecs import Crc32cCodec

from scenegen.dataset import JpegCodec, PngCodec
from scenegen.errors import ConfigError, DatasetError


def picture(height: int = 24, width: int = 40) -> np.ndarray:
    ramp = np.add.outer(np.arange(height) * 4, np.arange(width) * 3)[:, :, None] + np.array([0, 20, 40])
    return ramp.astype(np.uint8)


def test_png_returns_every_pixel() -> None:
    codec = PngCodec()
    assert np.array_equal(codec.decode_picture(codec.encode_picture(picture()), size_hw=(24, 40)), picture())


def test_jpeg_is_close_and_keeps_colour_edges() -> None:
    stripes = np.zeros((16, 16, 3), np.uint8)
    stripes[:, ::2] = (255, 0, 0)
    stripes[:, 1::2] = (0, 0, 255)
    codec = JpegCodec(quality=95)
    decoded = codec.decode_picture(codec.encode_picture(stripes), size_hw=(16, 16)).astype(int)
    assert np.abs(decoded - stripes).max() < 30  # with chroma subsampling the stripes would turn purple


def test_higher_quality_is_nearer() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)

    def error(quality: int) -> float:
        codec = JpegCodec(quality=quality)
        decoded = codec.decode_picture(codec.encode_picture(noise), size_hw=(24, 40))
        return float(np.abs(decoded.astype(int) - noise).mean())

    assert error(95) < error(60)


@pytest.mark.parametrize("content", [b"", b"no picture", PngCodec().encode_picture(picture())])
def test_what_is_no_jpeg_is_refused(content: bytes) -> None:
    with pytest.raises(DatasetError, match="JPEG"):
        JpegCodec().decode_picture(content, size_hw=(24, 40))


def test_truncated_jpeg_is_refused() -> None:
    content = JpegCodec().encode_picture(picture())
    with pytest.raises(DatasetError):
        JpegCodec().decode_picture(content[: len(content) // 2], size_hw=(24, 40))


def test_size_in_the_header_is_checked_before_pixels_are_allocated() -> None:
    content = JpegCodec().encode_picture(picture(48, 40))
    with pytest.raises(DatasetError, match="rows and columns"):
        JpegCodec().decode_picture(content, size_hw=(24, 40))


@pytest.mark.parametrize("quality", [0, 101])
def test_quality_out_of_range_is_refused(quality: int) -> None:
    with pytest.raises(ConfigError, match="quality"):
        JpegCodec(quality=quality)


@pytest.mark.parametrize(("shape", "dtype"), [((4, 8, 8, 3), "float32"), ((4, 8, 8, 1), "uint8")])
def test_arrays_that_are_no_pictures_are_refused(tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    with pytest.raises(ConfigError, match="chunks"):
        zarr.create_array(tmp_path / "a.zarr", shape=shape, chunks=(1, *shape[1:]), dtype=dtype, serializer=JpegCodec())


def test_several_pictures_per_chunk_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one picture"):
        zarr.create_array(
            tmp_path / "a.zarr", shape=(4, 8, 8, 3), chunks=(2, 8, 8, 3), dtype="uint8", serializer=JpegCodec()
        )


@pytest.mark.parametrize("codec", [JpegCodec(quality=87), PngCodec(level=3)])
def test_configuration_survives_the_metadata(tmp_path: Path, codec: JpegCodec | PngCodec) -> None:
    zarr.create_array(
        tmp_path / "a.zarr",
        shape=(4, 8, 8, 3),
        chunks=(1, 8, 8, 3),
        shards=(2, 8, 8, 3),
        dtype="uint8",
        serializer=codec,
        compressors=[Crc32cCodec()],
    )
    sharding = zarr.open_array(tmp_path / "a.zarr").metadata.to_dict()["codecs"][0]
    inner = sharding["configuration"]["codecs"]
    assert [entry["name"] for entry in inner] == [codec.codec_name, "crc32c"]
    assert inner[0] == codec.to_dict()
    assert type(codec).from_dict(inner[0]) == codec


def test_entry_points_name_all_codecs() -> None:
    pyproject = Path(__file__).parents[3] / "pyproject.toml"
    import tomllib

    declared = tomllib.loads(pyproject.read_text())["project"]["entry-points"]["zarr.codecs"]
    assert declared == {
        "scenegen.jpeg": "scenegen.dataset.jpeg_codec:JpegCodec",
        "scenegen.png": "scenegen.dataset.jpeg_codec:PngCodec",
        "scenegen.jxl": "scenegen.dataset.jpeg_codec:JxlCodec",
    }


def test_a_failing_codec_leaves_no_noise_behind(shared_dataset: Path, tmp_path: Path) -> None:
    """zarr-python once printed hundreds of 'task was destroyed' lines after an error inside a codec."""
    import shutil

    copy = shutil.copytree(shared_dataset, tmp_path / "ds")
    shard = sorted(copy.glob("scenes/*/*.zarr/cameras/CAM_FRONT/rgb/c.0.0.0.0"))[0]
    content = bytearray(shard.read_bytes())
    content[len(content) // 4] ^= 0xFF
    shard.write_bytes(content)
    script = (
        "import sys\nfrom scenegen.dataset import open_dataset\nfrom scenegen.errors import DatasetError\n"
        "scene = next(iter(open_dataset(sys.argv[1])))\n"
        "try:\n    scene.rgb('CAM_FRONT')[:]\nexcept DatasetError as error:\n    print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", script, str(copy)], capture_output=True, text=True, check=True)
    assert "CAM_FRONT" in result.stdout
    assert result.stderr == ""
