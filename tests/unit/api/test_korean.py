"""Texts in Korean say what those in English say, with everything that was filled in."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import pytest
from pydantic_core._pydantic_core import list_all_errors

from ecpmon.alerts.evaluate import Reading
from ecpmon.alerts.message import summary as alert_summary
from ecpmon.alerts.recovery_notices import WHY
from ecpmon.alerts.syntax import CompareOp
from ecpmon.api.errors import described
from ecpmon.api.rejections import SENTENCES
from ecpmon.collectors.profiles import profiles
from ecpmon.errors import ValidationFailed
from ecpmon.korean.messages import said_to
from ecpmon.korean.templates import translated
from ecpmon.model.alerts import AlertRule, RuleKind, RuleStatus, Severity, Transition, TransitionReason
from ecpmon.model.ingest import Rejection
from tests.integration.conftest import T0
from tests.said import templates


@pytest.mark.parametrize(
    ("english", "korean"),
    [
        ("Field required", "필수 항목입니다"),
        ("Input should be less than or equal to 1000", "1000 이하여야 합니다"),
        ("String should match pattern '^[^\\x00]*$'", "다음 형식이어야 합니다: ^[^\\x00]*$"),
        (
            "no spare replica: while a pod is down its share of the sessions suffers, so 99.0 % can be promised rather"
            " than 99.9 %",
            "예비 복제본이 없습니다. 파드가 중단된 동안 그 파드의 세션이 영향을 받으므로"
            " 99.9 % 대신 99.0 %를 약속할 수 있습니다",
        ),
        (
            "the target holds; the tightest resource, GPU, is taken to 67 %",
            "목표를 지킬 수 있습니다; 가장 빠듯한 리소스(GPU)의 사용률은 67 %입니다",
        ),
        (
            "lmit: is no parameter here (did you mean `limit`?)",
            "lmit: 이 경로에 없는 매개변수입니다. `limit`을(를) 뜻하셨나요?",
        ),
        ("limit: Input should be a valid integer", "limit: 정수여야 합니다"),
        (
            "the tenant cannot be sized: service_requirements.x: unknown service; known are a, b; y: Field required",
            "테넌트의 크기를 계산할 수 없습니다: service_requirements.x: 알 수 없는 서비스입니다. 가능한 값: a, b;"
            " y: 필수 항목입니다",
        ),
        (
            "windows: unknown window '2w'; known are 1h, 24h",
            "windows: 알 수 없는 기간입니다: '2w'. 가능한 값: 1h, 24h",
        ),
        (
            "limit: Input should be less than or equal to 5; skip: Field required; and 2 more",
            "limit: 5 이하여야 합니다; skip: 필수 항목입니다; 외 2개",
        ),
        (
            "this takes too long right now; try again in 2 s, or ask for less",
            "지금은 시간이 너무 오래 걸립니다. 2초 후 다시 시도하거나 더 적게 요청하세요",
        ),
        ("a: Field required; b: nobody ever said this", "a: 필수 항목입니다; b: nobody ever said this"),
        ("nobody ever said this", "nobody ever said this"),
        ("", ""),
    ],
)
def test_every_part_of_a_text_is_told(english: str, korean: str) -> None:
    assert translated(english) == korean


@pytest.mark.parametrize("filled", ["{0} {1}", "\\g<0>", "a; b: c; " * 150 + "d", "(" * 400])
def test_what_is_filled_in_is_nothing_but_text(filled: str) -> None:
    assert translated(f"Input should be {filled}").endswith(filled)


def test_half_a_surrogate_pair_breaks_nothing() -> None:
    assert translated("Input should be \ud800").startswith("다음 중 하나여야 합니다: ")


def test_bad_fields_are_told_in_the_language_of_whoever_asks() -> None:
    error = ValidationFailed(
        "limit: Field required", fields=[{"field": "limit", "message": "Field required"}]
    )
    told = {
        korean: described(error, korean=korean, now=T0, request_id="r")["error"] for korean in (True, False)
    }
    assert told[True]["message"] == "입력값이 올바르지 않습니다. (limit: 필수 항목입니다)"
    assert told[True]["details"]["fields"] == [{"field": "limit", "message": "필수 항목입니다"}]
    assert told[False]["details"]["fields"] == [{"field": "limit", "message": "Field required"}]
    assert said_to({"Accept-Language": "ko"}, "Field required") == "필수 항목입니다"
    assert said_to({"Accept-Language": "en, ko;q=0.5"}, "Field required") == "Field required"


# --- nothing is left out


def test_why_a_sample_is_rejected_has_a_sentence_for_every_reason() -> None:
    assert SENTENCES.keys() == set(Rejection)
    assert [text for text in SENTENCES.values() if not HANGUL.search(translated(text))] == []


@pytest.mark.parametrize("reason", TransitionReason)
@pytest.mark.parametrize("flapping", [False, True])
@pytest.mark.parametrize("reading", [None, Reading("cpu_usage", CompareOp.GT, 91.0, 80.0, True)])
@pytest.mark.parametrize("new", [RuleStatus.FIRING, RuleStatus.INACTIVE])
def test_what_is_said_of_an_alert_has_a_sentence(
    reason: TransitionReason, flapping: bool, reading: Reading | None, new: RuleStatus
) -> None:
    rule = AlertRule(
        "1", "acme", "hot", RuleKind.THRESHOLD, "cpu_usage > 80 and gpu > 1", 0, Severity.WARNING
    )
    change = Transition(RuleStatus.FIRING, new, T0, None, reason, flapping=flapping, untold=2)
    said = translated(alert_summary(rule, change, reading))
    assert HANGUL.search(said)
    assert not re.search(r" (is|for|its|flapping) ", said), said
    assert "cpu_usage > 80 and gpu > 1" in said


def test_what_is_said_of_a_recovery_has_a_sentence() -> None:
    assert [why for why in WHY.values() if not HANGUL.search(translated(why))] == []
    said = translated("recovery of acme: waiting, it was restarted; the re-check will tell (2 of 2)")
    assert said == "acme 테넌트 복구(waiting): 재시작했습니다. 재확인에서 결과를 알 수 있습니다 (2 of 2)"


HANGUL = re.compile("[가-힣]")
# So many may wait for their sentence, so that nobody who writes a new one is held up; they are told in English.
NEWEST = 12
# What pydantic says of bodies and query strings, of which our models make use.
OF_PYDANTIC = {
    "missing", "extra_forbidden", "string_type", "string_too_short", "string_too_long", "string_pattern_mismatch",
    "int_type", "int_parsing", "int_from_float", "int_parsing_size", "float_type", "float_parsing", "finite_number",
    "bool_type", "bool_parsing", "list_type", "dict_type", "model_type", "model_attributes_type", "literal_error",
    "enum",
    "greater_than", "greater_than_equal", "less_than", "less_than_equal", "too_short", "too_long", "invalid_key",
    "datetime_type", "datetime_parsing", "datetime_from_date_parsing", "date_type", "date_parsing",
}  # fmt: skip


def test_but_the_newest_every_text_that_a_caller_may_be_told_has_a_sentence() -> None:
    # A name, a colon and what is wrong with it is told by the latter.
    told = {t: w for t, w in templates().items() if " " in t.strip() and not re.fullmatch(r"\w+: \{\}", t)}
    assert len(told) > 300
    without = {t: w for t, w in told.items() if not HANGUL.search(translated(t.replace("{}", "x1")))}
    assert len(without) <= NEWEST, without


def test_every_sentence_holds_what_its_template_is_filled_with() -> None:
    sentences = json.loads((files("ecpmon.korean") / "texts.json").read_text("utf-8"))
    for template, said in sentences.items():
        used = {int(number) for number in re.findall(r"\{(\d)\}", said)}
        assert used <= set(range(template.count("{}"))), template
        assert HANGUL.search(said) or said == "{0}", template


def test_what_pydantic_says_is_told_and_so_are_the_warnings_of_profiles() -> None:
    known = {e["type"]: e["message_template_python"] for e in list_all_errors()}
    assert known.keys() >= OF_PYDANTIC
    messages = [known[kind].replace("item{expected_plural}", "items") for kind in OF_PYDANTIC]
    said = [re.sub(r"\{\w+\}", "x1", m.replace("{expected_plural}", "s")) for m in messages]
    said += [warning for profile in profiles().values() for warning in profile.warnings]
    assert [text for text in said if not HANGUL.search(translated(text))] == []
