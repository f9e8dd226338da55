"""Pi0.5 in PyTorch, for training and as a second implementation to compare the engine with.

B observations, C cameras, P prefix tokens, R flow draws per observation, H action rows, A action dimensions, D head
dimension.
"""

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.dimensions import Dimensions
from training.layers import (
    ExpertLayer,
    PrefixLayer,
    VisionTower,
    linear,
    rms_norm,
    rotation,
    time_features,
)


@dataclasses.dataclass
class PrefixCache:
    """What the expert needs of an observation: computed once, used by each flow step and each flow draw."""

    keys: list[Tensor]  # of each layer [B, P, D], after RoPE
    values: list[Tensor]  # of each layer [B, P, D]
    valid: Tensor  # bool [B, P], False for padding
    summary: Tensor  # [B, width]: the last text token before the last layer; for auxiliary losses


class Pi05(nn.Module):
    """The model. `robot_dim` A is the number of action dimensions that the robot has, at most `dims.action.dim`.

    The other dimensions are padding: their columns of action_in_proj and rows of action_out_proj are zero in a
    checkpoint, so they reach nothing and do not exist here.
    """

    def __init__(self, dims: Dimensions, robot_dim: int | None = None, auxiliary_dim: int = 0) -> None:
        super().__init__()
        self.dims = dims
        self.robot_dim = dims.action.dim if robot_dim is None else robot_dim
        prefix, expert = dims.prefix, dims.expert
        self.vision = VisionTower(dims.vision)
        self.projector = linear(dims.vision.hidden, prefix.width, bias=True)
        self.embedding = nn.Parameter(torch.randn(prefix.vocab, prefix.width) * prefix.width**-0.5)
        self.prefix = nn.ModuleList(PrefixLayer(prefix, i == prefix.layers - 1) for i in range(prefix.layers))
        self.expert = nn.ModuleList(ExpertLayer(expert) for _ in range(expert.layers))
        self.time_in = linear(expert.width, expert.width, bias=True)
        self.time_out = linear(expert.width, expert.width, bias=True)
        # scale, shift and gate of all norms in one product: [attention, MLP of each layer, final norm] x 3 x width
        self.modulation = nn.Linear(expert.width, (2 * expert.layers + 1) * 3 * expert.width)
        self.action_in = linear(self.robot_dim, expert.width, bias=True)
        self.action_out = linear(expert.width, self.robot_dim, bias=True, gain=0.1)
        # Training only, never exported: predicts from the summary what the policy has to find in the images.
        self.auxiliary = (
            nn.Sequential(
                linear(prefix.width, prefix.width, bias=True), nn.GELU(), linear(prefix.width, auxiliary_dim, bias=True)
            )
            if auxiliary_dim > 0
            else None
        )
        # As in openpi, all but the identity starts near 0. Gates of 1 learnt no faster with small images (one seed).
        nn.init.normal_(self.modulation.weight, std=0.1 * expert.width**-0.5)
        nn.init.zeros_(self.modulation.bias)

    def image_tokens(self, images: Tensor) -> Tensor:
        """Projected tokens [B, C * tokens, width] of uint8 RGB images [B, C, S, S, 3]."""
        return self.projector(self.vision(images.flatten(0, 1))).view(images.shape[0], -1, self.dims.prefix.width)

    def encode_prefix(self, images: Tensor, tokens: Tensor, token_counts: Tensor) -> PrefixCache:
        """Keys and values of images [B, C, S, S, 3] uint8 (leave out cameras that are not used) and prompts.

        `tokens` [B, T] are integer ids, of which the first `token_counts` [B] are valid and the rest is padding.
        """
        image_tokens = self.image_tokens(images)
        text = F.embedding(tokens.long(), self.embedding) * self.dims.prefix.width**0.5
        x = torch.cat([image_tokens, text.to(image_tokens.dtype)], dim=1)
        positions = torch.arange(x.shape[1], device=x.device)  # padding is at the end, so these count valid tokens
        counts = image_tokens.shape[1] + token_counts  # [B]
        valid = positions < counts[:, None]
        cos_sin = rotation(positions, self.dims.prefix.head_dim)
        keys, values = [], []
        for layer in self.prefix:
            x, k, v = layer(x, cos_sin, valid)
            keys.append(k)
            values.append(v)
        last = (counts - 1)[:, None, None].expand(-1, 1, x.shape[2])
        return PrefixCache(keys, values, valid, x.gather(1, last)[:, 0])

    def condition(self, times: Tensor) -> Tensor:
        """The conditioning vector [..., width] of flow times [...], in float32."""
        with torch.autocast(times.device.type, enabled=False):
            x = F.silu(self.time_in(time_features(times, self.dims.expert.width)))
            return F.silu(self.time_out(x))

    def velocity(self, cache: PrefixCache, x: Tensor, times: Tensor, known: Tensor | None = None) -> Tensor:
        """The flow's velocity [B, R, H, A] at `x` [B, R, H, A] and `times` [B, R], all float32.

        Draws of an observation do not see each other. The time of the rows that are `known` (bool [B, R, H]) is 0.
        """
        batch, draws, horizon = x.shape[:3]
        dims = self.dims.expert
        with torch.autocast(x.device.type, enabled=False):
            y = self.action_in(x).view(batch * draws, horizon, dims.width)
        norms = self._row_modulation(times, known, horizon)
        y = y.to(cache.keys[0].dtype)
        valid = F.pad(cache.valid, (0, horizon), value=True)
        positions = cache.valid.sum(1)[:, None] + torch.arange(horizon, device=x.device)
        cos, sin = rotation(positions, dims.head_dim)
        # Draws of an observation are more of the batch, with the same prefix.
        valid, cos, sin = (of_each_draw(part, draws) for part in (valid, cos, sin))
        for i, layer in enumerate(self.expert):
            prefix = of_each_draw(cache.keys[i], draws), of_each_draw(cache.values[i], draws)
            y = layer(y, norms[2 * i : 2 * i + 2], prefix, (cos, sin), valid)
        scale, shift, _ = norms[-1]
        with torch.autocast(x.device.type, enabled=False):
            y = self.action_out(rms_norm(y.float(), 1.0 + scale, shift))
        return y.view(batch, draws, horizon, self.robot_dim)

    def _row_modulation(self, times: Tensor, known: Tensor | None, horizon: int) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Scale, shift and gate of each norm, [B * R, H, width] each, for draws at `times` [B, R]."""
        batch, draws = times.shape
        width = self.dims.expert.width
        condition = self.condition(torch.cat([times.flatten(), times.new_zeros(1)]))
        table = self.modulation(condition).view(batch * draws + 1, -1, 3, width)
        of_draws, of_known = table[:-1].view(batch, draws, 1, -1, 3, width), table[-1]
        norms = []
        for i in range(table.shape[1]):
            rows = of_draws[:, :, :, i].expand(-1, -1, horizon, -1, -1)
            if known is not None:
                rows = torch.where(known[..., None, None], of_known[i], rows)
            scale, shift, gate = rows.reshape(batch * draws, horizon, 3, width).unbind(2)
            norms.append((scale, shift, gate))
        return norms


def of_each_draw(x: Tensor, draws: int) -> Tensor:
    """[B, …] repeated for the draws of an observation, [B * R, …]."""
    return x[:, None].expand(-1, draws, *x.shape[1:]).flatten(0, 1)
