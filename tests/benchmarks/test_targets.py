"""A target is met, missed, void or not measured; and what is printed says which."""

from __future__ import annotations

from benchmarks import report, stats
from benchmarks.__main__ import arguments
from benchmarks.marks import Faults
from benchmarks.results import Results
from benchmarks.targets import RELAY, TARGETS, UVICORN, Target, verdict

AT_LEAST = Target("full_1_per_s", "one stream", at_least=0.8, against=RELAY)
AT_MOST = Target("ttft_p50_ms", "first token", at_most=4, unit="ms")


def results(ours: list[float], reference: list[float], faults: Faults | None = None) -> Results:
    out = Results()
    for value in reference:
        out.add(RELAY, {"full_1_per_s": value}, Faults())
    for value in ours:
        out.add(UVICORN, {"full_1_per_s": value, "ttft_p50_ms": value / 30}, faults or Faults())
    return out


def test_it_compares_round_by_round() -> None:
    assert verdict(AT_LEAST, results([90, 110], [100, 110])).state == "met"
    assert verdict(AT_LEAST, results([60, 70], [100, 110])).state == "missed"


def test_it_compares_a_value_without_a_reference() -> None:
    assert verdict(AT_MOST, results([90], [100])).state == "met"
    assert verdict(AT_MOST, results([150], [100])).state == "missed"


def test_it_calls_a_ratio_void_when_the_reference_varies() -> None:
    assert verdict(AT_LEAST, results([100, 300], [100, 300])).state == "void"
    assert not stats.is_void([100, 110, 105, 95, 100])


def test_it_calls_a_figure_void_when_the_text_was_wrong() -> None:
    assert verdict(AT_LEAST, results([90, 90], [100, 100], Faults(lost=1))).state == "void"


def test_it_says_what_was_not_measured() -> None:
    assert verdict(AT_LEAST, Results()).state == "not measured"
    assert verdict(AT_LEAST, results([90], [])).state == "not measured"
    assert "one stream at full speed ≥ 20 x Chainlit" in report.verdicts(Results())


def test_it_prints_targets_beside_what_was_measured() -> None:
    text = report.verdicts(results([60, 70], [100, 100], None), [AT_LEAST, AT_MOST])
    assert "0.65  ✗ MISSED" in text
    assert "2.17  ✓ met" in text
    assert "1 met, 1 missed, 0 void" in text


def test_it_prints_every_peer_and_what_went_wrong() -> None:
    text = report.table(results([65, 65], [100, 100], Faults(doubled=2)))
    assert "65 chunks/s (0.65x)" in text
    assert f"{UVICORN}: 0 LOST, 4 DOUBLED" in text


def test_it_has_a_title_for_every_figure_that_has_a_target() -> None:
    printed = {figure.name for group in report.GROUPS for figure in group.figures}
    assert {target.figure for target in TARGETS} <= printed


def test_it_keeps_every_round_for_another_day() -> None:
    out = results([60, 70], [100, 110]).as_json()
    assert out["rounds"] == {
        RELAY: {"full_1_per_s": [100, 110]},
        UVICORN: {"full_1_per_s": [60, 70], "ttft_p50_ms": [2, 70 / 30]},
    }


def test_it_reads_its_command_line() -> None:
    usual = arguments([])
    assert usual.size.plan.rounds >= 5
    assert set(usual.stages) == {
        "relay",
        "fanout",
        "capacity",
        "crossing",
        "stops",
        "metering",
        "load",
        "idle",
    }
    assert arguments(["--load"]).stages == ["load"]
    soak = arguments(["--soak"]).soak
    assert soak is not None
    assert soak.minutes == 30
    assert "open-webui" not in arguments(["--peers"]).peers
    assert "open-webui" in arguments(["--peers", "--open-webui"]).peers
