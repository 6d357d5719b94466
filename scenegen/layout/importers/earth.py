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


def sun_elevation_deg(gps_s: float, latitude_deg: float, longitude_deg: float) -> float:
    """Return how high the sun stands, to half a degree.

    Args:
        gps_s: seconds since 6 January 1980, 0:00 UTC, the epoch of GPS; leap seconds do not matter here.
        latitude_deg: to the north.
        longitude_deg: to the east.

    Source: The Astronomical Almanac, low-precision formulas for the Sun.

    >>> summer_noon_s = (16243 - 3657) * 86400 + 43200  # 22 June 2014, days since 1970
    >>> round(sun_elevation_deg(summer_noon_s, 51.48, 0.0))
    62
    """
    days = gps_s / 86_400.0 - 7_300.5  # since J2000.0
    anomaly = np.radians(357.528 + 0.9856003 * days)
    ecliptic = np.radians(280.460 + 0.9856474 * days + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2.0 * anomaly))
    tilt = np.radians(23.439 - 4e-7 * days)
    declination = np.arcsin(np.sin(tilt) * np.sin(ecliptic))
    right_ascension = np.arctan2(np.cos(tilt) * np.sin(ecliptic), np.cos(ecliptic))
    sidereal = np.radians(15.0 * (18.697374558 + 24.06570982441908 * days) + longitude_deg)
    latitude, hour_angle = np.radians(latitude_deg), sidereal - right_ascension
    height = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(hour_angle)
    return float(np.degrees(np.arcsin(np.clip(height, -1.0, 1.0))))


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
