"""Places on Earth as local metres, by pyproj: x east, y north, on the ellipsoid WGS84."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64

from scenegen.errors import DependencyError

SEMI_MAJOR_AXIS_M = 6_378_137.0


def enu_from_ecef(origin_ecef_m: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "3 3"]:
    """Return the rotation from Earth-centred axes to east, north and up at a place.

    Up is the normal of the ellipsoid, which is the direction of gravity to about a hundredth of a degree.

    >>> enu_from_ecef(np.array([6378137.0, 0.0, 0.0])).round(6).tolist()
    [[-0.0, 1.0, 0.0], [-0.0, -0.0, 1.0], [1.0, 0.0, 0.0]]

    Raises:
        DependencyError: pyproj is not installed.
    """
    latitude_deg, longitude_deg = degrees_of(origin_ecef_m)
    lon, lat = np.radians(longitude_deg), np.radians(latitude_deg)
    return np.array(
        [
            [-np.sin(lon), np.cos(lon), 0.0],
            [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)],
            [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)],
        ]
    )


def degrees_of(place_ecef_m: Float64[np.ndarray, "3"]) -> tuple[float, float]:
    """Return latitude and longitude of a place in Earth-centred axes.

    >>> degrees_of(np.array([0.0, 6378137.0, 0.0]))
    (0.0, 90.0)

    Raises:
        DependencyError: pyproj is not installed.
    """
    to_degrees = _transformer("+proj=pipeline +step +inv +proj=cart +ellps=WGS84 +step +proj=unitconvert "
                              "+xy_in=rad +xy_out=deg")  # fmt: skip
    longitude_deg, latitude_deg, _ = to_degrees.transform(*place_ecef_m.tolist())
    return float(latitude_deg), float(longitude_deg)


def ecef_from_enu(
    latitude_deg: Float64[np.ndarray, " N"], longitude_deg: Float64[np.ndarray, " N"]
) -> Float64[np.ndarray, "N 4 4"]:
    """Return, for places on the ellipsoid, the transforms from east, north and up at them to Earth-centred axes.

    >>> ecef_from_enu(np.array([0.0]), np.array([90.0]))[0].round(3)[:3, 3].tolist()
    [0.0, 6378137.0, 0.0]

    Raises:
        DependencyError: pyproj is not installed.
    """
    to_ecef = _transformer(
        "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step +proj=cart +ellps=WGS84"
    )
    lat, lon = np.radians(latitude_deg), np.radians(longitude_deg)
    zero = np.zeros(len(lat))
    transforms = np.zeros((len(lat), 4, 4))
    transforms[:, 3, 3] = 1.0
    transforms[:, :3, 0] = np.stack([-np.sin(lon), np.cos(lon), zero], axis=1)
    transforms[:, :3, 1] = np.stack([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)], axis=1)
    transforms[:, :3, 2] = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    transforms[:, :3, 3] = np.transpose(to_ecef.transform(longitude_deg.tolist(), latitude_deg.tolist(), zero.tolist()))
    return transforms


def local_from_degrees(
    latitude_deg: Float64[np.ndarray, " N"], longitude_deg: Float64[np.ndarray, " N"]
) -> Float64[np.ndarray, "N 2"]:
    """Project places by the transverse Mercator projection whose meridian and origin are those of their middle.

    Lengths are true to a millionth within 9 km of the middle; a zone of UTM would shorten them by up to 0.4 per mille.

    Raises:
        DependencyError: pyproj is not installed.
    """
    middle_lat = 0.5 * float(latitude_deg.min() + latitude_deg.max())
    middle_lon = 0.5 * float(longitude_deg.min() + longitude_deg.max())
    projection = _transformer(f"+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step +proj=tmerc "
                              f"+lat_0={middle_lat!r} +lon_0={middle_lon!r} +k=1 +ellps=WGS84")  # fmt: skip
    east_m, north_m = projection.transform(longitude_deg, latitude_deg)
    return np.column_stack([east_m, north_m])


def _transformer(pipeline: str) -> Any:
    try:
        from pyproj import Transformer
    except ImportError as error:
        raise DependencyError(
            "pyproj, to place geographic coordinates", found=str(error), fix="install scenegen[geo]"
        ) from error
    return Transformer.from_pipeline(pipeline)
