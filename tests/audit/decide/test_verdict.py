"""The decision, at its thresholds and with its reasons."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_gate.audit.decide.estimate import Interval
from asr_gate.audit.decide.verdict import decide
from asr_gate.audit.policy import load_policy
from asr_gate.corpus.errors import UserError

POLICY = load_policy().decision


def share(percent: float) -> Interval:
    return Interval(percent / 100, percent / 100 - 0.01, percent / 100 + 0.04)


@pytest.mark.parametrize(
    ("percent", "decision", "names"),
    [
        (0.0, "PROCEED", "proceed_below"),
        (9.9, "PROCEED", "proceed_below"),
        (10.0, "CAUTION", "proceed_below, decision.stop_above"),
        (15.0, "CAUTION", "proceed_below, decision.stop_above"),
        (15.1, "STOP", "stop_above"),
        (100.0, "STOP", "stop_above"),
    ],
)
def test_thresholds(percent: float, decision: str, names: str) -> None:
    verdict = decide(POLICY, share(percent), {}, 0)
    assert verdict.decision == decision
    assert f"{percent:.1f} %" in verdict.reasons[0]
    assert names in verdict.reasons[0]


@pytest.mark.parametrize(
    ("interval", "decision"),
    [
        (Interval(0.08, 0.02, 0.15), "PROCEED"),
        (Interval(0.08, 0.02, 0.16), "CAUTION"),
        (Interval(0.20, 0.10, 0.40), "STOP"),
        (Interval(0.20, 0.09, 0.40), "CAUTION"),
    ],
)
def test_too_little_sampled_is_caution(interval: Interval, decision: str) -> None:
    verdict = decide(POLICY, interval, {}, 0)
    assert verdict.decision == decision
    assert (decision == "CAUTION") == ("the sample is too small" in " ".join(verdict.reasons))


def test_a_domain_may_have_a_limit_of_its_own() -> None:
    lenient = POLICY.model_copy(update={"domains": {"noisy": 30.0}})
    assert decide(lenient, share(5), {"noisy": share(29)}, 0).decision == "PROCEED"
    verdict = decide(lenient, share(5), {"noisy": share(31)}, 0)
    assert verdict.decision == "CAUTION"
    assert "decision.domains.noisy" in verdict.reasons[1]


def test_one_bad_domain_is_at_least_caution() -> None:
    domains = {"good": share(1), "bad": share(20.1), "edge": share(20)}
    verdict = decide(POLICY, share(5), domains, 0)
    assert verdict.decision == "CAUTION"
    assert len(verdict.reasons) == 2
    assert "domain bad" in verdict.reasons[1]
    assert decide(POLICY, share(50), domains, 0).decision == "STOP"


def test_rows_that_were_skipped_are_at_least_caution() -> None:
    assert decide(POLICY, share(1), {}, 5.0).decision == "PROCEED"
    verdict = decide(POLICY, share(1), {}, 5.1)
    assert verdict.decision == "CAUTION"
    assert "could not be audited" in verdict.reasons[0]
    verdict = decide(POLICY, share(1), {}, 20.1)
    assert verdict.decision == "STOP"
    assert "skipped_stop_above" in verdict.reasons[0]
    unread = decide(POLICY, share(1), {}, 20.1, unreadable=7)
    assert "the audio of 7 sampled rows cannot be read" in unread.reasons[0]
    # The transcripts are not what has to be mended.
    assert "rows that could not be audited" in verdict.recommendation
    assert decide(POLICY, share(50), {}, 20.1).recommendation == ""


def test_what_is_not_judged_is_at_least_caution() -> None:
    untold = {"digits": "why"}
    verdict = decide(POLICY, share(1), {}, 0, untold, 3.0)
    assert verdict.decision == "CAUTION"
    assert "domains that can be judged" in verdict.reasons[0]
    assert "cannot tell in domain digits: why" in verdict.reasons
    assert decide(POLICY, share(50), {}, 0, untold, 3.0).decision == "STOP"
    lenient = POLICY.model_copy(update={"untold_caution_above": 5.0})
    assert decide(lenient, share(1), {}, 0, untold, 5.0).decision == "PROCEED"


def test_an_unknown_power_is_at_most_caution() -> None:
    verdict = decide(POLICY, share(0), {}, 0, power_known=False)
    assert verdict.decision == "CAUTION"
    assert "detection power is not known" in verdict.reasons[1]
    assert decide(POLICY, share(50), {}, 0, power_known=False).decision == "STOP"


def test_the_bound_decides_where_the_policy_says_so() -> None:
    strict = POLICY.model_copy(update={"decide_by": "bound"})
    verdict = decide(strict, share(8), {}, 0)
    assert verdict.decision == "CAUTION"
    assert "at the upper bound" in verdict.reasons[0]


def test_a_policy_file_changes_what_it_names(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text("[decision]\nstop_above = 30\n[sampling]\nquotas = {}\n")
    policy = load_policy(file)
    assert policy.decision.stop_above == 30
    assert policy.decision.proceed_below == 10
    assert policy.sampling.quotas == {}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[decision]\nstop_above = 101\n", "decision.stop_above"),
        (
            "[decision]\nstop_over = 1\n",
            r"p\.toml:2: decision\.stop_over: .* nearest is decision\.stop_above",
        ),
        ("[decision]\nstop_above = 5\n", "proceed_below is above stop_above"),
        ("[sampling]\nquotas = { a = 0.5 }\n", "quotas do not sum to 1"),
        ("[signal]\nmin_duration = 50\n", "signal: min_duration is above max_duration"),
        ("[colour]\nred = 1\n", "colour"),
        ("[gate]\nmax_age_days = 1e300\n", "gate.max_age_days"),
        ("[gate]\nrequire_signature = 1\n", "gate.require_signature"),
        ("[decision]\nconfidence = 0.9999999999999999\n", "decision.confidence"),
        ("[controls]\nfalse_alarm = 1e-300\n", "controls.false_alarm"),
        ("decision = 5\n", "decision"),
        ("[decision\n", "not TOML"),
        ("[quality]\nmin_coverage = nan\n", "quality.min_coverage"),
    ],
)
def test_a_wrong_policy_is_one_line(content: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text(content)
    with pytest.raises(UserError, match=says) as caught:
        load_policy(file)
    assert "p.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_policy_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such policy file"):
        load_policy(tmp_path / "p.toml")
