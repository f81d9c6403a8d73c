"""Korean sentences by error code, for callers whose `Accept-Language` prefers `ko`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ecpmon.korean.templates import translated

KOREAN: Final[dict[str, str]] = {
    "BAD_REQUEST": "요청을 이해할 수 없습니다.",
    "CONFLICT": "현재 상태와 충돌하는 요청입니다.",
    "DATABASE_ERROR": "데이터베이스에 연결할 수 없습니다. 잠시 후 다시 시도하세요.",
    "DATABASE_NOT_WRITABLE": "데이터베이스에 저장할 수 없어 이 요청은 저장되지 않았습니다. 잠시 후 다시 보내세요.",
    "DEPLOYMENT_FAILED": "배포에 실패했습니다.",
    "ERROR_BUDGET_EXHAUSTED": "오류 예산이 소진되어 배포할 수 없습니다.",
    "EXPECTATION_FAILED": "Expect 헤더의 요구를 충족할 수 없습니다.",
    "FORBIDDEN": "이 작업에 대한 권한이 없습니다.",
    "IDENTITY_PROVIDER_ERROR": "토큰 발급자가 응답하지 않아 토큰을 확인할 수 없습니다. 잠시 후 다시 시도하세요.",
    "INSUFFICIENT_RESOURCES": "클러스터 리소스가 부족합니다.",
    "INTERNAL_ERROR": "내부 오류가 발생했습니다.",
    "INVALID_DEMO_MODE": "X-Demo-Mode 헤더는 true 또는 false여야 합니다.",
    "INVALID_PRESET": "알 수 없는 프리셋입니다.",
    "KUBERNETES_ERROR": "쿠버네티스 API가 응답하지 않습니다. 잠시 후 다시 시도하세요.",
    "LIMIT_REACHED": "허용된 최대 개수에 도달했습니다.",
    "MANIFEST_INVALID": "매니페스트가 올바르지 않습니다.",
    "METHOD_NOT_ALLOWED": "허용되지 않는 메서드입니다.",
    "MONITORING_UNAVAILABLE": "모니터링 서비스를 사용할 수 없습니다. 잠시 후 다시 시도하세요.",
    "NOT_FOUND": "요청한 항목을 찾을 수 없습니다.",
    "NO_LONGER_LEADER": "이 프로세스는 더 이상 리더가 아니므로 기록이 거부되었습니다. 잠시 후 다시 시도하세요.",
    "OVERLOADED": "요청이 너무 많습니다. 잠시 후 다시 시도하세요.",
    "PAYLOAD_TOO_LARGE": "요청 본문이 너무 큽니다.",
    "REQUEST_TIMEOUT": "요청 본문이 제한 시간 안에 도착하지 않았습니다.",
    "UNSUPPORTED_MEDIA_TYPE": "지원하지 않는 본문 형식입니다.",
    "RATE_LIMITED": "요청 한도를 초과했습니다. 잠시 후 다시 시도하세요.",
    "SIMULATOR_UNAVAILABLE": "시뮬레이터가 응답하지 않습니다. 잠시 후 다시 시도하세요.",
    "TENANT_ALREADY_EXISTS": "같은 ID의 테넌트가 이미 존재합니다.",
    "TENANT_NOT_FOUND": "테넌트를 찾을 수 없습니다.",
    "TOO_MANY_SOCKETS": "열린 웹소켓이 너무 많습니다. 일부를 닫은 뒤 다시 시도하세요.",
    "UNAUTHORIZED": "인증이 필요합니다.",
    "VALIDATION_FAILED": "입력값이 올바르지 않습니다.",
}


# Their sentence says all there is: what it was about stands in `details`, or is the server's own affair.
_WHOLE: Final = frozenset({"INTERNAL_ERROR", "TENANT_NOT_FOUND", "UNAUTHORIZED", "INVALID_DEMO_MODE"})


def in_korean(code: str, message: str) -> str:
    """The sentence of the code, and behind it what the message says: which field, where, what next."""
    sentence = KOREAN.get(code)
    if sentence is None:
        return translated(message)
    return sentence if code in _WHOLE else f"{sentence} ({translated(message)})"


def details_in_korean(details: Mapping[str, Any]) -> dict[str, Any]:
    """The same with every field's message in Korean."""
    fields = details.get("fields")
    if not isinstance(fields, list):
        return dict(details)
    told = [{**f, "message": translated(f["message"])} if "message" in f else f for f in fields]
    return {**details, "fields": told}


def prefers_korean(accept_language: str) -> bool:
    """Whether Korean outranks English in an Accept-Language header."""
    weights = {"ko": 0.0, "en": 0.0}
    for part in accept_language.lower().split(","):
        tag, _, parameters = part.strip().partition(";")
        language = tag.split("-")[0]
        if language in weights:
            weights[language] = max(weights[language], _weight(parameters))
    return weights["ko"] > 0 and weights["ko"] >= weights["en"]


def said_to(headers: Mapping[str, str], text: str) -> str:
    """A sentence of an answer, in the language of whoever sent these headers."""
    return translated(text) if prefers_korean(headers.get("Accept-Language", "")) else text


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
