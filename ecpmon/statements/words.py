"""What a statement says, in each language that a tenant may have. Every language has every word; a test sees to it."""

from __future__ import annotations

from typing import Final

from ecpmon.model.tenants import Language

_EN: Final = {
    "title": "SLA statement {period} – {name}",
    "issued_by": "Issued by {operator}",
    "so_far": "So far, as of {as_of}: the period is not over, and every figure may still change.",
    "preliminary": "Preliminary: the period is over and not closed yet; late data may still change the figures.",
    "closed": "Revision {revision}, closed {closed_at}.",
    "restates": "Restates the revision before it.",
    "met": "The SLA was met.",
    "breached": "The SLA was not met.",
    "undetermined": "Not determined: the answer depends on time that nobody measured.",
    "met_so_far": "So far the SLA is met.",
    "breached_so_far": "So far the SLA is not met.",
    "undetermined_so_far": "So far not determined: the answer depends on time that nobody measured.",
    "label_so_far": "{label} so far",
    "minutes": "{value} min",
    "of": "{part} of {whole}",
    "none": "None.",
    "more": "And {count} more: they are in the JSON of this statement.",
    "digest": "SHA-256 of the inputs",
    "page": "Page {number}",
    "availability": "Availability",
    "target": "Target",
    "bounds": "If every unmeasured minute was down / up",
    "coverage": "Measured",
    "eligible": "Eligible",
    "down": "Down",
    "gap": "Not measured",
    "maintenance": "Maintenance",
    "outside": "Outside service hours",
    "up": "Up",
    "budget_left": "Error budget left",
    "incident_count": "Incidents",
    "credit": "Credit",
    "credit_of_fee": "{percent} % of the monthly fee",
    "credit_range": "{credit}, by the measured time; {low} – {high} % by what the rest was",
    "contract": "Contract",
    "contract_terms": "{version}, maintenance {accounting}, {time_zone}",
    "contract_version": "version {version} since {since}, credits {credits}",
    "exclude": "exclude",
    "count_as_up": "count_as_up",
    "incidents": "Incidents",
    "exclusions": "Exclusions",
    "unmeasured": "Time nobody measured",
    "withdrawn": "Withdrawn exclusions",
    "per_day": "Per day",
    "plot": "Availability per day",
    "months": "Per month",
    "month": "Month",
    "start": "Start",
    "end": "End",
    "length": "Length",
    "approved_by": "Approved by",
    "category": "Category",
    "reason": "Reason",
    "blind": "Who was blind",
    "withdrawn_by": "Withdrawn by",
    "withdrawn_at": "Withdrawn",
    "day": "Day",
    "target_failed": "the target did not answer",
    "collector_down": "the monitor was not there",
    "not_pushed": "nothing was sent",
}

_KO: Final = {
    "title": "SLA 보고서 {period} – {name}",
    "issued_by": "발행: {operator}",
    "so_far": "현재까지({as_of} 기준): 기간이 끝나지 않아 모든 수치가 바뀔 수 있습니다.",
    "preliminary": "잠정: 기간은 끝났으나 아직 확정되지 않아, 늦게 도착한 데이터로 수치가 바뀔 수 있습니다.",
    "closed": "제{revision}판, {closed_at} 확정.",
    "restates": "이전 판을 정정합니다.",
    "met": "SLA를 충족했습니다.",
    "breached": "SLA를 충족하지 못했습니다.",
    "undetermined": "판정할 수 없음: 측정되지 않은 시간에 따라 결과가 달라집니다.",
    "met_so_far": "현재까지 SLA를 충족하고 있습니다.",
    "breached_so_far": "현재까지 SLA를 충족하지 못하고 있습니다.",
    "undetermined_so_far": "현재까지 판정할 수 없음: 측정되지 않은 시간에 따라 결과가 달라집니다.",
    "label_so_far": "현재까지 {label}",
    "minutes": "{value}분",
    "of": "{whole} 중 {part}",
    "none": "없음.",
    "more": "외 {count}건은 이 보고서의 JSON에 있습니다.",
    "digest": "입력 데이터의 SHA-256",
    "page": "{number}쪽",
    "availability": "가용률",
    "target": "목표",
    "bounds": "미측정 시간이 모두 장애 / 모두 정상이었을 때",
    "coverage": "측정 비율",
    "eligible": "대상 시간",
    "down": "장애 시간",
    "gap": "미측정 시간",
    "maintenance": "점검 시간",
    "outside": "서비스 시간 외",
    "up": "정상",
    "budget_left": "남은 오류 예산",
    "incident_count": "장애 건수",
    "credit": "요금 감면",
    "credit_of_fee": "월 요금의 {percent} %",
    "credit_range": "{credit}(측정된 시간 기준), 나머지 시간에 따라 {low} – {high} %",
    "contract": "계약",
    "contract_terms": "{version}, 점검 시간 {accounting}, {time_zone}",
    "contract_version": "버전 {version}({since}부터), 요금 감면 {credits}",
    "exclude": "제외",
    "count_as_up": "정상으로 간주",
    "incidents": "장애",
    "exclusions": "제외된 시간",
    "unmeasured": "측정되지 않은 시간",
    "withdrawn": "철회된 제외",
    "per_day": "일별",
    "plot": "일별 가용률",
    "months": "월별",
    "month": "월",
    "start": "시작",
    "end": "끝",
    "length": "길이",
    "approved_by": "승인자",
    "category": "구분",
    "reason": "사유",
    "blind": "측정되지 않은 까닭",
    "withdrawn_by": "철회자",
    "withdrawn_at": "철회 시각",
    "day": "날짜",
    "target_failed": "대상이 응답하지 않음",
    "collector_down": "모니터가 동작하지 않음",
    "not_pushed": "데이터가 오지 않음",
}

WORDS: Final = {Language.EN: _EN, Language.KO: _KO}


class Words:
    """The words of one language."""

    def __init__(self, language: Language) -> None:
        self._words = WORDS[language]

    def __call__(self, word: str, **values: object) -> str:
        """The text of `word` with its `values` in place. Raises KeyError."""
        return self._words[word].format(**values)

    def known(self, word: str) -> str:
        """The same; a word that is not among them stays as it is: it may be a later release's."""
        return self._words.get(word, word)
