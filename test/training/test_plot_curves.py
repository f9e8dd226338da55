"""The chart of a training in stages."""

from PIL import Image

from training.plot_curves import draw, success_of


def entry(steps, done, count):
    return {"steps": steps, "flow": 1 / steps, "auxiliary": 0.5 / steps, "touch_rollouts": [done, count]}


def test_a_rate_of_few_episodes_is_not_drawn():
    assert success_of("touch", entry(10, 6, 8)) == 75
    assert success_of("touch", entry(10, 6, 7)) is None
    assert success_of("stack", entry(10, 6, 8)) is None  # the expert moved the arm in all of them


def test_stages_are_drawn_one_after_the_other(tmp_path):
    stage = [entry(steps, 5, 10) for steps in (100, 200)]
    for count in (1, 3):
        draw([stage] * count, tmp_path / f"{count}.png")
    one, three = (Image.open(tmp_path / f"{count}.png") for count in (1, 3))
    assert one.size == three.size == (900, 320)
    assert one.tobytes() != three.tobytes()
