"""What a sample says of the whole: an upper bound of the share that is bad, with 95 % confidence.

Source: Clopper and Pearson, Biometrika 26 (1934): the exact bound for a share. For none bad it is near 3/n, the "rule of three".
"""

from __future__ import annotations

from math import ceil, exp, lgamma, log, log1p

CONFIDENCE = 0.95


def upper_bound(bad: int, read: int, confidence: float = CONFIDENCE) -> float:
    """The largest share of bad ones that still gives *bad* or fewer among *read* with probability 1 - *confidence*.

    Raises:
        ValueError: Nothing was read, or more were bad than read.
    """
    if not 0 <= bad <= read or read == 0:
        raise ValueError(f"{bad} of {read}")
    if bad == read:
        return 1.0
    if bad == 0:
        return float(1 - (1 - confidence) ** (1 / read))
    low, high = bad / read, 1.0
    for _ in range(60):  # halves a share: exact to the last bit of a float
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(bad, read, middle) > 1 - confidence else (low, middle)
    return high


def sentence(bad: int, read: int) -> str:
    """The bound as a person reads it, rounded up."""
    percent = upper_bound(bad, read) * 100
    digits = 1
    while digits < 6 and _up(percent, digits) > 1.1 * percent:
        digits += 1
    shown = _up(percent, digits)
    return f"{bad:,} of {read:,} → with 95 % confidence below {shown:.{digits}f} %"


def _up(number: float, digits: int) -> float:
    scale = 10.0**digits
    return ceil(number * scale) / scale


def _at_most(bad: int, read: int, share: float) -> float:
    return sum(
        exp(lgamma(read + 1) - lgamma(k + 1) - lgamma(read - k + 1) + k * log(share) + (read - k) * log1p(-share))
        for k in range(bad + 1)
    )
