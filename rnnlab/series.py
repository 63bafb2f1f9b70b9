"""Series in: windows, differences, a scaler; and out: rolling origins, baselines, error measures.

NumPy only; the three notations share it. Shapes: N steps in time, F features, M windows of T steps
read and K steps forecast. A series is (N,) or (N, F), ints or floats, its oldest value first; (N,)
counts as one feature.

The principle: nothing sees the future by accident. What learns from values is handed the training
part and nothing else; a forecaster is handed the past and nothing else; nothing is shuffled.

    train, test = split(values, cut)
    scaler = Scaler.fit(train)
    scaled = scaler.transform(values)
    to_train = windows(scaled[:cut], T)
    to_test = windows(scaled, T, first=cut)
"""

from typing import NamedTuple

import numpy as np

from rnnlab import checks

__all__ = [
    "Backtest",
    "Fold",
    "Scaler",
    "backtest",
    "difference",
    "drift",
    "last_value",
    "mae",
    "mase",
    "rmse",
    "rolling_origin",
    "seasonal_naive",
    "split",
    "undifference",
    "windows",
]


def split(values, at):
    """Cut a series, or its time axis, in two: what comes before ``at``, and the rest.

    values: (N,) or (N, F).
    at: a position, 0 < at < N, or the first part's share, a float between 0 and 1, to the nearest
        step. Never at random: a model that has seen both neighbours of a value is not tested by it.
    Raises ValueError if a part would be empty.

    >>> train, test = split([3, 1, 4, 1, 5], 3)
    >>> train.tolist(), test.tolist()
    ([3, 1, 4], [1, 5])
    >>> split([3, 1, 4, 1, 5], 0.8)[1].tolist()
    [5]
    """
    expected = "an array (N,) or (N, F)"
    found = checks.anything("values", values, expected)
    if found.ndim == 0:
        raise TypeError(f"values must be {expected}, got {type(values).__name__}")
    values = found
    if isinstance(at, (float, np.floating)):
        cut = round(len(values) * checks.number("at, as a share,", at, above=0, below=1))
    else:
        cut = checks.size("at", at)
    if not 0 < cut < len(values):
        raise ValueError(
            f"at must leave values on both sides, got {at!r} for N = {len(values)}: "
            f"{min(cut, len(values))} before the cut, {max(len(values) - cut, 0)} after it"
        )
    return values[:cut], values[cut:]


def windows(values, length, *, horizon=1, targets=None, first=0, dtype="float32"):
    """All windows of a series: inputs (M, T, F), and targets (M, K, C), the K steps that follow.

    values: (N,) or (N, F). length: T. horizon: K. targets: the numbers of the C features to
        forecast; ``None``: all. dtype: as of the layer that reads the windows.
    first: only windows whose targets begin at this position or later (and not before T). So a test
        part's windows may read the end of the training part, which is the past, and the training
        windows never reach into the test part:

            windows(values[:cut], T)         to train
            windows(values, T, first=cut)    to test

        Together these are all windows, but for the K - 1 whose targets lie on both sides of the
        cut. Window m has the targets of the positions max(first, T) + m and on.
    Raises ValueError if the series is too short for one window.

    >>> inputs, targets = windows([0, 1, 2, 3, 4], length=3)
    >>> inputs[..., 0].tolist(), targets[..., 0].tolist()
    ([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]], [[3.0], [4.0]])
    >>> windows([0, 1, 2, 3, 4], length=3, first=4)[1].shape
    (1, 1, 1)
    """
    values, dtype = _columns(checks.series("values", values)), checks.float_dtype(dtype)
    with np.errstate(over="ignore"):
        values = values.astype(dtype)
    if not np.isfinite(values).all():
        raise ValueError(f"values must be numbers that {dtype} can hold; scale them first")
    N, F = values.shape
    length, horizon = checks.size("length", length), checks.size("horizon", horizon)
    first = checks.size("first", first, minimum=0)
    targets = checks.columns("targets", targets, F)
    if length + horizon > N:
        raise ValueError(
            f"length + horizon must be at most N = {N}, the steps of the series, got {length} + "
            f"{horizon}; take shorter windows or a longer series"
        )
    if first + horizon > N:
        raise ValueError(
            f"first must be at most N - horizon = {N - horizon}, or no target is left, got {first}"
        )
    begin = np.arange(max(first, length), N - horizon + 1)[:, None]  # (M, 1), of the targets
    inputs = values[begin + np.arange(-length, 0)]  # (M, T, F)
    return inputs, values[:, targets][begin + np.arange(horizon)]  # (M, K, C)


