"""Measures training steps on this machine, with random data: `python -m training.speed --batch 1024 --draws 4`."""

import argparse
import time

import torch

from training.dimensions import demo_dimensions
from training.flow import draw, flow_loss
from training.model import Pi05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=1024, help="observations")
    parser.add_argument("--draws", type=int, default=4, help="flow draws per observation")
    parser.add_argument("--tokens", type=int, default=32, help="length of the padded prompt")
    parser.add_argument("--steps", type=int, default=50, help="measured steps")
    parser.add_argument("--eager", action="store_true", help="without torch.compile")
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_float32_matmul_precision("high")

    dims, batch = demo_dimensions(), arguments.batch
    size = dims.vision.image_size
    model = Pi05(dims, robot_dim=8, auxiliary_dim=8).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    images = torch.randint(0, 256, (batch, 2, size, size, 3), dtype=torch.uint8, device=device)
    tokens = torch.randint(0, dims.prefix.vocab, (batch, arguments.tokens), device=device)
    counts = torch.randint(arguments.tokens // 2, arguments.tokens + 1, (batch,), device=device)
    actions = torch.randn(batch, dims.action.horizon, 8, device=device)

    def loss_of(
        images: torch.Tensor, tokens: torch.Tensor, counts: torch.Tensor, actions: torch.Tensor
    ) -> torch.Tensor:
        with torch.autocast(device, dtype=torch.bfloat16):
            cache = model.encode_prefix(images, tokens, counts)
            draws = draw(actions, arguments.draws, dims.rtc.trained_max_delay, 0.5)
            return flow_loss(model, cache, actions, draws) + model.auxiliary(cache.summary).square().mean()

    compiled = loss_of if arguments.eager else torch.compile(loss_of)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        compiled(images, tokens, counts, actions).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    def timed(steps: int) -> float:
        start = time.perf_counter()
        for _ in range(steps):
            step()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    print(f"first 3 steps, with compilation  {timed(3):.1f} s")
    seconds = timed(arguments.steps)
    print(f"{arguments.steps / seconds:.1f} steps/s, {1000 * seconds / arguments.steps:.1f} ms each")
    if device == "cuda":
        print(f"peak memory  {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")


if __name__ == "__main__":
    main()
