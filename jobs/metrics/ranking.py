"""How well a score ranks one class above the other."""

from torch import Tensor


def roc_auc(scores: Tensor, positive: Tensor) -> float:
    """Area under the ROC curve in %: how often a positive's score exceeds a negative's, ties counting half.

    Scores (N,) and truth (N,) with both classes present. Of four pairs here three are right and one is a tie:

    >>> import torch
    >>> roc_auc(torch.tensor([0.9, 0.4, 0.4, 0.1]), torch.tensor([True, True, False, False]))
    87.5
    """
    _, place, count = scores.double().unique(return_inverse=True, return_counts=True)
    ranks = (count.cumsum(0) - (count - 1) / 2.0)[place]
    positives = int(positive.sum())
    negatives = len(positive) - positives
    above = ranks[positive].sum().item() - positives * (positives + 1) / 2
    return 100 * above / (positives * negatives)
