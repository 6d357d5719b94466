"""Where the sun stands."""

from __future__ import annotations

import numpy as np


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
