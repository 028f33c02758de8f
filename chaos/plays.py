"""Plays at random: what the runs of a trial are made of. The same dice give the same plays."""

from __future__ import annotations

from random import Random

from .play import Call, Play, PlayStep, ProviderFault

RETRY_AFTER = ("", "", "0", "1", "-7", "soon", "Wed, 21 Oct 2015 07:28:00 GMT", "Thursday, late")
"""In seconds, as a date, and as nobody should say it. A long one is cut to a minute, which is too long here."""
RETRIED = (408, 409, 429, 500, 502, 503, 504, 529)


def text_play(dice: Random, key: str, *, words: int = 0, pace_ms: float = 0) -> Play:
    """One answer of a second or three, sometimes with thinking before it."""
    step = PlayStep(
        words=words or dice.randint(40, 140),
        thoughts=dice.choice((0, 0, dice.randint(3, 20))),
        pace_ms=pace_ms or dice.uniform(8, 25),
        framing=dice.choice(("chunked", "close")),
    )
    return Play(key, (step,))


def tool_play(dice: Random, key: str) -> Play:
    """Two to four answers, with one to three calls after each but the last."""
    steps: list[PlayStep] = []
    turns = dice.randint(1, 3)
    for turn in range(turns):
        calls = tuple(
            Call(
                dice.choice(("chaos_append", "chaos_put")),
                f"{key}.{turn}.{n}",
                dice.choice((0, 0, 50, 300)),
                dice.choice((0, 0, 50, 300)),
            )
            for n in range(dice.choice((1, 1, 2, 3)))
        )
        steps.append(
            PlayStep(
                words=dice.randint(0, 25),
                thoughts=dice.choice((0, 4)),
                pace_ms=dice.uniform(4, 20),
                calls=calls,
                framing=dice.choice(("chunked", "close")),
            )
        )
    steps.append(PlayStep(words=dice.randint(10, 50), pace_ms=dice.uniform(4, 20)))
    return Play(key, tuple(steps))


def crowded_play(dice: Random, key: str) -> Play:
    """A hundred calls at once, most of them of the tool that must not be repeated."""
    calls = tuple(
        Call(
            dice.choice(("chaos_append", "chaos_append", "chaos_put")),
            f"{key}.0.{n}",
            dice.randint(0, 400),
            50,
        )
        for n in range(100)
    )
    first = PlayStep(words=dice.randint(0, 20), pace_ms=5, calls=calls)
    return Play(key, (first, PlayStep(words=dice.randint(10, 50), pace_ms=10)))


def mixed_play(dice: Random, key: str) -> Play:
    return dice.choice((text_play, tool_play, tool_play))(dice, key)


def broken_play(dice: Random, key: str) -> Play:
    """A play whose provider fails in one of its ways, once or twice, in its first or last answer."""
    play = mixed_play(dice, key)
    place = dice.choice((0, len(play.steps) - 1))
    step = play.steps[place]
    faults = tuple(_fault(dice) for _ in range(dice.choice((1, 1, 2))))
    broken = PlayStep(step.words, step.thoughts, step.pace_ms, step.calls, faults, step.framing)
    return Play(key, (*play.steps[:place], broken, *play.steps[place + 1 :]))


def _fault(dice: Random) -> ProviderFault:
    kind = dice.choice(
        (
            "cut_fin",
            "cut_rst",
            "status",
            "status",
            "silent",
            "drip",
            "refused",
            "malformed",
            "no_usage",
            "absurd_usage",
            "repeated_usage",
        )
    )
    if kind == "status":
        status = dice.choice((*RETRIED, 400, 401, 403, 404, 413))
        return ProviderFault("status", status=status, retry_after=dice.choice(RETRY_AFTER))
    if kind == "silent":
        return ProviderFault("silent", at=dice.randint(0, 3000), seconds=dice.uniform(0.5, 3))
    if kind == "drip":  # byte by byte, a few thousand of them
        return ProviderFault("drip", seconds=0.001)
    return ProviderFault(kind, at=dice.randint(0, 4000))  # type: ignore[arg-type]
