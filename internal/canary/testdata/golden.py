"""Writes golden.json: the judge's formulas by exact or slow arithmetic of
another language. Run it in this directory; it needs Python alone."""

import json
from fractions import Fraction
from math import comb, exp, lgamma, log, log1p, sqrt


def hypergeometric(k, n, m, i):
    return Fraction(comb(k, i) * comb(n - k, m - i), comb(n, m))


def binomial(n, p, i):
    return comb(n, i) * p**i * (1 - p) ** (n - i)


def subset(k, n, m):
    if m >= n:
        return {k: Fraction(1)}
    return {i: hypergeometric(k, n, m, i) for i in range(max(0, m - n + k), min(k, m) + 1)}


def exponent(ratio, spread, total):
    if spread == 0:
        return log(ratio)
    # the gamma-Poisson likelihoods themselves, for x = total, y = 0
    def pmf(x, mean):
        size = 1 / spread
        return lgamma(x + size) - lgamma(size) - lgamma(x + 1) - (size + x) * log1p(mean / size) + x * log(mean / size)
    low = total / (1 + ratio)
    seen = pmf(total, ratio * low) + pmf(0, low)
    swapped = pmf(0, ratio * low) + pmf(total, low)
    return (seen - swapped) / total


def factor(more, less, ratio, spread):
    total = 0.0
    for x, p in more.items():
        for y, q in less.items():
            e = 1.0 if x == y else 2 / (1 + exp(-exponent(ratio, spread, x + y) * (x - y)))
            total += float(p) * float(q) * e
    return total


def thin(mass, keep):
    out = {}
    for n, p in mass.items():
        for i in range(n + 1):
            out[i] = out.get(i, 0.0) + float(p) * binomial(n, keep, i)
    return out


def arms():
    rows = []
    for ck, cn, hk, hn in [(0, 60, 0, 540), (1, 60, 0, 540), (0, 60, 3, 540), (9, 600, 6, 598), (6, 598, 9, 600), (12, 40, 30, 300), (3, 500, 2, 50), (40, 40, 1, 360)]:
        m = min(cn, hn)
        for ratio, spread in [(1.6, 0), (5, 0.3)]:
            harm = factor(subset(ck, cn, m), subset(hk, hn, m), ratio, spread)
            safe = factor(subset(hk, hn, m), thin(subset(ck, cn, m), 1 / 1.5), ratio, spread)
            rows.append({"canary_errors": ck, "canary": cn, "champion_errors": hk, "champion": hn, "ratio": ratio, "spread": spread, "harm": harm, "safe": safe})
    return rows


def keeps():
    rows = []
    size = 3
    for k, n, limit, guess in [(0, 60, 0.02, 0), (0, 600, 0.02, 0.25), (3, 600, 0.02, 0.25), (20, 600, 0.02, 0.5)]:
        def likelihood(mean):
            return (1 + mean / size) ** -(size + k) * (mean / size) ** k if mean or k else 1.0
        rows.append({"k": k, "n": n, "limit": limit, "guess": guess, "value": likelihood(n * limit * guess) / likelihood(n * limit)})
    return rows


def stitched(t, p, alpha):
    delta, s, eta, best, zeta = 0.5, 1.4, 2.0, 1000.0, 3.105547277977567
    m = max(t, best)
    logit = log(p) - log1p(-p)
    ell = s * log(log(eta * m / best)) + s * log(sqrt(m / best) * abs(logit) / (2 * delta) + 1)
    ell += log(2 * zeta * (2 * zeta + 1)) - log(alpha) - s * log(log(eta))
    odds = exp(logit + 2 * delta * sqrt(best * eta / m))
    r = p if p >= 0.5 else min(0.5, odds / (1 + odds))
    var = r * (1 - r)
    k1, k2, c = (eta**0.25 + eta**-0.25) / sqrt(2), (sqrt(eta) + 1) / 2, (1 - 2 * p) / 3
    return (delta * sqrt(eta * m * var / best) + sqrt(k1**2 * var * m * ell + (k2 * c * ell) ** 2) + k2 * c * ell) / t


def deviations():
    return [{"t": t, "p": p, "alpha": a, "value": stitched(t, p, a)} for t in (100, 5000, 200000) for p in (0.01, 0.5, 0.99) for a in (0.01, 0.0001)]


json.dump({"arms": arms(), "keeps": keeps(), "deviations": deviations()}, open("golden.json", "w"), indent=1)
