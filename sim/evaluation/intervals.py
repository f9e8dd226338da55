"""Confidence intervals of success rates."""

import math

Z_95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""


def wilson(successes: int, count: int, z: float = Z_95) -> tuple[float, float]:
    """The Wilson score interval of a proportion (E. B. Wilson, "Probable inference", JASA 22, 1927).

    Returns the lower and upper limit, 0 … 1; (0, 1) if `count` is 0.
    """
    if not 0 <= successes <= count:
        raise ValueError(f"Expected successes from 0 to {count}, received {successes}")
    if count == 0:
        return 0.0, 1.0
    p, w = successes / count, z * z / count
    centre = (p + w / 2) / (1 + w)
    half = z * math.sqrt(p * (1 - p) / count + w / (4 * count)) / (1 + w)
    # At 0 and `count` successes the limit is exactly 0 or 1, which rounding would miss.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == count else centre + half
    return low, high


def paired_difference(pairs: list[tuple[bool, bool]], z: float = Z_95) -> tuple[float, float, float]:
    """The difference first − second of two success rates over the same layouts, and its interval.

    Method 10 of R. G. Newcombe, "Improved confidence intervals for the difference between binomial proportions based on
    paired data", Statistics in Medicine 17, 1998: the Wilson intervals of both rates, joined with their correlation.
    `pairs`: the outcomes of each layout. Returns difference, lower and upper limit, −1 … 1; (0, −1, 1) without pairs.
    """
    n = len(pairs)
    if n == 0:
        return 0.0, -1.0, 1.0
    both = sum(a and b for a, b in pairs)
    only_first = sum(a and not b for a, b in pairs)
    only_second = sum(b and not a for a, b in pairs)
    neither = n - both - only_first - only_second
    first, second = both + only_first, both + only_second
    p1, p2 = first / n, second / n
    (l1, u1), (l2, u2) = wilson(first, n, z), wilson(second, n, z)
    margins = first * (n - first) * second * (n - second)
    covariance = both * neither - only_first * only_second
    if covariance > 0:
        covariance = max(covariance - n / 2, 0)
    phi = covariance / math.sqrt(margins) if margins else 0.0
    below = math.sqrt(max(0.0, (p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2))
    above = math.sqrt(max(0.0, (u1 - p1) ** 2 - 2 * phi * (u1 - p1) * (p2 - l2) + (p2 - l2) ** 2))
    return p1 - p2, p1 - p2 - below, p1 - p2 + above