def _columns(values):
    """A series as (N, F)."""
    return values[:, None] if values.ndim == 1 else values


class Scaler:
    """Standardise each feature: (x - mean) / scale, with the training part's mean and deviation.

    ``Scaler.fit(train)`` makes it. There is no scaler that has not been fitted, and none that the
    data it transforms could fit anew: a mean taken over the test part as well would tell the model
    where the series is going.

    mean, scale: (F,), to build again a scaler that has been stored.

    >>> train, test = split([1, 3, 1, 3, 7], 4)
    >>> scaler = Scaler.fit(train)
    >>> scaler
    Scaler(mean=[2.0], scale=[1.0])
    >>> scaler.transform(test)
    array([5.])
    >>> scaler.inverse([5.0])
    array([7.])
    """

    def __init__(self, mean, scale):
        self.mean, self.scale = checks.series("mean", mean), checks.series("scale", scale)
        if self.mean.ndim > 1 or self.mean.shape != self.scale.shape or (self.scale <= 0).any():
            raise ValueError(
                "mean and scale must have one shape (F,), and each scale be greater than 0, got "
                f"{self.mean.tolist()} and {self.scale.tolist()}; Scaler.fit(train) makes both"
            )

    @classmethod
    def fit(cls, train):
        """The scaler of a training part (N,) or (N, F): its mean and its standard deviation.

        Raises ValueError if a feature is constant: it has no scale.
        """
        train = _columns(checks.series("train", train))
        constant = np.flatnonzero(train.min(axis=0) == train.max(axis=0))
        if len(constant):
            k = constant[0]
            raise ValueError(
                f"train must vary in each feature, but feature {k} is {train[0, k]} in all "
                f"{len(train)} rows; leave that feature out, or take a longer training part"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            mean, scale = train.mean(axis=0), train.std(axis=0)
        if not (np.isfinite(mean) & np.isfinite(scale)).all():
            raise ValueError("train must hold numbers whose squares float64 can hold; scale them")
        return cls(mean, scale)

    def __repr__(self):
        return f"Scaler(mean={self.mean.tolist()}, scale={self.scale.tolist()})"

    def transform(self, values):
        """Values (..., F), or (N,) where F = 1 -> the same shape, standardised, float64."""
        return (_features(values, len(self.mean), checks.GAP) - self.mean) / self.scale

    def inverse(self, values, columns=None):
        """Standardised values (..., C), or (N,) where C = 1 -> the same shape in the old units.

        columns: which features the C of the last axis are, such as the ``targets`` of
            :func:`windows`; ``None``: all F.
        """
        columns = checks.columns("columns", columns, len(self.mean))
        values = _features(values, len(columns), checks.DIVERGED)
        return values * self.scale[columns] + self.mean[columns]


def _features(values, count, hint):
    """Finite values (..., count), or (N,) where the count is 1."""
    values = checks.finite_floats("values", values, hint)
    fits = count == 1 if values.ndim == 1 else values.shape[-1:] == (count,)
    if not fits:
        raise ValueError(
            f"values must have the features on the last axis, {count} of them, got shape "
            f"{values.shape}; "
            + (
                "add the axis, as in values[..., None]"
                if count == 1
                else "fit a scaler to these features, or say which ones they are: "
                "inverse(values, columns=[...])"
            )
        )
    return values


def difference(values, lag=1):
    """What has changed since ``lag`` steps before: (N,) -> (N - lag,), or (N, F) -> (N - lag, F).

    lag 1 takes a trend away, the season's length the season; of logarithms, a difference is a rate
    of growth. (Box & Jenkins 1970.) Entry k is the change at position k + lag, so what was cut at
    ``cut`` is now cut at ``cut - lag``.
    Raises ValueError if the series is not longer than the lag.

    >>> difference([1, 2, 4, 8])
    array([1., 2., 4.])
    >>> difference([1, 2, 4, 8], lag=2)
    array([3., 6.])
    """
    values, lag = checks.series("values", values), checks.size("lag", lag)
    if lag >= len(values):
        raise ValueError(
            f"lag must be less than N = {len(values)}, the steps of the series, got {lag}"
        )
    return values[lag:] - values[:-lag]


def undifference(differences, history, lag=1):
    """The values that follow a history, from their differences: the inverse of :func:`difference`.

    The result has the shape of ``differences``. From step ``lag`` on it builds upon values that it
    has made itself, as a forecast of several steps does; for one step ahead, again and again, call
    it with the true history each time.

    differences: (K,) or (K, F). history: the values before them, at least ``lag``; only the last
        ``lag`` count.
    Raises ValueError if the history is too short or has other features.

    >>> undifference([1, 2, 4], history=[1])
    array([2., 4., 8.])

    A series whose season grows with it, and the way back:

    >>> values = np.array([100.0, 50.0, 110.0, 55.0, 121.0])
    >>> growth = difference(np.log(values), lag=2)
    >>> np.exp(undifference(growth, history=np.log(values[:2]), lag=2)).round(6)
    array([110.,  55., 121.])
    """
    differences = checks.series("differences", differences)
    history, lag = checks.series("history", history), checks.size("lag", lag)
    if history.shape[1:] != differences.shape[1:]:
        raise ValueError(
            "history and differences must both be (N,), or both (N, F) with one F, got shapes "
            f"{history.shape} and {differences.shape}"
        )
    if len(history) < lag:
        raise ValueError(
            f"history must hold at least lag = {lag} steps, got {len(history)}; the differences "
            "build upon them"
        )
    values = np.concatenate([history[-lag:], differences])
    for t in range(lag, len(values)):
        values[t] += values[t - lag]
    return values[lag:]


class Fold(NamedTuple):
    """A training part and the test part that follows it, as slices: ``values[fold.train]``.

    >>> fold = Fold(train=slice(0, 3), test=slice(3, 5))
    >>> "abcde"[fold.train], "abcde"[fold.test]
    ('abc', 'de')
    """

    train: slice
    test: slice


def rolling_origin(n, *, initial, horizon=1, step=1, window=None):
    """Training and test parts with the border between them, the forecast origin, rolling forward.

    The list of all folds, of a series of n steps, whose test part is whole. (Tashman 2000; time
    series cross-validation in Hyndman & Athanasopoulos 2021, 5.10.)

    initial: steps of the first training part. horizon: K, steps of each test part. step: how far
        the origin moves. window: steps of every training part, the latest ones (a sliding window),
        at most ``initial``; ``None``: all from the beginning (an expanding one).
    Raises ValueError if the series is too short for one fold.

    >>> for train, test in rolling_origin(6, initial=3, horizon=2):
    ...     print(list(range(6))[train], list(range(6))[test])
    [0, 1, 2] [3, 4]
    [0, 1, 2, 3] [4, 5]
    >>> [fold.train for fold in rolling_origin(6, initial=3, window=2, step=2)]
    [slice(1, 3, None), slice(3, 5, None)]
    """
    n, initial = checks.size("n", n), checks.size("initial", initial)
    horizon, step = checks.size("horizon", horizon), checks.size("step", step)
    window = None if window is None else checks.size("window", window)
    if initial + horizon > n:
        raise ValueError(
            f"initial + horizon must be at most the {n} steps of the series, got {initial} + "
            f"{horizon}; begin earlier or forecast fewer steps"
        )
    if window is not None and window > initial:
        raise ValueError(
            f"window must be at most initial = {initial}, got {window}; the first training part "
            "would be shorter than the others"
        )
    return [
        Fold(
            slice(0 if window is None else origin - window, origin),
            slice(origin, origin + horizon),
        )
        for origin in range(initial, n - horizon + 1, step)
    ]


class Backtest(NamedTuple):
    """What :func:`backtest` returns: R forecasts of K steps, and what came.

    actual, forecast: (R, K), or (R, K, C) of a series (N, F). origins: (R,), the position of each
        forecast's first step, so that ``actual[r, k]`` is the value at ``origins[r] + k``.

    >>> found = backtest([1.0, 2.0, 4.0], last_value, initial=2)
    >>> found.actual.tolist(), found.forecast.tolist(), found.origins.tolist()
    ([[4.0]], [[2.0]], [2])
    """

    actual: np.ndarray
    forecast: np.ndarray
    origins: np.ndarray


def backtest(values, forecaster, *, initial, horizon=1, step=1, window=None, targets=None):
    """Forecast from each rolling origin, as it would have been done then, beside what came.

    values: (N,) or (N, F). forecaster: a function (history, horizon) -> forecast. The history is
        the fold's training part, (n,) or (n, F): a copy, whose memory holds nothing else, so that
        what is to come cannot be read from it, and what is done to it changes nothing. The
        forecast is (K,), or (K, C) where the history is (n, F).
    initial, horizon, step, window: as in :func:`rolling_origin`. targets: the numbers of the C
        features that are forecast; ``None``: all.
    Raises ValueError if the series is too short, or a forecast is NaN or of another shape.

    >>> result = backtest([3, 1, 4, 1, 5, 9], last_value, initial=3, horizon=2, step=1)
    >>> result.forecast.tolist(), result.actual.tolist(), result.origins.tolist()
    ([[4.0, 4.0], [1.0, 1.0]], [[1.0, 5.0], [5.0, 9.0]], [3, 4])
    """
    values = checks.series("values", values)
    checks.instance("forecaster", forecaster, "__call__", "a function (history, horizon)")
    folds = rolling_origin(len(values), initial=initial, horizon=horizon, step=step, window=window)
    targets = checks.columns("targets", targets, _columns(values).shape[1])
    wanted = values[:, targets] if values.ndim == 2 else values
    actual = np.stack([wanted[fold.test] for fold in folds])
    forecast = np.empty_like(actual)
    for r, fold in enumerate(folds):
        made = checks.finite_floats(
            f"the forecast from position {fold.test.start}",
            forecaster(values[fold.train].copy(), horizon),
            checks.DIVERGED,
        )
        if made.shape != actual[r].shape:
            raise ValueError(
                f"forecaster must return shape {actual[r].shape}, like the values to come, got "
                f"{made.shape} from a history {values[fold.train].shape} and horizon {horizon}"
            )
        forecast[r] = made
    return Backtest(actual, forecast, np.array([fold.test.start for fold in folds]))


def last_value(history, horizon):
    """The naive forecast: all goes on as it is now. (n,) -> (K,), or (n, F) -> (K, F).

    Also called persistence. (Hyndman & Athanasopoulos 2021, 5.2.)

    history: the n steps before the origin, the oldest first.
    horizon: K, how many steps are forecast.
    Raises ValueError or TypeError if history is no series or horizon is not at least 1.

    >>> last_value([1, 2, 4], 2)
    array([4., 4.])
    """
    history, horizon = checks.series("history", history), checks.size("horizon", horizon)
    return np.repeat(history[-1:], horizon, axis=0)


def seasonal_naive(period):
    """A forecaster: each step as it was one season ago. period: steps of a season.

    Where K is longer than a season, the last season comes again and again. The forecaster raises
    ValueError if the history is shorter than a season. (Hyndman & Athanasopoulos 2021, 5.2.)

    >>> seasonal_naive(3)([9, 1, 2, 4], 4)
    array([1., 2., 4., 1.])
    """
    period = checks.size("period", period)

    def forecaster(history, horizon):
        history, horizon = checks.series("history", history), checks.size("horizon", horizon)
        if len(history) < period:
            raise ValueError(
                f"history must hold at least one period of {period} steps, got {len(history)}; "
                "begin later"
            )
        return history[-period:][np.arange(horizon) % period]

    return forecaster


def drift(history, horizon):
    """The last value, moved on along the line from the first one to it: (n,) -> (K,), or with F.

    (Hyndman & Athanasopoulos 2021, 5.2.)

    history, horizon: as in :func:`last_value`.
    Raises ValueError if the history is a single step.

    >>> drift([1, 9, 5], 2)
    array([7., 9.])
    """
    history, horizon = checks.series("history", history), checks.size("horizon", horizon)
    if len(history) < 2:
        raise ValueError("history must hold at least 2 steps to have a slope, got 1; begin later")
    slope = (history[-1] - history[0]) / (len(history) - 1)
    return history[-1] + np.multiply.outer(np.arange(1, horizon + 1), slope)


def mae(actual, forecast):
    """Mean absolute error, in the units of the values.

    actual, forecast: of one shape, whichever.
    Raises ValueError if the shapes differ, (N,) and (N, 1) included: NumPy would compare each of
    the one with each of the other.

    >>> mae([1, 2, 3], [1, 4, 4])
    1.0
    """
    return float(np.abs(_errors(actual, forecast)).mean())


def rmse(actual, forecast):
    """Root of the mean squared error, in the units of the values.

    actual, forecast: of one shape, whichever.
    Raises ValueError if the shapes differ, as :func:`mae` does.

    >>> rmse([1, 2, 3], [1, 4, 5]) == (8 / 3) ** 0.5
    True
    """
    return float(np.sqrt((_errors(actual, forecast) ** 2).mean()))


def mase(actual, forecast, *, train, period=1):
    """Mean absolute scaled error: below 1 is better than the naive forecast was on the train part.

    The errors are divided by the mean absolute error that the one-step naive forecast makes inside
    the training part; with a period, the seasonal naive one. So it has no unit, and series can be
    compared. (Hyndman & Koehler 2006.)

    train: (N,), with ``actual`` of any shape; or (N, F), with ``actual`` (..., F), each feature
        having its own scale. A forecast of several steps is harder than the one it is measured by.
    Raises ValueError if the shapes don't fit, the training part is not longer than a period, or its
    naive forecast makes no error, as on a constant one.

    >>> mase([5, 6], [5, 9], train=[1, 2, 4])  # the naive errors are 1 and 2
    1.0
    """
    errors, train = _errors(actual, forecast), checks.series("train", train)
    if train.ndim == 2 and errors.shape[-1:] != train.shape[1:]:
        raise ValueError(
            f"actual must have the F = {train.shape[1]} features of train on the last axis, "
            f"got shape {errors.shape}"
        )
    period = checks.size("period", period)
    if period >= len(train):
        raise ValueError(
            f"period must be less than the {len(train)} steps of the training part, got {period}"
        )
    scale = np.abs(difference(train, period)).mean(axis=0)
    if not (scale > 0).all():
        raise ValueError(
            "train must not be constant, nor the same in each period: its naive forecast makes no "
            f"error to scale by (period {period}, scale {scale.tolist()}); take a longer training "
            "part, or use mae"
        )
    return float((np.abs(errors) / scale).mean())


def _errors(actual, forecast):
    """actual - forecast, once they are of one shape."""
    actual = checks.finite_floats("actual", actual, "leave those steps out of both")
    forecast = checks.finite_floats("forecast", forecast, checks.DIVERGED)
    if actual.shape != forecast.shape or actual.size == 0:
        raise ValueError(
            "actual and forecast must be of one shape and hold at least one value, got shapes "
            f"{actual.shape} and {forecast.shape}; reshape one on purpose, as in forecast[:, 0]"
        )
    return actual - forecast
