"""The layers of Pi0.5: norms, rotary positions, attention with shared K/V, SigLIP, Gemma and expert blocks.

B is the batch, N a number of tokens, D the head dimension. All layers keep the dtype of their input: float32 for exact
inference, bfloat16 inside `torch.autocast`. Norms, rotations and time are computed in float32 or better.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.dimensions import Expert, Prefix, Vision

NORM_EPSILON = 1e-6
ROPE_THETA = 10000.0
TIME_PERIODS = (4e-3, 4.0)  # shortest and longest, for times from 0 to 1


def rms_norm(x: Tensor, scale: Tensor, shift: Tensor | None = None) -> Tensor:
    """`x` [..., width] with root mean square 1, times `scale`, plus `shift`; in float32, returned in x's dtype."""
    y = x.float()
    y = y * torch.rsqrt(y.square().mean(-1, keepdim=True) + NORM_EPSILON) * scale.float()
    return (y if shift is None else y + shift.float()).to(x.dtype)


def rotation(positions: Tensor, head_dim: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine [..., 1, D/2] of the RoPE angles of integer `positions` [...]; the 1 is for the heads."""
    exponents = torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32) / head_dim
    angles = positions[..., None, None].float() * ROPE_THETA**-exponents
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos_sin: tuple[Tensor, Tensor]) -> Tensor:
    """Applies RoPE to `x` [B, N, heads, D]: value i of the first half is paired with value i of the second half."""
    cos, sin = cos_sin
    a, b = x.float().chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1).to(x.dtype)


BIAS_CHANNELS = 8  # of the head dimension; attention kernels want multiples of 8
MASKED = -1e4  # in the bias channel of a padded key: its weight is exactly 0 after the softmax


def shared_attention(q: Tensor, k: Tensor, v: Tensor, valid: Tensor) -> Tensor:
    """Attention of queries [B, N, heads, D] on those of the keys and values [B, M, D] that are `valid` (bool [B, M]).

    As all heads share K and V, they are just more rows of one head: (row, head) is flattened to one axis. The padding is
    masked by one more channel of Q and K, so that attention kernels without masks, which are much faster, can be used.
    Returns [B, N, heads * D].
    """
    batch, rows, heads, dim = q.shape
    bias = torch.where(valid, 0.0, MASKED).to(k.dtype)[..., None]
    q = F.pad(F.pad(q, (0, 1), value=1.0), (0, BIAS_CHANNELS - 1)).reshape(batch, 1, rows * heads, dim + BIAS_CHANNELS)
    k = F.pad(torch.cat([k, bias], dim=-1), (0, BIAS_CHANNELS - 1))[:, None]
    v = F.pad(v, (0, BIAS_CHANNELS))[:, None]
    attended = F.scaled_dot_product_attention(q, k, v, scale=dim**-0.5)
    return attended[..., :dim].reshape(batch, rows, heads * dim)


def linear(inputs: int, outputs: int, bias: bool, gain: float = 1.0) -> nn.Linear:
    """A linear layer whose outputs have the variance of its inputs times gain² at the start; biases start at 0."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    nn.init.normal_(layer.weight, std=gain * inputs**-0.5)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def residual_gain(layers: int) -> float:
    """The gain of layers that add to the residual stream, so that its variance does not grow with the depth."""
    return (2 * layers) ** -0.5


class GatedMlp(nn.Module):
    """Gemma's MLP: down(gelu(gate(x)) * up(x)); gate and up are one matrix [2 * mlp, width]."""

    def __init__(self, width: int, mlp: int, layers: int) -> None:
        super().__init__()
        self.gate_up = linear(width, 2 * mlp, bias=False)
        self.down = linear(mlp, width, bias=False, gain=residual_gain(layers))

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.gelu(gate, approximate="tanh") * up)


class VisionLayer(nn.Module):
    """A pre-norm SigLIP block on [B, N, hidden]; q, k and v are one matrix [3 * hidden, hidden]."""

    def __init__(self, dims: Vision) -> None:
        super().__init__()
        self.heads = dims.heads
        self.norm1 = nn.LayerNorm(dims.hidden, eps=NORM_EPSILON)
        self.norm2 = nn.LayerNorm(dims.hidden, eps=NORM_EPSILON)
        self.qkv = linear(dims.hidden, 3 * dims.hidden, bias=True)
        self.out = linear(dims.hidden, dims.hidden, bias=True, gain=residual_gain(dims.layers))
        self.fc1 = linear(dims.hidden, dims.mlp, bias=True)
        self.fc2 = linear(dims.mlp, dims.hidden, bias=True, gain=residual_gain(dims.layers))

    def forward(self, x: Tensor) -> Tensor:
        batch, rows, hidden = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, rows, 3, self.heads, hidden // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, rows, hidden)
        x = x + self.out(attended)
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x)), approximate="tanh"))


