"""The API server's words in Korean, as far as they are the usual ones; names, values and the rest stay as they are."""

from __future__ import annotations

import re
from typing import Final

_EDGES: Final = "영문 소문자나 숫자로 시작하고 끝나야 합니다"
_TABLE: Final = [
    (re.compile(pattern, re.DOTALL), said)
    for pattern, said in (
        (r"^(Invalid|Unsupported|Duplicate) value: ", ""),
        (r"^Required value(: )?", ""),
        (r"^(Forbidden|Not found|Too long|Too many): ", ""),
        (r"supported values: (.*)$", r"가능한 값은 \1입니다"),
        (r"json: cannot unmarshal (.+?) into Go struct field (\S+) of type (\S+)",
         r"\2에는 \3 형식이 필요한데 \1입니다"),
        (r"quantities must match the regular expression .*$", "수량은 250m, 2, 512Mi와 같은 형식이어야 합니다"),
        (r"must be between (\S+) and (\S+), inclusive", r"\1 이상 \2 이하여야 합니다"),
        (r"must be greater than or equal to aggregate container requests of (\S+)",
         r"컨테이너 요청의 합 \1 이상이어야 합니다"),
        (r"must be greater than or equal to (\S+)", r"\1 이상이어야 합니다"),
        (r"must be greater than (\S+)", r"\1보다 커야 합니다"),
        (r"must be less than or equal to (\S+) limit of (\S+)", r"\1 제한 \2 이하여야 합니다"),
        (r"must be less than or equal to (\S+)", r"\1 이하여야 합니다"),
        (r"must be equal to (\S+) limit of (\S+)", r"\1 제한 \2와 같아야 합니다"),
        (r"Limit must be set for non overcommitable resources", "이 리소스에는 같은 값의 제한이 있어야 합니다"),
        (r"must be no more than (\d+) (?:characters|bytes)", r"최대 \1자입니다"),
        (r"may not be more than (\d+) bytes", r"최대 \1바이트입니다"),
        (r"must have at most (\d+) items", r"최대 \1개입니다"),
        (r"must be a time such as 30s or 1h30m", "30s나 1h30m과 같은 시간이어야 합니다"),
        (r"must be an integer", "정수여야 합니다"),
        (r"must be a valid IP address", "IP 주소여야 합니다"),
        (r"must not contain dots", "점(.)을 쓸 수 없습니다"),
        (r"may not specify more than 1 (.+)$", r"\1은(는) 하나만 지정할 수 있습니다"),
        (r"`selector` does not match template `labels`", "selector가 템플릿의 labels와 맞지 않습니다"),
        (r"name or generateName is required", "name이나 generateName이 있어야 합니다"),
        (r"illegal base64 data.*$", "base64가 아닙니다"),
        (r"field is immutable", "변경할 수 없는 필드입니다"),
        (r"a lowercase RFC 1123 label must consist of.*$", f"영문 소문자, 숫자, '-'로 이루어지고 {_EDGES}"),
        (r"a lowercase RFC 1123 subdomain must consist of.*$", f"영문 소문자, 숫자, '-', '.'로 이루어지고 {_EDGES}"),
        (r"a valid label must be an empty string or consist of.*$",
         "비어 있거나 영문자, 숫자, '-', '_', '.'로 이루어지고 영문자나 숫자로 시작하고 끝나야 합니다"),
        (r"a DNS-1035 label must consist of.*$", "영문 소문자로 시작하고 영문 소문자, 숫자, '-'로 이루어져야 합니다"),
        (r"should be a domain with at least two segments separated by dots",
         "점(.)으로 나뉜 두 부분 이상의 도메인이어야 합니다"),
        (r"should be a domain with at least three segments separated by dots",
         "점(.)으로 나뉜 세 부분 이상의 도메인이어야 합니다"),
        (r"must be a valid CIDR value.*$", "10.9.8.0/24와 같은 CIDR이어야 합니다"),
        (r"if '\*' is present, must not specify other (.+)$", r"'*'가 있으면 다른 \1을(를) 지정할 수 없습니다"),
        (r"the timeout value must be between 1 and 30 seconds", "1초 이상 30초 이하여야 합니다"),
        (r"exactly one of url or service is required", "url과 service 가운데 하나만 있어야 합니다"),
        (r"must be positive and less than (\S+)", r"0보다 크고 \1 이하여야 합니다"),
        (r"cannot be set for a windows pod", "Windows 파드에는 쓸 수 없습니다"),
        (r"updates to (\S+) are forbidden\.", r"\1은(는) 변경할 수 없습니다"),
        (r"must not be empty$", "비어 있을 수 없습니다"),
        (r"name part must consist of.*$", "영문자, 숫자, '-', '_', '.'로 이루어져야 합니다"),
        (r"^unknown field (.*)$", r"\1"),
    )
]  # fmt: skip


def in_korean(detail: str) -> str:
    """Of an empty one nothing is left to say."""
    for pattern, said in _TABLE:
        detail = pattern.sub(said, detail)
    return detail
