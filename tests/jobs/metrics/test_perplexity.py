import math
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from jobs.errors import JobError
from jobs.metrics.perplexity import mean_cost, perplexity, windows
from jobs.portion import Portion


def by_content(source: Tensor, target: Tensor) -> Tensor:
    """A causal cost that depends on everything the window shows up to the token, and on the target."""
    places = torch.arange(1, source.shape[1] + 1)
    return (source.double().cumsum(-1) / places + 0.1 * target.double() + 0.01 * places.double()).sin().abs()


def dumb(stream: list[int], context: int, overlap: int) -> float:
    """Token by token: find the window that scores it, then add up by hand what the window shows."""
    tokens, step = len(stream) - 1, context - overlap
    costs = []
    for i in range(tokens):
        start = max(0, i // step * step - overlap)
        shown = stream[start : i + 1]
        costs.append(abs(math.sin(sum(shown) / len(shown) + 0.1 * stream[i + 1] + 0.01 * len(shown))))
    return sum(costs) / tokens


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("context", "overlap"), [(8, 0), (8, 3), (8, 7), (7, 5), (50, 10)])
def test_the_mean_cost_equals_a_token_by_token_loop(context: int, overlap: int, batch: int) -> None:
    stream = [(5 * i * i + i) % 17 for i in range(38)]
    found = mean_cost(by_content, torch.tensor(stream), context=context, overlap=overlap, batch=batch)
    assert found == pytest.approx(dumb(stream, context, overlap), rel=1e-12)


@pytest.mark.parametrize("tokens", [1, 6, 7, 8, 23])
@pytest.mark.parametrize("overlap", [0, 1, 6])
def test_every_token_is_scored_once_and_no_window_is_too_long(tokens: int, overlap: int) -> None:
    found = list(windows(tokens, 7, overlap))
    assert [i for _, fresh, stop in found for i in range(fresh, stop)] == list(range(tokens))
    assert all(0 <= start <= fresh < stop <= start + 7 for start, fresh, stop in found)


def test_sliding_windows_show_more_context_than_segments() -> None:
    def rewards_context(source: Tensor, target: Tensor) -> Tensor:
        return (1 / torch.arange(1.0, source.shape[1] + 1)).expand(source.shape)

    stream = torch.zeros(101)
    segments = mean_cost(rewards_context, stream, context=10)
    assert mean_cost(rewards_context, stream, context=10, overlap=9) < 0.5 * segments


def test_a_uniform_model_has_the_perplexity_of_its_vocabulary() -> None:
    cost = mean_cost(lambda s, t: torch.full(s.shape, math.log(50)), torch.zeros(101), context=16)
    assert perplexity(cost) == pytest.approx(50, rel=1e-6)


def test_a_model_that_scores_too_few_tokens_is_refused() -> None:
    with pytest.raises(JobError, match=r"scored 9 tokens of 10; every token must count exactly once"):
        mean_cost(
            lambda s, t: torch.zeros(1, s.shape[1])[:, : 9 if s.shape[1] == 10 else None], torch.zeros(11), context=10
        )


class Part(Portion):
    """One of several processes, in turn; what earlier ones found is added to `sums`."""

    sums: ClassVar[Tensor] = torch.zeros(2, dtype=torch.float64)

    def total(self, values: Tensor) -> Tensor:
        self.sums.add_(values)
        return self.sums if self.rank == self.count - 1 else values * float("nan")


@pytest.mark.parametrize("count", [2, 3, 50])
@pytest.mark.parametrize("overlap", [0, 3])
def test_shares_of_the_windows_add_up_to_the_whole(count: int, overlap: int) -> None:
    stream = torch.tensor([(5 * i * i + i) % 17 for i in range(38)])
    Part.sums.zero_()
    for rank in range(count - 1):
        with pytest.raises(JobError, match="scored nan tokens"):
            mean_cost(by_content, stream, context=8, overlap=overlap, portion=Part(rank, count))
    found = mean_cost(by_content, stream, context=8, overlap=overlap, portion=Part(count - 1, count))
    assert found == pytest.approx(mean_cost(by_content, stream, context=8, overlap=overlap), rel=1e-12)


def test_a_share_that_is_missing_is_refused() -> None:
    with pytest.raises(JobError, match="scored 17 tokens of 37"):
        Part.sums.zero_()
        mean_cost(by_content, torch.zeros(38), context=8, overlap=3, portion=Part(1, 2))


def test_an_empty_stream_has_no_perplexity() -> None:
    with pytest.raises(JobError, match="scored 0 tokens of 0"):
        mean_cost(by_content, torch.zeros(1), context=4)


def test_an_overlap_as_long_as_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match=r"overlap must be in \[0, 3\] for windows of 4 tokens, got 4"):
        list(windows(10, 4, 4))