class VisionTower(nn.Module):
    """SigLIP: uint8 RGB images [B, S, S, 3] to tokens [B, tokens, hidden], row by row."""

    def __init__(self, dims: Vision) -> None:
        super().__init__()
        self.patch_size = dims.patch
        self.patch = linear(3 * dims.patch**2, dims.hidden, bias=True)  # inputs in the order channel, y, x
        self.position = nn.Parameter(sine_cosine_grid(dims.image_size // dims.patch, dims.hidden))
        self.layers = nn.ModuleList(VisionLayer(dims) for _ in range(dims.layers))
        self.norm = nn.LayerNorm(dims.hidden, eps=NORM_EPSILON)

    def forward(self, images: Tensor) -> Tensor:
        batch, size, patch = images.shape[0], images.shape[1], self.patch_size
        grid = size // patch
        x = images.view(batch, grid, patch, grid, patch, 3).permute(0, 1, 3, 5, 2, 4).reshape(batch, grid * grid, -1)
        x = self.patch(x.float() / 255.0 * 2.0 - 1.0)
        x = x + self.position.to(x.dtype)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x).to(x.dtype)


class PrefixLayer(nn.Module):
    """A Gemma block; q, k and v are one matrix. Of the last layer only K and V are used, so the rest does not exist."""

    def __init__(self, dims: Prefix, last: bool) -> None:
        super().__init__()
        self.heads, self.head_dim, self.last = dims.heads, dims.head_dim, last
        queries = 0 if last else dims.heads * dims.head_dim
        self.input_norm = nn.Parameter(torch.zeros(dims.width))
        self.qkv = linear(dims.width, queries + 2 * dims.head_dim, bias=False)
        if not last:
            self.out = linear(queries, dims.width, bias=False, gain=residual_gain(dims.layers))
            self.post_norm = nn.Parameter(torch.zeros(dims.width))
            self.mlp = GatedMlp(dims.width, dims.mlp, dims.layers)

    def forward(self, x: Tensor, cos_sin: tuple[Tensor, Tensor], valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`x` [B, N, width] to the next layer's x (unchanged by the last layer), rotated K and V, both [B, N, D]."""
        projected = self.qkv(rms_norm(x, 1.0 + self.input_norm))
        q, k, v = projected.split([projected.shape[-1] - 2 * self.head_dim, self.head_dim, self.head_dim], dim=-1)
        k = rotate(k[:, :, None], cos_sin)[:, :, 0]
        if self.last:
            return x, k, v
        q = rotate(q.unflatten(-1, (self.heads, self.head_dim)), cos_sin)
        x = x + self.out(shared_attention(q, k, v, valid))
        return x + self.mlp(rms_norm(x, 1.0 + self.post_norm)), k, v


class ExpertLayer(nn.Module):
    """A block of the action expert. The modulation of its norms (scale, shift, gate) depends on the time alone."""

    def __init__(self, dims: Expert) -> None:
        super().__init__()
        self.heads, self.head_dim = dims.heads, dims.head_dim
        queries = dims.heads * dims.head_dim
        self.qkv = linear(dims.width, queries + 2 * dims.head_dim, bias=False)
        self.out = linear(queries, dims.width, bias=False, gain=residual_gain(dims.layers))
        self.mlp = GatedMlp(dims.width, dims.mlp, dims.layers)

    def forward(
        self,
        x: Tensor,  # [B, N, width]
        modulation: list[tuple[Tensor, Tensor, Tensor]],  # scale, shift, gate [B, N, width], of attention and of MLP
        prefix: tuple[Tensor, Tensor],  # K and V of the prefix [B, M, D]
        cos_sin: tuple[Tensor, Tensor],
        valid: Tensor,  # bool [B, M + N]
    ) -> Tensor:
        (scale, shift, gate), (mlp_scale, mlp_shift, mlp_gate) = modulation
        projected = self.qkv(rms_norm(x, 1.0 + scale, shift))
        q, k, v = projected.split([self.heads * self.head_dim, self.head_dim, self.head_dim], dim=-1)
        q = rotate(q.unflatten(-1, (self.heads, self.head_dim)), cos_sin)
        k = torch.cat([prefix[0], rotate(k[:, :, None], cos_sin)[:, :, 0]], dim=1)
        v = torch.cat([prefix[1], v], dim=1)
        x = x + (gate * self.out(shared_attention(q, k, v, valid))).to(x.dtype)
        return x + (mlp_gate * self.mlp(rms_norm(x, 1.0 + mlp_scale, mlp_shift))).to(x.dtype)


def sine_cosine_grid(side: int, width: int) -> Tensor:
    """Position embeddings [side * side, width] to start from: sines and cosines of the row and of the column."""
    frequencies = 100.0 ** -(torch.arange(0, math.ceil(width / 4)) / math.ceil(width / 4))
    angles = torch.arange(side)[:, None] * frequencies
    axis = torch.cat([angles.sin(), angles.cos()], dim=-1)  # [side, about width / 2]
    rows, columns = axis[:, None].expand(side, side, -1), axis[None].expand(side, side, -1)
    return 0.5 * torch.cat([rows, columns], dim=-1).reshape(side * side, -1)[:, :width].contiguous()


def time_features(times: Tensor, width: int) -> Tensor:
    """Sines, then cosines, of `times` [...]: float32 [..., width]. Angles in float64: they reach 1571 rad."""
    shortest, longest = TIME_PERIODS
    fraction = torch.linspace(0.0, 1.0, width // 2, device=times.device, dtype=torch.float64)
    angles = 2.0 * math.pi * times.double()[..., None] / (shortest * (longest / shortest) ** fraction)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).float()
