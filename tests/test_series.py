"""Series: no look-ahead, by laws; the yardsticks' figures; bad input refused with the reason."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlab import data
from rnnlab.series import (
    Backtest,
    Fold,
    Scaler,
    backtest,
    difference,
    drift,
    last_value,
    mae,
    mase,
    rmse,
    rolling_origin,
    seasonal_naive,
    split,
    undifference,
    windows,
)

laws = settings(deadline=None)
NAN = np.array([[1.0, 2.0], [3.0, np.nan]])


@st.composite
def series(draw, least=2, most=30):
    """Values (N,) or (N, F), distinct, from a seed."""
    shape = (draw(st.integers(least, most)), *draw(st.sampled_from([(), (1,), (2,), (3,)])))
    return np.random.default_rng(draw(st.integers(0, 1000))).normal(5.0, 3.0, shape)


@st.composite
def series_and_windows(draw):
    """A series, and a length and a horizon that fit it."""
    values = draw(series())
    length = draw(st.integers(1, len(values) - 1))
    return values, length, draw(st.integers(1, len(values) - length))


@st.composite
def series_windows_and_cut(draw):
    """The same, and a cut that leaves each side at least one target of every step."""
    values = draw(series(least=3))
    N = len(values)
    length = draw(st.integers(1, N - 2))
    horizon = draw(st.integers(1, (N - length) // 2))
    return values, length, horizon, draw(st.integers(length + horizon, N - horizon))


def close(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


def positions(n):
    """A series whose values are their own positions."""
    return np.arange(n, dtype=float)


# Windows and the cut between training and test


@laws
@given(case=series_and_windows(), chosen=st.data())
def test_windows_are_every_run_of_values_and_the_values_that_follow(case, chosen):
    values, length, horizon = case
    columns = values.reshape(len(values), -1)
    F = columns.shape[1]
    targets = chosen.draw(
        st.none() | st.lists(st.integers(0, F - 1), min_size=1, max_size=F, unique=True)
    )
    inputs, outputs = windows(values, length, horizon=horizon, targets=targets, dtype="float64")
    M = len(values) - length - horizon + 1
    C = F if targets is None else len(targets)
    assert inputs.shape == (M, length, F)
    assert outputs.shape == (M, horizon, C)
    for m in range(M):
        assert (inputs[m] == columns[m : m + length]).all()
        after = columns[m + length : m + length + horizon]
        assert (outputs[m] == (after if targets is None else after[:, targets])).all()


@laws
@given(case=series_and_windows(), first=st.integers(0, 30))
def test_every_target_lies_after_its_inputs_and_not_before_first(case, first):
    values, length, horizon = case
    N = len(values)
    first = min(first, N - horizon)
    inputs, targets = windows(positions(N), length, horizon=horizon, first=first)
    order = np.concatenate([inputs, targets], axis=1)[..., 0]
    assert (np.diff(order, axis=1) == 1).all()
    assert (targets[:, 0, 0] == np.arange(max(first, length), N - horizon + 1)).all()


@laws
@given(case=series_windows_and_cut(), seed=st.integers(0, 1000))
def test_training_windows_do_not_depend_on_what_comes_at_the_cut_or_later(case, seed):
    values, length, horizon, cut = case
    other = values.copy()
    other[cut:] += 100 + np.random.default_rng(seed).normal(size=other[cut:].shape)
    results = []
    for everything in (values, other):
        train, _ = split(everything, cut)
        scaled = Scaler.fit(train).transform(everything)
        results.append([*windows(scaled[:cut], length, horizon=horizon), scaled[cut:]])
    (inputs, targets, rest), (other_inputs, other_targets, other_rest) = results
    assert (inputs == other_inputs).all()
    assert (targets == other_targets).all()
    assert (rest != other_rest).all()


@laws
@given(case=series_windows_and_cut())
def test_training_and_test_windows_are_all_windows_but_those_across_the_cut(case):
    values, length, horizon, cut = case
    N = len(values)
    every = windows(positions(N), length, horizon=horizon)
    train = windows(positions(N)[:cut], length, horizon=horizon)
    test = windows(positions(N), length, horizon=horizon, first=cut)
    assert train[1].max() < cut <= test[1].min()
    assert test[0].min() == cut - length  # the end of the training part is the test's context
    assert len(train[0]) + len(test[0]) == len(every[0]) - (horizon - 1)
    for whole, left, right in zip(every, train, test, strict=True):
        assert (whole[: len(left)] == left).all()
        assert (whole[len(whole) - len(right) :] == right).all()


def test_windows_are_copies_in_the_layers_dtype():
    values = positions(6)
    inputs, targets = windows(values, 2)
    assert inputs.dtype == targets.dtype == np.float32
    inputs[:], targets[:] = -1, -1
    assert (values == positions(6)).all()
    assert windows(values, 2, dtype="float64")[0].dtype == np.float64
    assert windows([[1, 2], [3, 4]], 1, targets=1)[1].tolist() == [[[4.0]]]


@laws
@given(n=st.integers(2, 50), share=st.floats(0.01, 0.99))
def test_split_is_by_position(n, share):
    for at in (round(n * share), share):
        if not 0 < round(n * share) < n:
            with pytest.raises(ValueError, match="at must"):
                split(np.arange(n), at)
            continue
        train, test = split(np.arange(n), at)
        assert len(train) == round(n * share)
        assert np.concatenate([train, test]).tolist() == list(range(n))


def test_split_cuts_a_time_axis_too_and_knows_no_shuffling():
    train, test = split(data.times("airline"), 96)
    assert (str(train[-1]), str(test[0])) == ("1956-12", "1957-01")
    with pytest.raises(TypeError, match="shuffle"):
        split([1, 2, 3], 2, shuffle=True)


# The scaler


@laws
@given(values=series(least=3), extra=st.sampled_from([(), (4,), (2, 4)]), seed=st.integers(0, 99))
def test_scaling_and_back_is_the_identity_and_the_training_part_is_standard(values, extra, seed):
    scaler = Scaler.fit(values)
    scaled = scaler.transform(values)
    assert scaled.shape == values.shape
    close(scaled.mean(axis=0), 0)
    close(scaled.std(axis=0), 1)
    close(scaler.inverse(scaled), values)
    more = np.random.default_rng(seed).normal(size=(*extra, len(scaler.mean)))
    if more.ndim > 1 or len(scaler.mean) == 1:
        close(scaler.transform(scaler.inverse(more)), more)
    again = Scaler(scaler.mean.tolist(), scaler.scale.tolist())
    assert (again.transform(values) == scaled).all()


def test_a_forecast_of_some_columns_is_brought_back_by_theirs():
    values = np.random.default_rng(0).normal([0, 10, 200], [1, 2, 30], (20, 3))
    scaler = Scaler.fit(values[:15])
    scaled = scaler.transform(values)
    _, targets = windows(scaled, 4, horizon=2, targets=[2, 0], dtype="float64")
    _, expected = windows(values, 4, horizon=2, targets=[2, 0], dtype="float64")
    close(scaler.inverse(targets, columns=[2, 0]), expected)
    close(scaler.inverse(scaled[:, 1], columns=1), values[:, 1])


def test_the_scaler_is_the_training_parts():
    train, test = split([2, 4, 4, 4, 5, 5, 7, 9, 100, 100], 8)
    scaler = Scaler.fit(train)
    assert repr(scaler) == "Scaler(mean=[5.0], scale=[2.0])"
    before = scaler.transform(train)
    assert scaler.transform(test).tolist() == [47.5, 47.5]
    assert (scaler.transform(train) == before).all()  # what it transforms teaches it nothing
    with pytest.raises(TypeError, match="mean"):
        Scaler()


# Differences


@laws
@given(values=series(), lag=st.integers(1, 29))
def test_differences_and_back_are_the_identity(values, lag):
    lag = min(lag, len(values) - 1)
    whole = np.round(values * 100)  # sums of whole numbers are exact
    changes = difference(whole, lag)
    assert (changes == whole[lag:] - whole[:-lag]).all()
    assert (undifference(changes, whole[:lag], lag) == whole[lag:]).all()
    close(undifference(difference(values, lag), values[:lag], lag), values[lag:])


@laws
@given(values=series(least=4), lag=st.integers(1, 10), cut=st.integers(1, 29))
def test_only_the_end_of_the_history_counts(values, lag, cut):
    values = np.round(values * 100)
    lag = min(lag, len(values) - 1)
    cut = max(min(cut, len(values) - 1), lag)
    changes = difference(values, lag)[cut - lag :]
    assert (undifference(changes, values[:cut], lag) == values[cut:]).all()
    longer = np.concatenate([values[:cut] * 7, values[:cut]])
    assert (undifference(changes, longer, lag) == values[cut:]).all()


def test_the_airlines_log_seasonal_differences_and_back():
    logs = np.log(data.load("airline"))
    yearly = difference(logs, 12)
    both = difference(yearly)
    assert both.shape == (131,)
    back = undifference(undifference(both, yearly[:1]), logs[:13], 12)
    close(np.exp(back), data.load("airline")[13:])


# Rolling origins


@st.composite
def folds(draw):
    n = draw(st.integers(2, 40))
    initial = draw(st.integers(1, n - 1))
    return {
        "n": n,
        "initial": initial,
        "horizon": draw(st.integers(1, n - initial)),
        "step": draw(st.integers(1, 5)),
        "window": draw(st.none() | st.integers(1, initial)),
    }


@laws
@given(case=folds())
def test_each_test_part_follows_its_training_part_and_none_is_missing(case):
    n, made = case["n"], rolling_origin(**case)
    origins = [fold.test.start for fold in made]
    assert origins == list(range(case["initial"], n - case["horizon"] + 1, case["step"]))
    assert n - origins[-1] - case["horizon"] < case["step"]  # another one would not be whole
    for fold in made:
        assert isinstance(fold, Fold)
        train, test = np.arange(n)[fold.train], np.arange(n)[fold.test]
        assert train[-1] + 1 == test[0]
        assert len(test) == case["horizon"]
        assert len(train) == (case["window"] or test[0])
        assert case["window"] or train[0] == 0


# Backtests


@laws
@given(case=folds(), F=st.sampled_from([None, 1, 2]))
def test_a_backtest_is_the_forecasts_from_each_past_beside_what_came(case, F):
    case = dict(case)
    n = case.pop("n")
    values = np.random.default_rng(n).normal(size=n if F is None else (n, F))
    seen = []

    def forecaster(history, horizon):
        seen.append(history)
        return history[-1] + np.zeros((horizon, *values.shape[1:]))

    result = backtest(values, forecaster, **case)
    assert isinstance(result, Backtest)
    assert len(seen) == len(result.origins)
    for r, fold in enumerate(rolling_origin(n, **case)):
        assert result.origins[r] == fold.test.start
        assert (seen[r] == values[fold.train]).all()
        assert (result.actual[r] == values[fold.test]).all()
        assert (result.forecast[r] == values[fold.test.start - 1]).all()
    naive = backtest(values, last_value, **case)
    assert (naive.forecast == result.forecast).all()


def test_a_forecaster_can_neither_reach_the_future_nor_change_it():
    values = positions(12)
    kept = np.zeros(2)

    def thief(history, horizon):
        assert history.base is None  # its memory is its own
        assert history.nbytes == 8 * len(history)
        assert history.max() == len(history) - 1
        history[:] = -1
        values[:] = -2  # the caller's array, which a closure may reach
        kept[:] = len(history)
        return kept  # one array for all folds

    result = backtest(values, thief, initial=3, horizon=2, step=3)
    assert result.actual.tolist() == [[3, 4], [6, 7], [9, 10]]
    assert result.forecast.tolist() == [[3, 3], [6, 6], [9, 9]]


@pytest.mark.parametrize("F", [None, 2])
def test_the_future_does_not_change_a_forecast(F):
    values = np.random.default_rng(0).normal(size=20 if F is None else (20, F))
    for forecaster in (last_value, drift, seasonal_naive(4)):
        before = backtest(values, forecaster, initial=5, horizon=3)
        other = values.copy()
        other[12:] = np.random.default_rng(1).normal(size=other[12:].shape)
        after = backtest(other, forecaster, initial=5, horizon=3)
        same = before.origins <= 12
        assert (before.forecast[same] == after.forecast[same]).all()
        assert (before.forecast[~same] != after.forecast[~same]).any()


def test_a_backtest_of_some_columns():
    values = np.arange(12.0).reshape(6, 2)

    def second(history, horizon):
        assert history.shape[1] == 2
        return np.full((horizon, 1), history[-1, 1])

    result = backtest(values, second, initial=4, targets=[1])
    assert result.actual.tolist() == [[[9]], [[11]]]
    assert result.forecast.tolist() == [[[7]], [[9]]]
    assert backtest(values[:, 1], last_value, initial=4, targets=0).forecast.tolist() == [[7], [9]]


# Baselines


def test_baselines_by_hand():
    assert last_value([1, 2, 4], 3).tolist() == [4, 4, 4]
    assert last_value([[1, 5], [2, 6]], 2).tolist() == [[2, 6], [2, 6]]
    assert drift([2, 9, 8], 2).tolist() == [11, 14]
    assert drift([[2, 1], [4, 0]], 2).tolist() == [[6, -1], [8, -2]]
    assert seasonal_naive(3)([7, 1, 2, 3], 7).tolist() == [1, 2, 3, 1, 2, 3, 1]
    assert seasonal_naive(2)([[1, 5], [2, 6]], 3).tolist() == [[1, 5], [2, 6], [1, 5]]


@laws
@given(values=series(), horizon=st.integers(1, 40), period=st.integers(1, 30))
def test_baselines_are_exact_where_their_assumption_holds(values, horizon, period):
    n = len(values)
    assert (seasonal_naive(1)(values, horizon) == last_value(values, horizon)).all()
    steps = np.arange(n + horizon).reshape(-1, *[1] * (values.ndim - 1))
    line = values[0] + (values[1] - values[0]) * steps
    close(drift(line[:n], horizon), line[n:])
    period = min(period, n)
    wave = np.concatenate([values[:period]] * (1 + (n + horizon) // period))[: n + horizon]
    assert (seasonal_naive(period)(wave[:n], horizon) == wave[n:]).all()


# Error measures


def test_error_measures_by_hand():
    actual, forecast = [[1, 2], [3, 4]], [[2, 2], [0, 8]]  # errors -1, 0, 3, -4
    assert mae(actual, forecast) == 2
    assert rmse(actual, forecast) == math.sqrt(26 / 4)
    assert mase(actual, forecast, train=[1, 2, 4, 1]) == 1  # naive errors 1, 2, 3
    assert mase(actual, forecast, train=[1, 2, 4, 1], period=2) == 1  # 3 and 1
    assert mase(actual, forecast, train=[[0, 0], [1, 8]]) == (1 + 0 + 3 + 4 / 8) / 4


@laws
@given(values=series(least=6), period=st.integers(1, 5), factor=st.floats(0.1, 100))
def test_mase_has_no_unit_and_is_1_for_the_naive_forecast_of_its_own_training_part(
    values, period, factor
):
    result = backtest(values, seasonal_naive(period), initial=period)
    one = mase(result.actual, result.forecast, train=values, period=period)
    assert one == pytest.approx(1)
    scaled = mase(
        result.actual * factor, result.forecast * factor, train=values * factor, period=period
    )
    assert scaled == pytest.approx(one)
    assert mae(result.actual, result.forecast) <= rmse(result.actual, result.forecast) * (1 + 1e-9)
    assert mae(result.forecast, result.actual) == mae(result.actual, result.forecast)


# Yardsticks


def autoregression(train, order):
    """AR(p) with an intercept, fitted by least squares to the training part, as a forecaster."""
    inputs, targets = windows(train, order, dtype="float64")
    rows = np.column_stack([np.ones(len(inputs)), inputs[..., 0]])
    weights = np.linalg.lstsq(rows, targets[:, 0, 0], rcond=None)[0]

    def forecaster(history, horizon):
        values = list(history[-order:])
        for _ in range(horizon):
            values.append(weights[0] + weights[1:] @ values[-order:])
        return values[order:]

    return forecaster


@pytest.mark.parametrize(
    ("name", "initial", "end", "forecaster", "expected"),
    [
        ("airline", 96, 144, lambda train: last_value, 48.04),
        ("airline", 96, 144, lambda train: seasonal_naive(12), 41.85),
        ("sunspots", 221, 256, lambda train: last_value, 25.26),
        ("sunspots", 221, 256, lambda train: autoregression(train, 2), 16.83),
        ("sunspots", 221, 256, lambda train: autoregression(train, 9), 13.75),
    ],
)
def test_one_step_yardsticks(name, initial, end, forecaster, expected):
    values = data.load(name)[:end]
    result = backtest(values, forecaster(values[:initial]), initial=initial)
    assert len(result.actual) == end - initial
    assert rmse(result.actual, result.forecast) == pytest.approx(expected, abs=0.005)


def test_the_years_of_the_sunspot_yardsticks():
    years = [str(year) for year in data.times("sunspots")[[0, 220, 221, 255]]]
    assert years == ["1700", "1920", "1921", "1955"]


def test_a_persistent_forecast_is_perfect_one_step_too_late():
    result = backtest(data.load("airline"), last_value, initial=96)
    assert rmse(result.actual[:-1], result.forecast[1:]) == 0


# Bad input


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: split(5, 1), TypeError, r"array \(N,\) or \(N, F\), got int"),
        (lambda: split("abc", 1), TypeError, "got str"),
        (
            lambda: split([[1], [2, 3]], 1),
            TypeError,
            r"values must be an array \(N,\) or.* got list",
        ),
        (lambda: split([1, 2, 3], 0), ValueError, "at must be at least 1, got 0"),
        (lambda: split([1, 2, 3], 3), ValueError, "got 3 for N = 3: 3 before the cut, 0 after"),
        (lambda: split([1, 2, 3], 7), ValueError, "3 before the cut, 0 after"),
        (lambda: split([1, 2, 3], 0.01), ValueError, "got 0.01 for N = 3: 0 before"),
        (lambda: split([], 0.5), ValueError, "0 before the cut, 0 after"),
        (lambda: split([1, 2, 3], 0.0), ValueError, "at, as a share, must be greater than 0, got"),
        (lambda: split([1, 2, 3], 1.0), ValueError, "less than 1, got 1.0"),
        (lambda: split([1, 2, 3], np.float32(1.5)), ValueError, "less than 1"),
        (lambda: split([1, 2, 3], math.nan), ValueError, "got nan"),
        (lambda: split([1, 2, 3], True), TypeError, "whole number, got True"),
        (lambda: windows([1, 2, 3], 3), ValueError, r"at most N = 3.*got 3 \+ 1; take shorter"),
        (lambda: windows([1, 2, 3], 1, horizon=3), ValueError, r"got 1 \+ 3"),
        (lambda: windows([1, 2, 3], 1, horizon=2, first=2), ValueError, "horizon = 1.*got 2"),
        (lambda: windows([1, 2, 3], 1, first=-1), ValueError, "first must be at least 0"),
        (lambda: windows([1, 2, 3], 0), ValueError, "length must be at least 1"),
        (lambda: windows([1, 2, 3], 1, horizon=0), ValueError, "horizon must be at least 1"),
        (lambda: windows([1, 2, 3], 1.0), TypeError, "whole number, got 1.0"),
        (
            lambda: windows([], 1),
            ValueError,
            r"values must hold at least one value, got shape \(0,\)",
        ),
        (lambda: windows(np.zeros((3, 0)), 1), ValueError, r"got shape \(3, 0\)"),
        (lambda: windows([[[1]]], 1), ValueError, r"\(N,\) or \(N, F\).*got shape \(1, 1, 1\)"),
        (lambda: windows(5, 1), ValueError, r"got shape \(\)"),
        (lambda: windows(NAN, 1), ValueError, r"NaN or infinity, first at index \(1, 1\); fill"),
        (lambda: windows([1, math.inf], 1), ValueError, r"index \(1,\)"),
        (
            lambda: windows([1e300, 1], 1),
            ValueError,
            "values must be numbers that float32 can hold",
        ),
        (lambda: windows([True, False], 1), TypeError, "must be numbers, got bool"),
        (lambda: windows("abc", 1), TypeError, "array of numbers, got str"),
        (lambda: windows([1, None], 1), TypeError, "got list"),
        (lambda: windows([[1], [2, 3]], 1), TypeError, "got list"),
        (lambda: windows([1j, 2], 1), TypeError, "got list"),
        (lambda: windows([1, 2], 1, dtype="int64"), ValueError, "dtype must be one of"),
        (
            lambda: windows([1, 2], 1, targets=1),
            ValueError,
            "targets .*between 0 and 0 .*F = 1.*got 1",
        ),
        (lambda: windows([1, 2], 1, targets=[-1]), ValueError, "got -1"),
        (lambda: windows([1, 2], 1, targets=[0, 0]), ValueError, r"each once, got \[0, 0\]"),
        (lambda: windows([1, 2], 1, targets=[]), ValueError, r"got \[\]"),
        (lambda: windows([1, 2], 1, targets=[[0]]), ValueError, r"got \[\[0\]\]"),
        (lambda: windows([1, 2], 1, targets=0.5), TypeError, "numbers of the features"),
        (lambda: Scaler.fit(), TypeError, "train"),
        (lambda: Scaler.fit([3, 3, 3]), ValueError, "feature 0 is 3.0 in all 3 rows; leave"),
        (lambda: Scaler.fit([[1, 0.1], [2, 0.1]]), ValueError, "feature 1 is 0.1"),
        (lambda: Scaler.fit([[1, 5], [2, 5]]), ValueError, "feature 1 is 5.0"),
        (lambda: Scaler.fit([1e200, -1e200]), ValueError, "train must hold numbers whose squares"),
        (lambda: Scaler.fit([1.7e308] * 4 + [-1.7e308] * 4), ValueError, "float64 can hold"),
        (lambda: Scaler.fit([3]), ValueError, "in all 1 rows.*longer training part"),
        (lambda: Scaler.fit(NAN), ValueError, "train holds NaN"),
        (lambda: Scaler.fit([1e-300, 2e-300]), ValueError, "scale be greater than 0"),
        (lambda: Scaler([1, 2], [1]), ValueError, r"\[1.0, 2.0\] and \[1.0\]; Scaler.fit"),
        (lambda: Scaler([[1]], [[1]]), ValueError, r"one shape \(F,\)"),
        (lambda: Scaler([], [1]), ValueError, "mean must hold at least one value"),
        (lambda: Scaler([1], []), ValueError, "scale must hold at least one value"),
        (lambda: Scaler([1], [0]), ValueError, "greater than 0"),
        (lambda: Scaler([1], [-1]), ValueError, "greater than 0"),
        (
            lambda: Scaler([1], [1]).transform([[1, 2]]),
            ValueError,
            r"1 of them, got shape \(1, 2\); add the axis",
        ),
        (lambda: Scaler([1], [1]).transform(3), ValueError, r"got shape \(\)"),
        (lambda: Scaler([1], [1]).transform([math.nan]), ValueError, "values holds NaN.*fill"),
        (lambda: Scaler([1], [1]).inverse([math.nan]), ValueError, "values holds NaN.*diverged"),
        (
            lambda: Scaler([1, 2], [1, 1]).transform([1, 2]),
            ValueError,
            r"2 of them, got shape \(2,\); fit a scaler to these",
        ),
        (
            lambda: Scaler([1, 2], [1, 1]).inverse(np.zeros((4, 3, 1))),
            ValueError,
            r"got shape \(4, 3, 1\).*columns=\[",
        ),
        (
            lambda: Scaler([1], [1]).inverse([[1]], columns=[1]),
            ValueError,
            "columns .*between 0 and 0",
        ),
        (lambda: difference([1, 2, 3], 3), ValueError, "less than N = 3.*got 3"),
        (lambda: difference([], 1), ValueError, "values must hold at least one"),
        (lambda: difference([1, 2, 3], 0), ValueError, "lag must be at least 1"),
        (lambda: undifference([1], [1, 2], lag=3), ValueError, "at least lag = 3 steps, got 2"),
        (lambda: undifference([1], [[1]]), ValueError, r"shapes \(1, 1\) and \(1,\)"),
        (lambda: undifference([[1, 2]], [[1]]), ValueError, r"shapes \(1, 1\) and \(1, 2\)"),
        (lambda: undifference([1], []), ValueError, "history must hold at least one"),
        (lambda: undifference([1], [1], lag=0), ValueError, "lag must be at least 1"),
        (lambda: undifference([], [1]), ValueError, "differences must hold at least one"),
        (lambda: rolling_origin(5, initial=5), ValueError, r"at most the 5 steps.*got 5 \+ 1"),
        (lambda: rolling_origin(5, initial=3, horizon=3), ValueError, r"got 3 \+ 3; begin"),
        (lambda: rolling_origin(5, initial=0), ValueError, "initial must be at least 1"),
        (lambda: rolling_origin(5, initial=1, horizon=0), ValueError, "horizon must be at least"),
        (lambda: rolling_origin(5, initial=1, step=0), ValueError, "step must be at least 1"),
        (lambda: rolling_origin(5, initial=2, window=0), ValueError, "window must be at least 1"),
        (lambda: rolling_origin(5, initial=2, window=3), ValueError, "at most initial = 2, got 3"),
        (lambda: rolling_origin(5.0, initial=2), TypeError, "n must be a whole number"),
        (lambda: backtest([1, 2], "naive", initial=1), TypeError, "forecaster must be a function"),
        (lambda: backtest([1, 2], Scaler, initial=1), TypeError, "the class Scaler itself"),
        (lambda: backtest(NAN, last_value, initial=1), ValueError, "values holds NaN"),
        (lambda: backtest([1, 2], last_value, initial=1, targets=1), ValueError, "targets .*got 1"),
        (
            lambda: backtest([1, 2, 3], lambda past, k: [[0]], initial=2),
            ValueError,
            r"shape \(1,\), like the values to come, got \(1, 1\) from a history \(2,\)",
        ),
        (lambda: backtest([1, 2], lambda past, k: 0, initial=1), ValueError, r"got \(\)"),
        (
            lambda: backtest([1, 2], lambda past, k: [math.nan], initial=1),
            ValueError,
            "forecast from position 1 holds NaN.*diverged",
        ),
        (
            lambda: backtest([1, 2], lambda past, k: None, initial=1),
            TypeError,
            "forecast from position 1 must be an array of numbers, got NoneType",
        ),
        (lambda: last_value([1], 0), ValueError, "horizon must be at least 1"),
        (lambda: last_value([], 1), ValueError, "history must hold at least one"),
        (lambda: drift([1], 1), ValueError, "at least 2 steps.*got 1"),
        (lambda: drift([], 1), ValueError, "history must hold at least one"),
        (lambda: drift([1, 2], 0), ValueError, "horizon must be at least 1"),
        (lambda: seasonal_naive(0), ValueError, "period must be at least 1"),
        (lambda: seasonal_naive(4)([1, 2, 3], 1), ValueError, "one period of 4 steps, got 3"),
        (lambda: seasonal_naive(1)([], 1), ValueError, "history must hold at least one"),
        (lambda: seasonal_naive(1)([1], 0), ValueError, "horizon must be at least 1"),
        (lambda: mae(np.zeros(3), np.zeros((3, 1))), ValueError, r"\(3,\) and \(3, 1\); reshape"),
        (lambda: rmse(np.zeros((1, 3)), np.zeros(3)), ValueError, r"\(1, 3\) and \(3,\)"),
        (lambda: mase([1, 2, 3], [1], train=[1, 2]), ValueError, r"\(3,\) and \(1,\)"),
        (lambda: mae([], []), ValueError, "hold at least one value"),
        (lambda: mae([1], [math.nan]), ValueError, "forecast holds NaN.*diverged"),
        (lambda: mae([math.nan], [1]), ValueError, "actual holds NaN.*out of both"),
        (lambda: mae([True], [1]), TypeError, "actual must be numbers, got bool"),
        (lambda: mase([1], [1], train=[2, 2]), ValueError, r"constant.*period 1, scale 0.0"),
        (lambda: mase([1], [1], train=[1, 2, 1, 2], period=2), ValueError, "same in each period"),
        (lambda: mase([[1, 1]], [[1, 1]], train=[[1, 2], [1, 3]]), ValueError, r"\[0.0, 1.0\]"),
        (lambda: mase([1], [1], train=[1, 2], period=2), ValueError, "the 2 steps.*got 2"),
        (lambda: mase([1], [1], train=[1, 2], period=0), ValueError, "period must be at least"),
        (lambda: mase([1], [1], train=[[1, 2], [3, 4]]), ValueError, r"F = 2.*got shape \(1,\)"),
        (lambda: mase([1], [1], train=[1, math.nan]), ValueError, "train holds NaN"),
    ],
)
def test_bad_input_is_refused_with_the_reason(make, error, words):
    with pytest.raises(error, match=words):
        make()
