"""The universal scalability law: throughput(N) = r N / (1 + s (N - 1) + k N (N - 1)).

Source: N. Gunther, "A General Theory of Computational Scalability Based on Rational Functions", 2008.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ScalabilityLaw:
    """A fit of throughput over workers.

    Attributes:
        rate: scenes per second of one worker.
        contention: share of the work that only one worker at a time can do.
        coherency: what every pair of workers costs.
        contention_error, coherency_error: standard errors; not finite where there are no more points than parameters.
    """

    rate: float
    contention: float
    coherency: float
    contention_error: float
    coherency_error: float

    def efficiency(self, num_workers: float) -> float:
        """Return throughput per worker as a share of that of one."""
        return 1.0 / (1.0 + self.contention * (num_workers - 1) + self.coherency * num_workers * (num_workers - 1))


def fit_scalability(num_workers: Sequence[int], scenes_per_s: Sequence[float]) -> ScalabilityLaw:
    """Fit the law by least squares of relative errors."""
    import numpy as np
    from scipy.optimize import curve_fit

    def law(n: Any, rate: float, contention: float, coherency: float) -> Any:
        return rate * n / (1.0 + contention * (n - 1.0) + coherency * n * (n - 1.0))

    n, rates = np.asarray(num_workers, np.float64), np.asarray(scenes_per_s, np.float64)
    guess = (float(rates[0] / n[0]), 1e-3, 1e-6)
    values, covariance = curve_fit(law, n, rates, p0=guess, sigma=rates, bounds=(0.0, np.inf))
    errors = np.sqrt(np.diag(covariance))
    return ScalabilityLaw(
        rate=float(values[0]),
        contention=float(values[1]),
        coherency=float(values[2]),
        contention_error=float(errors[1]),
        coherency_error=float(errors[2]),
    )
