"""Error messages in Korean, by code, for callers whose Accept-Language prefers it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

KOREAN: Final[dict[str, str]] = {
    "INTERNAL_ERROR": "서버 내부 오류가 발생했습니다",
    "DATABASE_ERROR": "데이터베이스를 사용할 수 없습니다. 잠시 후 다시 시도하세요",
    "MONITORING_UNAVAILABLE": "모니터링 시스템을 사용할 수 없습니다",
    "SIMULATOR_UNAVAILABLE": "시뮬레이터를 사용할 수 없습니다",
    "OVERLOADED": "서버가 과부하 상태입니다. 잠시 후 다시 시도하세요",
    "VALIDATION_FAILED": "요청 값이 올바르지 않습니다",
    "BAD_REQUEST": "잘못된 요청입니다",
    "INVALID_DEMO_MODE": "X-Demo-Mode 헤더는 true 또는 false여야 합니다",
    "INVALID_PRESET": "알 수 없는 프리셋입니다",
    "TENANT_NOT_FOUND": "테넌트 '{tenant_id}'을(를) 찾을 수 없습니다",
    "NOT_FOUND": "요청한 리소스를 찾을 수 없습니다",
    "METHOD_NOT_ALLOWED": "허용되지 않는 메서드입니다",
    "TENANT_ALREADY_EXISTS": "동일한 ID의 테넌트가 이미 존재합니다",
    "CONFLICT": "현재 상태와 충돌하는 요청입니다",
    "UNAUTHORIZED": "인증이 필요합니다",
    "FORBIDDEN": "이 작업을 수행할 권한이 없습니다",
    "PAYLOAD_TOO_LARGE": "요청 본문이 너무 큽니다",
    "UNSUPPORTED_MEDIA_TYPE": "Content-Type은 application/json이어야 합니다",
    "RATE_LIMITED": "요청 한도를 초과했습니다. 잠시 후 다시 시도하세요",
    "INSUFFICIENT_RESOURCES": "리소스가 부족합니다",
    "DEPLOYMENT_FAILED": "배포에 실패했습니다",
}


def prefers_korean(accept_language: str | None) -> bool:
    """Whether Korean has the highest weight of an Accept-Language header (the first of equals wins)."""
    best, best_weight = "", 0.0
    for part in (accept_language or "")[:500].split(","):
        tag, _, parameter = part.strip().partition(";")
        weight = _weight(parameter)
        if tag and weight > best_weight:
            best, best_weight = tag.strip().lower(), weight
    return best == "ko" or best.startswith("ko-")


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(1.0, float(value))
    except ValueError:
        return 0.0


def in_korean(code: str, details: Mapping[str, Any]) -> str | None:
    """The Korean sentence of a code, None when there is none."""
    template = KOREAN.get(code)
    return template.format_map(defaultdict(str, details)) if template else None
