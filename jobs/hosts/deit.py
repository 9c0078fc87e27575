"""timm's vision transformer with the variant in every attention; names, weights and initialisation stay timm's own.

    x <- x + refine(proj(mix(A, V)))        A = softmax(q k^T / sqrt(D)), from norm1(enter(x))
    x <- x + feed(mlp(norm2(enter(x))))

Source: Touvron et al., "Training data-efficient image transformers & distillation through attention", ICML 2021;
Wightman, PyTorch Image Models. timm builds and initialises the whole network before the first variant exists, so
the same seed gives the weights of `timm.create_model`, whatever the variant.
Shapes: B batch, H heads, N tokens (class token first), D channels per head, C = H D.
"""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import timm
import torch
from timm.layers.attention import Attention as Plain
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.models import is_model_in_modules
from timm.models import vision_transformer as vit
from torch import Tensor, nn

from jobs.api import Layer, Plug, Variant
from jobs.hosts.stack import Stack, recall, retain
from jobs.operators.attention import Attention as Smoothing

_FAMILIES = {"deit", "vision_transformer"}
"""timm's modules whose models may be plain."""


class Attention(Plain):
    """timm's attention; A V becomes the variant's branch."""

    variant: Variant

    def forward(  # type: ignore[override]  # called by Block, not by timm
        self, x_BNC: Tensor, memory: dict[str, Tensor]
    ) -> Tensor:
        """(B, N, C) in and out."""
        x = x_BNC[:, None]
        qkv = self.qkv(x_BNC).unflatten(-1, (3, self.num_heads, self.head_dim))
        q_BHND, k_BHND, v_BHND = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        a = Smoothing(
            self.q_norm(q_BHND),
            self.k_norm(k_BHND),
            x=x,
            memory=memory,
            dropout=self.attn_drop.p if self.training else 0.0,
        )
        y: Tensor = self.variant(a, v_BHND, self._project)
        return y[:, 0]

    def plant(self, variant: Variant) -> None:
        """Put the variant in place, once the weights are drawn."""
        self.variant = variant
        queries = slice(0, self.num_heads * self.head_dim)
        variant.begin([part.data[queries] for part in self.qkv.parameters()])

    def _project(self, mixed_BHND: Tensor) -> Tensor:
        """Heads side by side, then the output projection: (B, 1, N, C)."""
        y_BNC = mixed_BHND.transpose(1, 2).flatten(2)
        projected: Tensor = self.proj_drop(self.proj(self.norm(y_BNC)))
        return projected[:, None]


