"""Bets against the ranks of incoming rows: no rank is likelier than another, unless rows change."""

import numpy as np

# Rows that are ranked among each other at once.
CHUNK = 64
# Shares of the ranks in the tails of a distribution: some rows are far, or few are very far.
_TAILS = {"tail": 0.05, "far tail": 0.01}


def _make_bets():
    """Return functions of ranks in (0, 1) with a mean of 0 for uniform ones, and stakes.

    Of every function f and stake t, 1 + t f(p) is never negative: the factor of a bet's capital.
    """
    bets = []
    bets += [("location", stake) for stake in (-0.9, -0.5, -0.2, 0.2, 0.5, 0.9)]
    bets += [("spread", stake) for stake in (-0.9, -0.4, 0.5, 1.5)]
    for side in ("low", "high"):
        bets += [(f"{side} tail", stake) for stake in (0.05, 0.2)]
        bets += [(f"{side} far tail", stake) for stake in (0.01, 0.04)]
    return bets


BETS = _make_bets()


def log_factors(ranks: np.ndarray) -> np.ndarray:
    """Return the logarithms of what each bet's capital is multiplied by.

    Parameters
    ----------
    ranks : ndarray of shape (n_rows, n_statistics)
        In (0, 1).

    Returns
    -------
    factors : ndarray of shape (n_rows, n_bets, n_statistics)
        In the order of ``BETS``.
    """
    functions = {
        "location": 2 * ranks - 1,
        "spread": 6 * ranks * (ranks - 1) + 1,
    }
    for name, share in _TAILS.items():
        functions[f"low {name}"] = (ranks < share) / share - 1
        functions[f"high {name}"] = (ranks > 1 - share) / share - 1
    return np.stack([np.log1p(stake * functions[name]) for name, stake in BETS], axis=1)


class RankMartingales:
    r"""Evidence that rows are no longer exchangeable with those before, for each statistic.

    A row's rank among all rows so far, where ties are broken at random, is uniform and independent
    of the ranks before if rows are exchangeable. A bettor who starts with a capital of 1 and stakes
    a part of it on ranks then has a martingale, which ever reaches :math:`1 / \alpha` with a
    probability of :math:`\alpha` at most (J. Ville 1939). The capital is divided among stakes, and
    among times to begin, of which the k-th gets :math:`1 / (k (k + 1))`: what is not yet at stake
    cannot be lost before the change comes.

    Parameters
    ----------
    reference : ndarray of shape (n_samples, n_statistics)
        Statistics of rows before the stream. NaN is the smallest of all values.

    rng : RandomState
        Breaks ties.

    Attributes
    ----------
    log_evidence : ndarray of shape (n_statistics,)
        Logarithm of the capital.

    References
    ----------
    V. Vovk, A. Gammerman, G. Shafer. Algorithmic Learning in a Random World. 2nd edition, 2022,
    chapter 8. V. Vovk, I. Petej, I. Nouretdinov, et al. Retrain or Not Retrain: Conformal Test
    Martingales for Change-Point Detection. COPA 2021.
    """

    def __init__(self, reference: np.ndarray, rng: np.random.RandomState):
        self.rng = rng
        self.sorted_ = np.sort(_comparable(reference), axis=0)
        self.n_starts_ = 0
        self.log_capital_ = np.full((len(BETS), reference.shape[1]), -np.inf)
        self.log_evidence = np.zeros(reference.shape[1])

    def update(self, rows: np.ndarray) -> None:
        """Bet on rows in their order.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_statistics)
            Statistics of new rows.
        """
        rows = _comparable(rows)
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            gain = log_factors(self._ranks(chunk)).sum(axis=0)
            self.n_starts_ += 1
            share = -np.log(self.n_starts_) - np.log(self.n_starts_ + 1)
            self.log_capital_ = np.logaddexp(self.log_capital_, share) + gain
            at_stake = np.logaddexp.reduce(self.log_capital_, axis=0) - np.log(len(BETS))
            self.log_evidence = np.logaddexp(at_stake, -np.log(self.n_starts_ + 1))

    def _ranks(self, rows):
        """Return the ranks of rows among all before, in (0, 1), and remember the rows."""
        below, equal = np.empty(rows.shape), np.empty(rows.shape)
        for number, (known, values) in enumerate(zip(self.sorted_.T, rows.T, strict=True)):
            below[:, number] = np.searchsorted(known, values, "left")
            equal[:, number] = np.searchsorted(known, values, "right") - below[:, number]
        is_before = np.tri(len(rows), k=-1, dtype=bool)[:, :, None]
        below += ((rows[None] < rows[:, None]) & is_before).sum(axis=1)
        equal += ((rows[None] == rows[:, None]) & is_before).sum(axis=1)
        n_before = len(self.sorted_) + np.arange(len(rows))[:, None]
        draws = self.rng.uniform(size=rows.shape)
        # Two sorted runs, which a stable sort merges.
        self.sorted_ = np.sort(np.concatenate([self.sorted_, rows]), axis=0, kind="stable")
        return (below + draws * (equal + 1)) / (n_before + 1)


def _comparable(values):
    return np.where(np.isnan(values), -np.inf, values)
