"""Numbers as text: three significant digits, intervals in a compact form."""

import math
import re


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


def duration(seconds: float) -> str:
    """Return a time with a suitable unit: `1.23 ms`."""
    if math.isnan(seconds):
        return "-"
    rounded = float(f"{seconds:.2e}")  # first: 999.9 us is 1.00 ms
    unit, scale = next(
        (u for u in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)) if rounded >= u[1]), ("ns", 1e-9)
    )
    return f"{rounded / scale:#.3g}".rstrip(".") + f" {unit}"


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
    """Return `1.23e-4 ±10%`, or `1.23e-4 -8+15%` if the sides differ by more than a quarter."""
    if not _has_width(value, low, high) or value == 0:
        return scientific(value)
    below, above = abs((value - low) / value), abs((high - value) / value)
    if max(below, above) <= 1.25 * min(below, above):
        return f"{scientific(value)} ±{_percent(max(below, above))}%"
    return f"{scientific(value)} -{_percent(below)}+{_percent(above)}%"


def tight(value: float, low: float, high: float) -> str:
    """Return `1.2e-4±15%`: two digits, and the longer side of the interval."""
    if not _has_width(value, low, high) or value == 0:
        return scientific(value, 2)
    side = max(abs(value - low), abs(high - value)) / abs(value)
    return f"{scientific(value, 2)}±{100 * side:.0f}%"


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
    """Return `95.32 ±0.21` or `95.32 -0.12+0.21`, to two digits of the interval or more.

    Values below 1,000 keep at least one decimal, even if the interval is wide.
    """
    if not _has_width(value, low, high):
        return plain(value)
    below, above = value - low, high - value
    decimals = 1 - int(scientific(max(below, above), 2).split("e")[1])
    if decimals > 7 or abs(value) >= 1e7:
        return relative(value, low, high)
    decimals = max(0 if abs(value) >= 1000 else 1, decimals)
    value, below, above = (f"{number:.{decimals}f}" for number in (value, below, above))
    return f"{value} ±{above}" if below == above else f"{value} -{below}+{above}"


def uncertain_parenthesised(value: float, low: float, high: float) -> str:
    """Return `95.32(21)`: as `uncertain`, with the longer side in units of the last digit."""
    text = uncertain(value, low, high)
    if "%" in text:
        return parenthesised(value, low, high)
    shown, _, sides = text.partition(" ")
    if not sides:
        return text
    side = max(map(float, re.findall(r"[\d.]+", sides)))
    decimals = len(shown.partition(".")[2])
    return f"{shown}({round(side * 10**decimals)})"


def _has_width(value: float, low: float, high: float) -> bool:
    return all(map(math.isfinite, (value, low, high))) and low < high


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.{0 if fraction >= 0.0995 else 1}f}"