class Block(vit.Block):
    """timm's pre-norm block; layer scale, drop path and MLP are untouched."""

    @property
    def variant(self) -> Variant:
        attention: Any = self.attn
        variant: Variant = attention.variant
        return variant

    def forward(  # type: ignore[override]  # called by Stack, not by timm
        self, x: Tensor, context: None, *kept: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        variant, first = self.variant, x
        memory = recall(variant, kept)
        x = x + self.drop_path1(self.ls1(self.attn(self.norm1(enter(variant, x)), memory)))
        y = self.mlp(self.norm2(enter(variant, x)))
        x = x + self.drop_path2(self.ls2(variant.feed(y[:, None])[:, 0]))
        x = variant.leave(x[:, None], first[:, None], memory)
        return x[:, 0], variant.penalty(x), *retain(variant, memory)


class DeiT(vit.VisionTransformer):
    """Images (B, channels, height, width) in; logits (B, classes) and the penalty out."""

    def __init__(self, built: vit.VisionTransformer, plug: Plug) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(built.__dict__)  # adopt what timm has built and initialised, under timm's names
        blocks: list[Any] = list(built.blocks)
        for index, block in enumerate(blocks):
            layer = Layer(index, len(blocks), built.embed_dim, block.attn.num_heads, causal=False)
            block.attn.plant(plug(layer))
        self.blocks = Stack(*blocks)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]  # logits and penalty
        x, penalty = self.tokens(images)
        return self.forward_head(x), penalty

    def tokens(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Every token after the final norm, (B, N, C), and the penalty."""
        (x,), penalty = self.levels(images, (len(self.blocks) - 1,))
        return x, penalty

    def levels(self, images: Tensor, layers: Sequence[int]) -> tuple[list[Tensor], Tensor]:
        """Every token after each of `layers`, (B, N, C), and the penalty; the last level has passed the final norm."""
        x = self.norm_pre(self.patch_drop(self._pos_embed(self.patch_embed(images))))
        stack: Any = self.blocks
        levels, penalty = stack.outputs(x, None, layers)
        if not isinstance(self.norm, nn.Identity):
            last: Any = self.blocks[-1]
            levels[-1] = self.norm(enter(last.variant, levels[-1]))
        return levels, penalty


def enter(variant: Variant, x: Tensor) -> Tensor:
    """What a norm receives, (B, N, C): the variant sees it as one head."""
    return variant.enter(x[:, None])[:, 0]


def create(name: str, plug: Plug, options: Mapping[str, Any]) -> DeiT:
    """timm's model `name` with `plug(layer)` in every layer.

    Args:
        name: any timm name that stands for a plain VisionTransformer.
        plug: builds the variant of a layer.
        options: arguments of timm's constructor that differ from what the name stands for.

    Raises:
        ValueError: the name is unknown, stands for another architecture, or the options do not fit each other.
    """
    expect_known(name)
    try:
        with torch.random.fork_rng(devices=[]):
            own: Any = timm.create_model(name, **dict(options) | {"depth": 1})
        _expect_plain(name, own)
        built: Any = timm.create_model(name, block_fn=Block, attn_layer=Attention, **options)
    except (AssertionError, TypeError) as error:
        raise ValueError(f"timm cannot build {name} with {dict(options)}: {error}") from error
    return DeiT(built, plug)


def _expect_plain(name: str, own: vit.VisionTransformer) -> None:
    """Raise ValueError unless `own`, what `name` stands for, has the blocks and attention that ours replace."""
    if type(own) is not vit.VisionTransformer or own.attn_pool is not None:
        raise ValueError(f"{name} is not a plain VisionTransformer; use a DeiT or ViT without attention pooling.")
    block: Any = own.blocks[0]
    if type(block) is not vit.Block or type(block.attn) is not Plain:
        raise ValueError(
            f"{name} has blocks of its own ({type(block).__name__} with {type(block.attn).__name__}); "
            "use a DeiT or ViT with the usual pre-norm blocks."
        )


def expect_known(name: str) -> None:
    """Raise ValueError unless `name` is one of timm's DeiTs and ViTs."""
    if is_model_in_modules(name, _FAMILIES):
        return
    if timm.is_model(name):
        raise ValueError(
            f"{name} is none of timm's DeiTs and plain ViTs, the only family that variants plug into. "
            "Examples: deit_tiny_patch16_224, vit_small_patch16_224."
        )
    near = difflib.get_close_matches(name, timm.list_models(["deit*", "vit*"]), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"timm knows no model {name!r}.{hint} Examples: deit_tiny_patch16_224, deit_small_patch16_224.")


def positions(model: DeiT) -> Tensor:
    """The position embedding, (1, N, C).

    Raises:
        ValueError: this model has none.
    """
    if model.pos_embed is None:
        raise ValueError("This model has no position embedding; choose a DeiT or plain ViT.")
    return model.pos_embed


def fitted(weights: Mapping[str, Tensor], model: DeiT) -> dict[str, Tensor]:
    """`weights` of the same network at another square image size, its position embedding resampled by timm."""
    found = dict(weights)
    if found["pos_embed"].shape != positions(model).shape:
        prefix = 0 if model.no_embed_class else model.num_prefix_tokens
        grid = list(model.patch_embed.grid_size)
        found["pos_embed"] = resample_abs_pos_embed(found["pos_embed"], grid, num_prefix_tokens=prefix)
    return found
