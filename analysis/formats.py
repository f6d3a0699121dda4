"""Numbers as text: three significant digits, intervals in a compact form."""

import math


def scientific(value: float, digits: int = 3) -> str:
    """Return `1.23e-4`; `0` for zero, `inf`, and `-` for NaN."""
    if math.isnan(value):
        return "-"
    if value == 0:
        return "0"  # also for a negative zero
    if math.isinf(value):
        return str(value)
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def plain(value: float, digits: int = 4) -> str:
    """Return a number like `95.32`, without a power of ten if that is short."""
    if value == 0 or not 1e-4 <= abs(value) < 1e7:
        return scientific(value, digits)  # also if not finite
    # Rounded first, so that 9.9996 gives 10.00.
    exponent = int(scientific(value, digits).split("e")[1])
    return f"{value:.{max(0, digits - 1 - exponent)}f}"


def setting(value: float) -> str:
    """Return the shortest form of a hyperparameter: `0.001`, `1e-5`."""
    if math.isnan(value):
        return "-"
    mantissa, e, exponent = f"{value:g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa


def cosine(value: float) -> str:
    """Return `0.998`."""
    return "-" if math.isnan(value) else f"{value:.3f}"


def duration(seconds: float, digits: int = 3) -> str:
    """Return a time with a suitable unit: `1.23 ms`."""
    if math.isnan(seconds):
        return "-"
    unit, scale = _unit(seconds)
    return f"{_digits(seconds / scale, digits)} {unit}"


def bracketed_duration(value: float, low: float, high: float) -> str:
    """Return `1.23 [1.20, 1.31] ms`, or the value alone if there is no interval."""
    if not _has_width(value, low, high):
        return duration(value)
    unit, scale = _unit(value)
    shown, low_end, high_end = (_digits(each / scale, 3) for each in (value, low, high))
    return f"{shown} [{low_end}, {high_end}] {unit}"


def relative_duration(value: float, low: float, high: float) -> str:
    """Return `1.23 ms ±6.5%`, as `relative`."""
    return duration(value) + _relative_side(value, low, high, " ±")


def tight_duration(value: float, low: float, high: float) -> str:
    """Return `1.2 ms±7%`, as `tight`."""
    return duration(value, 2) + _tight_side(value, low, high)


def parenthesised_duration(value: float, low: float, high: float) -> str:
    """Return `1.230(80) ms`: the longer side of the interval in units of the last digit."""
    if not _has_width(value, low, high):
        return duration(value)
    unit, scale = _unit(value)
    return f"{uncertain_parenthesised(value / scale, low / scale, high / scale)} {unit}"


def upper_limit(high: float) -> str:
    """Return `0 (< 1.2e-4)`, for a value that is not distinguishable from zero."""
    return f"0 (< {scientific(high, 2)})" if high > 0 else "0"


def below(high: float) -> str:
    """Return `<1.2e-4`, the short form of `upper_limit`."""
    return f"<{scientific(high, 2)}" if high > 0 else "0"


def bracketed(value: float, low: float, high: float) -> str:
    """Return `1.23e-4 [1.10e-4, 1.35e-4]`, or the value alone if there is no interval."""
    if not _has_width(value, low, high):
        return scientific(value)
    return f"{scientific(value)} [{scientific(low)}, {scientific(high)}]"


def relative(value: float, low: float, high: float) -> str:
    """Return `1.23e-4 ±10%`: the longer side of the interval, relative to the value."""
    return scientific(value) + _relative_side(value, low, high, " ±")


def tight(value: float, low: float, high: float) -> str:
    """Return `1.2e-4±15%`: as `relative`, in fewer digits."""
    return scientific(value, 2) + _tight_side(value, low, high)


def parenthesised(value: float, low: float, high: float) -> str:
    """Return `1.23(12)e-4`: the longer side of the interval in units of the last digit."""
    if not _has_width(value, low, high) or value == 0:
        return scientific(value)
    side = max(value - low, high - value)
    # Two digits of the side, and one to three of the value.
    power = int(scientific(value).split("e")[1])
    digits = min(3, max(1, power - int(scientific(side, 2).split("e")[1]) + 2))
    mantissa, exponent = scientific(value, digits).split("e")
    unit = 10.0 ** (int(exponent) - len(mantissa.partition(".")[2]))
    return f"{mantissa}({max(1, round(side / unit))})e{exponent}"


def uncertain(value: float, low: float, high: float) -> str:
    """Return `95.32 ±0.21`: the longer side of the interval, to two digits or more.

    Values below 1,000 keep at least one decimal, even if the interval is wide.
    """
    if not _has_width(value, low, high):
        return plain(value)
    side = max(value - low, high - value)
    decimals = 1 - int(scientific(side, 2).split("e")[1])
    if decimals > 7 or abs(value) >= 1e7:
        return relative(value, low, high)
    decimals = max(0 if abs(value) >= 1000 else 1, decimals)
    return f"{value:.{decimals}f} ±{side:.{decimals}f}"


def uncertain_parenthesised(value: float, low: float, high: float) -> str:
    """Return `95.32(21)`: as `uncertain`, with the longer side in units of the last digit."""
    text = uncertain(value, low, high)
    if "%" in text:
        return parenthesised(value, low, high)
    shown, _, side = text.partition(" ±")
    if not side:
        return text
    decimals = len(shown.partition(".")[2])
    return f"{shown}({round(float(side) * 10**decimals)})"


def _has_width(value: float, low: float, high: float) -> bool:
    return all(map(math.isfinite, (value, low, high))) and low < high


def _relative_side(value: float, low: float, high: float, sign: str) -> str:
    """Return the longer side of an interval after a sign, relative to the value; "" for none."""
    if not _has_width(value, low, high) or value == 0:
        return ""
    side = _side(value, low, high)
    return f"{sign}{100 * side:.{0 if side >= 0.0995 else 1}f}%"


def _tight_side(value: float, low: float, high: float) -> str:
    if not _has_width(value, low, high) or value == 0:
        return ""
    side = 100 * _side(value, low, high)
    return f"±{side:.0f}%" if side >= 0.5 else "±<1%"


def _side(value: float, low: float, high: float) -> float:
    return max(abs(value - low), abs(high - value)) / abs(value)


def _unit(seconds: float) -> tuple[str, float]:
    """Return a unit of time in which a time has digits before the point, and its seconds."""
    rounded = float(f"{seconds:.2e}")  # first: 999.9 us is 1.00 ms
    units = ("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)
    return next((one for one in units if rounded >= one[1]), ("ns", 1e-9))


def _digits(value: float, digits: int) -> str:
    """Return significant digits, without a power of ten."""
    rounded = float(f"{value:.{digits - 1}e}")
    return f"{rounded:#.{digits}g}".rstrip(".") if rounded < 10**digits else f"{rounded:.0f}"
