"""Zarr v3 codecs that store one picture per chunk: `scenegen.jpeg` (4:4:4, lossy), `scenegen.png` and `scenegen.jxl`.

The last two are lossless. The bytes of a chunk are one ordinary JPEG, PNG or JPEG XL file. A chunk has shape
`(1, ..., 1, height, width, 3)`, uint8, sRGB. Any program can read such a chunk: cut it out of the shard, drop the four
bytes of crc32c, open it.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from PIL import Image, UnidentifiedImageError
from zarr.abc.codec import ArrayBytesCodec
from zarr.registry import register_codec

from scenegen.errors import ConfigError, DatasetError, DependencyError

if TYPE_CHECKING:
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, NDBuffer

NUM_CHANNELS = 3


class ImageCodec(ArrayBytesCodec):
    """One picture per chunk; the subclass says in which file format."""

    is_fixed_size = False
    codec_name: ClassVar[str]
    pillow_format: ClassVar[str]

    def save_options(self) -> dict[str, Any]:
        """Return the options that Pillow's writer gets."""
        raise NotImplementedError

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Refuse arrays that are not pictures.

        Raises:
            ConfigError: not uint8, or a chunk is not one picture of three channels.
        """
        chunk_shape = tuple(getattr(chunk_grid, "chunk_shape", shape))
        is_uint8 = dtype.to_native_dtype() == np.uint8
        if (
            not is_uint8
            or len(chunk_shape) < 3
            or chunk_shape[-1] != NUM_CHANNELS
            or any(length != 1 for length in chunk_shape[:-3])
        ):
            raise ConfigError(
                "uint8 chunks of shape (1, height, width, 3)",
                found=f"{dtype} chunks of shape {chunk_shape}",
                where=f"codec {self.codec_name}",
                fix="store one picture per inner chunk",
            )

    async def _encode_single(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> Buffer | None:
        pixels = chunk_array.as_numpy_array().reshape(chunk_spec.shape[-3:])
        return chunk_spec.prototype.buffer.from_bytes(self.encode_picture(pixels))

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        pixels = self.decode_picture(chunk_bytes.to_bytes(), size_hw=chunk_spec.shape[-3:-1])
        return chunk_spec.prototype.nd_buffer.from_numpy_array(pixels.reshape(chunk_spec.shape))

    def prepare(self) -> None:
        """Make Pillow know the format, where it does not by itself."""

    def encode_picture(self, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
        """Compress one H W 3 picture."""
        self.prepare()
        stream = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(stream, self.pillow_format, **self.save_options())
        return stream.getvalue()

    def decode_picture(self, content: bytes, *, size_hw: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Decompress one picture; its header is checked before any pixel is allocated.

        Raises:
            DatasetError: not a picture of this format and size.
        """
        self.prepare()
        try:
            with Image.open(io.BytesIO(content), formats=(self.pillow_format,)) as picture:
                if (picture.height, picture.width, picture.mode) != (*size_hw, "RGB"):
                    raise DatasetError(
                        f"an RGB picture of {size_hw} rows and columns",
                        found=f"{picture.mode} of {(picture.height, picture.width)}",
                        where=f"codec {self.codec_name}",
                    )
                return np.asarray(picture)
        except (UnidentifiedImageError, OSError, ValueError) as error:
            raise DatasetError(
                f"a {self.pillow_format} picture", found=f"{error}", where=f"codec {self.codec_name}"
            ) from error

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Compressed pictures have no size known beforehand."""
        raise NotImplementedError(f"{self.codec_name} has no fixed size")


@dataclass(frozen=True)
class JpegCodec(ImageCodec):
    """JPEG without chroma subsampling. `quality` is Pillow's, 1 to 100."""

    codec_name: ClassVar[str] = "scenegen.jpeg"
    pillow_format: ClassVar[str] = "JPEG"
    quality: int = 95

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise ConfigError("jpeg quality from 1 to 100", found=f"{self.quality}", where=f"codec {self.codec_name}")

    def save_options(self) -> dict[str, Any]:
        """Return quality and 4:4:4 sampling."""
        return {"quality": self.quality, "subsampling": 0}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Build from the `codecs` entry of a `zarr.json`."""
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> dict[str, Any]:
        """Return the `codecs` entry of a `zarr.json`."""
        return {"name": self.codec_name, "configuration": {"quality": self.quality}}


@dataclass(frozen=True)
class PngCodec(ImageCodec):
    """PNG, lossless. `level` is zlib's, 0 to 9."""

    codec_name: ClassVar[str] = "scenegen.png"
    pillow_format: ClassVar[str] = "PNG"
    level: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.level <= 9:
            raise ConfigError("png level from 0 to 9", found=f"{self.level}", where=f"codec {self.codec_name}")

    def save_options(self) -> dict[str, Any]:
        """Return the compression level."""
        return {"compress_level": self.level}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Build from the `codecs` entry of a `zarr.json`."""
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> dict[str, Any]:
        """Return the `codecs` entry of a `zarr.json`."""
        return {"name": self.codec_name, "configuration": {"level": self.level}}


@dataclass(frozen=True)
class JxlCodec(ImageCodec):
    """JPEG XL, lossless: smaller than PNG and several times faster to encode. `effort` is libjxl's, 1 to 9.

    Needs the package pillow-jxl-plugin (`pip install scenegen[jxl]`), for reading too.
    """

    codec_name: ClassVar[str] = "scenegen.jxl"
    pillow_format: ClassVar[str] = "JXL"
    effort: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.effort <= 9:
            raise ConfigError("jxl effort from 1 to 9", found=f"{self.effort}", where=f"codec {self.codec_name}")

    def prepare(self) -> None:
        """Register the plugin.

        Raises:
            DependencyError: it is not installed.
        """
        try:
            import pillow_jxl  # noqa: F401
        except ImportError as error:
            raise DependencyError(
                "package pillow-jxl-plugin",
                found="not installed",
                where=f"codec {self.codec_name}",
                fix="pip install 'scenegen[jxl]'",
            ) from error

    def save_options(self) -> dict[str, Any]:
        """Return the options; one thread, because scenes run beside each other."""
        return {"lossless": True, "effort": self.effort, "num_threads": 1}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Build from the `codecs` entry of a `zarr.json`."""
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> dict[str, Any]:
        """Return the `codecs` entry of a `zarr.json`."""
        return {"name": self.codec_name, "configuration": {"effort": self.effort}}


def register_image_codecs() -> None:
    """Make the codecs known to zarr. Installed packages do the same by entry point, without an import."""
    register_codec(JpegCodec.codec_name, JpegCodec)
    register_codec(PngCodec.codec_name, PngCodec)
    register_codec(JxlCodec.codec_name, JxlCodec)


register_image_codecs()
