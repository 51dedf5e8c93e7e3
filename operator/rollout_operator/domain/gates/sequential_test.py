"""Anytime-valid tests on counts: whenever one looks, a wrong verdict has a chance of alpha at most.

One-sample form: a mixture of Wald's SPRTs on (successes, failures) against a threshold. Two-sample
form: the same idea for each scrape, projected onto the null "candidate = stable - drop" (reverse
information projection), so that a base rate that drifts while weights ramp does not decide. Ville's
inequality gives the error bound. Source: Wald 1945; Ville 1939; Turner, Ly, Gruenwald, arXiv
2106.02693; shared/reference/statistics.md, section 5.

Counts may be fractions: over-dispersed labels are divided by their design effect.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

ALPHA = 0.05
MAX_SAMPLES = 2000
FORGET = 0.98
"""Weight that the stable revision's accuracy of earlier scrapes keeps with each new one."""
SCALES = 8
"""At most so many alternatives: 10, 40, 160, … labels."""
_EDGE = 1e-9


def kl(p: float, q: float) -> float:
    """Kullback-Leibler divergence of Bernoulli(p) from Bernoulli(q), in nats; 0 < q < 1."""
    return sum(a * math.log(a / b) for a, b in ((p, q), (1 - p, 1 - q)) if a > 0)


def _bisect(beyond: Callable[[float], bool], near: float, far: float, rounds: int = 45) -> float:
    """The last point on the way from `near` to `far` where `beyond` (monotone) is still false."""
    for _ in range(rounds):
        middle = (near + far) / 2
        near, far = (near, middle) if beyond(middle) else (middle, far)
    return near


def _alternatives(
    threshold: float, above: bool, alpha: float, most: int, rounds: int = 45
) -> tuple[float, ...]:
    far = 1 - 1e-3 * (1 - threshold) if above else 1e-3 * threshold
    scales = [10 * 4**j for j in range(SCALES) if 10 * 4**j <= most] or [10]

    def rate(labels: int) -> float:
        need = math.log(1 / alpha) / labels
        return _bisect(lambda q: kl(q, threshold) > need, threshold, far, rounds)

    return tuple(rate(n) for n in scales)


@lru_cache(maxsize=256)
def alternatives(
    threshold: float, above: bool, alpha: float = ALPHA, most: int = MAX_SAMPLES
) -> tuple[float, ...]:
    """Rates on one side of `threshold`, each the one that a single SPRT settles in about 10, 40,
    160, … <= `most` labels.
    """
    return _alternatives(threshold, above, alpha, most)


def log_mean_exp(values: Sequence[float]) -> float:
    """log(mean(exp(values))) without overflow."""
    top = max(values)
    return top + math.log(sum(math.exp(v - top) for v in values) / len(values))


def _log_e(successes: float, failures: float, threshold: float, rates: Sequence[float]) -> float:
    return log_mean_exp(
        [
            successes * math.log(q / threshold) + failures * math.log((1 - q) / (1 - threshold))
            for q in rates
        ]
    )


def log_e(  # noqa: PLR0917 - the test's own parameters
    successes: float,
    failures: float,
    threshold: float,
    above: bool,
    alpha: float = ALPHA,
    most: int = MAX_SAMPLES,
) -> float:
    """ln E for "the rate is above (below) `threshold`"; it proves that at level alpha when it
    reaches ln(1/alpha).
    """
    return _log_e(successes, failures, threshold, alternatives(threshold, above, alpha, most))


@lru_cache(maxsize=4096)
def interval(
    successes: float, failures: float, alpha: float = ALPHA, most: int = MAX_SAMPLES
) -> tuple[float, float]:
    """Bounds of the rate that hold at all times together, each side at level alpha; (0, 1) before
    the first label.

    lower >= threshold exactly where the one-sample test says "above", but for rounding at 1e-5.
    """
    if successes + failures <= 0:
        return 0.0, 1.0
    centre, need = (successes + 0.5) / (successes + failures + 1), math.log(1 / alpha)

    def undecided(threshold: float, above: bool) -> bool:
        return (
            _log_e(successes, failures, threshold, _alternatives(threshold, above, alpha, most, 22))
            < need
        )

    lower = _bisect(lambda t: undecided(t, True), 1e-6, centre, 20)
    upper = _bisect(lambda t: undecided(t, False), 1 - 1e-6, centre, 20)
    return lower, upper


@dataclass(frozen=True, slots=True)
class Wealth:
    """What the two-sample test carries from scrape to scrape."""

    above: tuple[float, ...] = ()
    """One log-wealth for each alternative above the threshold, in nats."""
    below: tuple[float, ...] = ()
    """The same for those below it."""
    right: float = 0.0
    """Right labels of the stable revision in earlier scrapes, exponentially weighted."""
    total: float = 0.0
    """All labels of the stable revision, weighted alike."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """Labels that came in since the last scrape: right ones and all of them."""

    candidate_right: float
    """Right labels of all pods of the candidate."""
    candidate_total: float
    """All their labels; where there are none, no log-wealth changes."""
    stable_right: float
    """Right labels of all pods of stable."""
    stable_total: float
    """All their labels; where there are none, no log-wealth changes."""


def project(
    candidate: float, stable: float, candidates: float, stables: float, drop: float
) -> float:
    """The rate of the candidate on the null "candidate = stable - drop" that is closest in KL to
    (candidate, stable).
    """

    def beyond(rate: float) -> bool:
        base = rate + drop
        return (
            candidates * (rate - candidate) / (rate * (1 - rate))
            + stables * (base - stable) / (base * (1 - base))
            > 0
        )

    return _bisect(beyond, max(0.0, -drop) + _EDGE, min(1.0, 1 - drop) - _EDGE)


def pair_step(
    wealth: Wealth, scrape: Scrape, drop: float, alpha: float = ALPHA, most: int = MAX_SAMPLES
) -> Wealth:
    """One scrape of "the candidate is not worse than stable by `drop`". The first scrape only tells
    what stable is like.
    """
    xc, nc, xs, ns = (
        scrape.candidate_right,
        scrape.candidate_total,
        scrape.stable_right,
        scrape.stable_total,
    )
    above, below = wealth.above, wealth.below
    if wealth.total > 0 and nc > 0 and ns > 0:
        stable = min(max((wealth.right + 0.5) / (wealth.total + 1), drop + 0.01), 0.995)

        def gain(rate: float) -> float:
            theta = project(rate, stable, nc, ns, drop)
            base = theta + drop
            ours = xc * math.log(rate / theta) + (nc - xc) * math.log((1 - rate) / (1 - theta))
            return (
                ours
                + xs * math.log(stable / base)
                + (ns - xs) * math.log((1 - stable) / (1 - base))
            )

        def grown(log_wealth: tuple[float, ...], up: bool) -> tuple[float, ...]:
            rates = alternatives(stable - drop, up, alpha, most)
            return tuple(
                w + gain(q) for w, q in zip(log_wealth or (0.0,) * len(rates), rates, strict=True)
            )

        above, below = grown(above, True), grown(below, False)
    return Wealth(above, below, FORGET * wealth.right + xs, FORGET * wealth.total + ns)


def expected_labels(rate: float, threshold: float, alpha: float = ALPHA) -> float:
    """About how many labels a verdict takes at this true rate: 1.25 times Wald's bound; infinite at
    the threshold.
    """
    distance = kl(min(max(rate, 1e-6), 1 - 1e-6), threshold)
    return 1.25 * math.log(1 / alpha) / distance if distance > 1e-9 else math.inf
