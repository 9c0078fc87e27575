"""fairseq's decoder layer with a variant at its self-attention; its own forward pass and parameter names stay.

fairseq's decoder hands one argument of a forward pass, `encoder_out`, to all of its layers. A language model has no
encoder, so a `Passage` travels there: made anew for each pass, it brings what one layer kept to the next and adds up
the penalties. Nothing is left between passes, and a recomputed layer sees what the layer saw.
Shapes: fairseq's hidden states are (N, B, C), tokens first; variants see (B, 1, N, C) and (B, H, N, D).
"""

import dataclasses
from typing import Any

from fairseq.modules import MultiheadAttention
from fairseq.modules.transformer_layer import TransformerDecoderLayerBase
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from jobs.api import Variant
from jobs.errors import JobError
from jobs.hosts.stack import Kept, recall, retain
from jobs.operators.attention import Attention


def from_host(x: Tensor) -> Tensor:
    """(N, B, C) -> (B, 1, N, C)."""
    return x.transpose(0, 1).unsqueeze(1)


def to_host(x: Tensor) -> Tensor:
    """(B, 1, N, C) -> (N, B, C)."""
    return x.squeeze(1).transpose(0, 1)


@dataclasses.dataclass
class Passage:
    """What travels from layer to layer in one forward pass beside the hidden state."""

    penalty: Tensor | None = None
    kept: Kept = ()

    def add(self, penalty: Tensor) -> None:
        self.penalty = penalty if self.penalty is None else self.penalty + penalty


class SelfAttention(MultiheadAttention):
    """fairseq's projections around the variant, causal: (N, B, C) in and out."""

    variant: Variant
    memory: dict[str, Tensor] | None = None
    """What the variant may read and keep; the layer lends it for the length of one call."""

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        incremental_state: Any = None,
        attn_mask: Tensor | None = None,
        **asked: bool,
    ) -> tuple[Tensor, None]:
        if incremental_state is not None or attn_mask is None or any(asked.values()):
            raise JobError(
                "A variant needs as many queries as keys and gives no attention weights: incremental decoding, "
                "alignment and full-context attention are not supported; score whole sequences (eval-lm)."
            )
        assert self.memory is not None, "a layer lends its attention the memory"
        q, k, v = (self._split(part(query)) for part in (self.q_proj, self.k_proj, self.v_proj))
        a = Attention(
            q,
            k,
            x=from_host(query),
            memory=self.memory,
            causal=True,
            visible=None if key_padding_mask is None else ~key_padding_mask,
            dropout=self.dropout_module.p if self.training else 0.0,
        )
        return to_host(self.variant(a, v, self._project)), None

    def _split(self, x: Tensor) -> Tensor:
        """(N, B, C) -> (B, H, N, D)."""
        return x.unflatten(-1, (self.num_heads, self.head_dim)).permute(1, 2, 0, 3)

    def _project(self, mixed: Tensor) -> Tensor:
        """(B, H, N, D) -> (B, 1, N, C), through the output projection."""
        return from_host(self.out_proj(mixed.permute(2, 0, 1, 3).flatten(2)))


class VariantLayer(TransformerDecoderLayerBase):
    """One decoder layer; `checkpointing` recomputes it in the backward pass instead of storing it."""

    checkpointing: bool = False

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg, no_encoder_attn=True)
        self.checkpointing = cfg.checkpoint_activations

    @property
    def variant(self) -> Variant:
        return self.self_attn.variant

    def plant(self, variant: Variant) -> None:
        """Put the variant in place: at the attention, before both norms and after the feed-forward branch."""
        self.self_attn.variant = variant
        variant.begin([part.data for part in self.self_attn.q_proj.parameters()])
        for norm in (self.self_attn_layer_norm, self.final_layer_norm):
            listen(norm, variant)
        if type(variant).feed is not Variant.feed:
            self.fc2.register_forward_hook(lambda _, inputs, y: to_host(variant.feed(from_host(y))))

    def build_self_attention(self, embed_dim: int, cfg: Any, **options: bool) -> SelfAttention:
        if any(options.values()):
            raise JobError("Variants are not written for biases or zeros appended to the keys.")
        return SelfAttention(embed_dim, cfg.decoder.attention_heads, dropout=cfg.attention_dropout, self_attention=True)

    def forward(
        self,
        x: Tensor,
        encoder_out: Passage | None = None,
        encoder_padding_mask: None = None,
        incremental_state: Any = None,
        *,
        self_attn_mask: Tensor | None = None,
        self_attn_padding_mask: Tensor | None = None,
        **asked: bool,
    ) -> tuple[Tensor, None, None]:
        passage = encoder_out
        if passage is None:
            raise JobError("Call the model, not its decoder: what layers keep travels in the model's forward pass.")
        kept = passage.kept or (None,) * len(self.variant.keeps)
        arguments = (x, incremental_state, self_attn_mask, self_attn_padding_mask, *kept)
        if self.checkpointing and self.training:
            x, penalty, *found = checkpoint(self._run, *arguments, use_reentrant=False)
        else:
            x, penalty, *found = self._run(*arguments)
        passage.kept = tuple(found)
        passage.add(penalty)
        return x, None, None

    def _run(
        self, x: Tensor, incremental_state: Any, mask: Tensor | None, padding: Tensor | None, *kept: Tensor | None
    ) -> Any:
        """fairseq's forward pass of this layer: x, the penalty and what is kept; called again to recompute."""
        memory, first = recall(self.variant, kept), x
        self.self_attn.memory = memory
        try:
            x, _, _ = super().forward(
                x, incremental_state=incremental_state, self_attn_mask=mask, self_attn_padding_mask=padding
            )
        finally:
            self.self_attn.memory = None
        y = self.variant.leave(from_host(x), from_host(first), memory)
        return to_host(y), self.variant.penalty(y), *retain(self.variant, memory)


def listen(norm: nn.Module, variant: Variant) -> None:
    """Give `norm` what the variant's `enter` makes of its input, unless that is the input itself."""
    if type(variant).enter is not Variant.enter:
        norm.register_forward_pre_hook(lambda _, inputs: (to_host(variant.enter(from_host(inputs[0]))),))
