"""Measured values with their unit, spread and origin; they are formatted only when they are shown."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import pandas as pd

from lwcnn.evaluation.statistics import Estimate
from lwcnn.experiments.results import MissingInput

T = TypeVar("T")


@dataclass(frozen=True)
class Measurement:
    """A measured or counted value in its unit.

    `spread` is the sample standard deviation over seeds, `interval` has the ends of the 95% interval, `signed` values
    always show their sign, and `origin` is where the value comes from, such as "full, 3 seeds" or "counted".
    """

    value: float
    unit: str = ""
    digits: int = 2
    spread: float | None = None
    interval: tuple[float, float] | None = None
    signed: bool = False
    origin: str = ""

    def __str__(self) -> str:
        text = self._number(self.value) + ("" if self.spread is None else f" ± {self.spread:,.{self.digits}f}")
        unit = self.unit if self.unit == "%" else f" {self.unit}".rstrip()
        interval = f" [{', '.join(map(self._number, self.interval))}]" if self.interval else ""
        origin = f" ({self.origin})" if self.origin else ""
        return f"{text}{unit}{interval}{origin}"

    def _number(self, value: float) -> str:
        return f"{value:{'+' if self.signed else ''},.{self.digits}f}"

    def bare(self) -> "Measurement":
        """Returns the measurement without unit and origin, as tables and the report show it."""
        return replace(self, unit="", origin="")


def percent(share: float, digits: int = 2, **more) -> Measurement:
    return Measurement(100 * share, "%", digits, **more)


def points(difference: float, digits: int = 2, **more) -> Measurement:
    """Returns a difference of fractions in percentage points, with its sign."""
    return Measurement(100 * difference, "points", digits, signed=True, **more)


def mean_and_spread(shares: pd.Series) -> Measurement:
    """Returns the mean and, for several values, the sample standard deviation, in percent."""
    return percent(shares.mean(), spread=100 * shares.std() if len(shares) > 1 else None)


def gain(difference: Estimate, origin: str = "") -> Measurement:
    """Returns a difference of accuracies in points with its 95% interval."""
    return points(difference.mean, interval=(100 * difference.low, 100 * difference.high), origin=origin)


def or_missing(measure: Callable[..., T], *arguments) -> T | MissingInput:
    """Returns the result of a function, or the error if its input does not exist."""
    try:
        return measure(*arguments)
    except MissingInput as error:
        return error


def what_is_missing(error: MissingInput) -> str:
    """Returns the error's message without its "Received: ..." part."""
    return str(error).split(" Received: ")[0].rstrip(".")
