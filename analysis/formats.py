"""Numbers as text: three significant digits, intervals in a compact form."""

import math


def scientific(value: float, digits: int = 3) -> str:
    """Return `1.23e-4`; `0`, `inf` and `-` (for NaN) as such."""
    if math.isnan(value):
        return "-"
    if value == 0:
        return "0"  # also for a negative zero
    if math.isinf(value):
        return str(value)
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def cosine(value: float) -> str:
    """Return `0.998`."""
    return "-" if math.isnan(value) else f"{value:.3f}"


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it: `1.23 ms`."""
    if math.isnan(seconds):
        return "-"
    rounded = float(f"{seconds:.2e}")  # first: 999.9 us is 1.00 ms
    unit, scale = next(
        (u for u in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)) if rounded >= u[1]), ("ns", 1e-9)
    )
    return f"{rounded / scale:#.3g}".rstrip(".") + f" {unit}"


def upper_limit(high: float) -> str:
    """Return how a value prints that is not distinguishable from zero: `0 (< 1.2e-4)`."""
    return f"0 (< {scientific(high, 2)})" if high > 0 else "0"


def bracketed(value: float, low: float, high: float) -> str:
    """Return `1.23e-4 [1.10e-4, 1.35e-4]`, or the value alone where there is no interval."""
    if not _has_width(value, low, high):
        return scientific(value)
    return f"{scientific(value)} [{scientific(low)}, {scientific(high)}]"


def relative(value: float, low: float, high: float) -> str:
    """Return `1.23e-4 ±10%`, or `1.23e-4 -8+15%` where the sides differ by more than a quarter."""
    if not _has_width(value, low, high) or value == 0:
        return scientific(value)
    below, above = abs((value - low) / value), abs((high - value) / value)
    if max(below, above) <= 1.25 * min(below, above):
        return f"{scientific(value)} ±{_percent(max(below, above))}%"
    return f"{scientific(value)} -{_percent(below)}+{_percent(above)}%"


def _has_width(value: float, low: float, high: float) -> bool:
    return all(map(math.isfinite, (value, low, high))) and low < high


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.{0 if fraction >= 0.0995 else 1}f}"
