"""Softmax: the baseline, every layer as its host has it (on a graph: the body's own propagation).

    O_l = A_l V_l

Source: Vaswani et al., "Attention Is All You Need", NeurIPS 2017; Kipf, Welling, "Semi-Supervised
Classification with Graph Convolutional Networks", ICLR 2017.
"""

from jobs.api import Variant


class Softmax(Variant):
    """No mitigation."""

    neutral = {}
