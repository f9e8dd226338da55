"""The training loss, its random numbers, and the guidance of real-time chunking."""

import json

import pytest
import torch
from conftest import FIXTURES, relative_error

from training.dimensions import Action, Dimensions, Expert, Prefix, Rtc, Vision
from training.flow import Draws, Guidance, draw, flow_loss, guidance_weight, prefix_weights, sample
from training.model import Pi05

DIMS = Dimensions(
    vision=Vision(hidden=24, layers=2, mlp=32, heads=2, image_size=32, patch=16),
    prefix=Prefix(width=32, layers=2, mlp=48, heads=4, kv_heads=1, head_dim=16, vocab=64),
    expert=Expert(width=24, layers=2, mlp=32, heads=4, kv_heads=1, head_dim=16),
    action=Action(dim=32, horizon=15),
    rtc=Rtc(trained_max_delay=8),
)
RTC = json.loads((FIXTURES / "rtc.json").read_text())


def batch(observations: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    images = torch.randint(0, 256, (observations, 2, 32, 32, 3), dtype=torch.uint8)
    tokens = torch.randint(0, 64, (observations, 12))
    return images, tokens, torch.randint(4, 13, (observations,)), torch.randn(observations, 15, 8)


def test_prefix_weights_equal_lerobot_s_in_all_schedules():
    assert len(RTC["prefix_weights"]) == 44
    for entry in RTC["prefix_weights"]:
        weights = prefix_weights(entry["schedule"], entry["start"], entry["end"], entry["total"])
        assert torch.allclose(weights, torch.tensor(entry["weights"]), rtol=0, atol=1e-6)


def test_guidance_weight_equals_lerobot_s():
    for entry in RTC["guidance_weight"]:
        weights = torch.tensor([guidance_weight(time, entry["max_guidance_weight"]) for time in entry["time"]])
        assert relative_error(weights, torch.tensor(entry["guidance_weight"])) <= 1e-6


def test_delays_are_uniform_with_the_given_probability_and_times_have_the_mean_of_the_beta_distribution():
    draws = draw(torch.zeros(20000, 15, 8), 4, max_delay=8, delay_probability=0.45)
    shares = torch.bincount(draws.delays.flatten(), minlength=9) / draws.delays.numel()
    assert torch.allclose(shares, torch.tensor([0.55 + 0.05] + [0.05] * 8), atol=0.004)
    assert draws.times.min() >= 0.001
    assert draws.times.max() <= 1.0
    assert draws.times.mean().item() == pytest.approx(1.5 / 2.5 * 0.999 + 0.001, abs=0.003)
    assert draws.times.var().item() == pytest.approx(1.5 / (2.5**2 * 3.5) * 0.999**2, abs=0.001)
    assert torch.all(draw(torch.zeros(9, 15, 8), 4).delays == 0)


def test_the_loss_is_the_mean_over_the_rows_that_are_not_known():
    model = Pi05(DIMS, robot_dim=8)
    torch.nn.init.zeros_(model.action_out.weight)  # the velocity is 0, so the error is the velocity expected
    images, tokens, counts, actions = batch(3)
    draws = draw(actions, 2, max_delay=8, delay_probability=1.0)
    loss = flow_loss(model, model.encode_prefix(images, tokens, counts), actions, draws)
    squares = [
        (draws.noise[b, r, draws.delays[b, r] :] - actions[b, draws.delays[b, r] :]).square()
        for b in range(3)
        for r in range(2)
    ]
    assert loss.item() == pytest.approx(torch.cat(squares).mean().item(), rel=1e-6)


def test_the_network_sees_clean_known_rows_at_time_0_and_noisy_rows_at_their_time():
    class Recorder(Pi05):
        def velocity(self, cache, x, times, known=None):
            self.received = x, times, known
            return x * 0

    model = Recorder(DIMS, robot_dim=8)
    images, tokens, counts, actions = batch(2)
    draws = Draws(torch.randn(2, 1, 15, 8), torch.tensor([[0.25], [0.5]]), torch.tensor([[3], [0]]))
    flow_loss(model, model.encode_prefix(images, tokens, counts), actions, draws)
    x, times, known = model.received
    assert torch.equal(known.sum(-1), draws.delays)
    assert torch.equal(times, draws.times)
    assert torch.equal(x[0, 0, :3], actions[0, :3])
    assert torch.allclose(x[0, 0, 3:], 0.25 * draws.noise[0, 0, 3:] + 0.75 * actions[0, 3:])
    assert torch.allclose(x[1, 0], 0.5 * draws.noise[1, 0] + 0.5 * actions[1])


def test_guidance_pulls_the_weighted_rows_to_the_previous_chunk():
    model = Pi05(DIMS, robot_dim=8)
    images, tokens, counts, _ = batch(1)
    previous, noise = torch.randn(1, 10, 8), torch.randn(1, 15, 8)
    with torch.no_grad():
        cache = model.encode_prefix(images, tokens, counts)
        free = sample(model, cache, noise)
        guided = sample(model, cache, noise, rtc=Guidance(previous, prefix_weights("ones", 2, 6, 15), 5.0))
    distance = [(chunk[0, :6] - previous[0, :6]).abs().mean() for chunk in (free, guided)]
    assert distance[1] < 0.3 * distance[0]


def test_training_reduces_the_loss_and_reaches_every_parameter():
    model = Pi05(DIMS, robot_dim=8, auxiliary_dim=3)
    images, tokens, counts, actions = batch(4)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    draws = draw(actions, 4, max_delay=8, delay_probability=0.5)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            cache = model.encode_prefix(images, tokens, counts)
            loss = flow_loss(model, cache, actions, draws) + 0.1 * model.auxiliary(cache.summary).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()] == []
