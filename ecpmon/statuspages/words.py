"""What a status page says, in each language. Every language has every word; a test sees to it."""

from __future__ import annotations

from typing import Final

from ecpmon.model.tenants import Language

_EN: Final = {
    "title": "{name}: status",
    "now_up": "Everything is up.",
    "now_partly": "Some services are down.",
    "now_down": "Down.",
    "now_unknown": "Not known at the moment: nothing was measured lately.",
    "now_maintenance": "Planned maintenance is under way.",
    "up": "up",
    "partly": "partly down",
    "down": "down",
    "unknown": "unknown",
    "as_of": "As of {at}. Times are those of {zone}.",
    "services": "Services",
    "as_a_whole": "measured as a whole",
    "availability": "Availability of the last {days} days",
    "target": "target {target}",
    "bounds": "surely between {low} and {high}, whatever was not measured",
    "as_table": "As a table",
    "day": "Day",
    "available": "Available",
    "between": "Surely between",
    "down_time": "Down",
    "not_measured": "Not measured",
    "maintenance_time": "Maintenance",
    "legend": "One bar a day, the last is today:",
    "nothing": "nothing measured",
    "incidents": "Incidents",
    "no_incidents": "None in the last {days} days.",
    "more_incidents": "And {count} earlier ones in these days.",
    "start": "Start",
    "end": "End",
    "goes_on": "goes on",
    "maintenance": "Planned maintenance",
    "no_maintenance": "None is announced.",
    "what": "What",
    "under_way": "under way",
    "statements": "Statements",
    "no_statements": "None is closed yet.",
    "revision": "revision {revision}",
    "period": "Period",
    "closed": "Closed",
    "files": "Files",
    "language": "Language",
    "seconds": "{n} s",
    "minutes": "{n} min",
    "hours": "{n} h",
    "none_here": "There is no status page here",
    "none_why": "The address is wrong, or the link is over. Ask whoever gave it to you for another.",
}

_KO: Final = {
    "title": "{name}: 서비스 상태",
    "now_up": "모든 서비스가 정상입니다.",
    "now_partly": "일부 서비스에 장애가 있습니다.",
    "now_down": "장애 중입니다.",
    "now_unknown": "현재 상태를 알 수 없습니다: 최근에 측정된 값이 없습니다.",
    "now_maintenance": "예정된 점검이 진행 중입니다.",
    "up": "정상",
    "partly": "일부 장애",
    "down": "장애",
    "unknown": "알 수 없음",
    "as_of": "{at} 기준입니다. 시각은 {zone} 시간대입니다.",
    "services": "서비스",
    "as_a_whole": "전체로 측정",
    "availability": "최근 {days}일 가용률",
    "target": "목표 {target}",
    "bounds": "측정되지 않은 시간이 어떠했든 {low} 이상 {high} 이하",
    "as_table": "표로 보기",
    "day": "날짜",
    "available": "가용률",
    "between": "확실한 범위",
    "down_time": "장애",
    "not_measured": "미측정",
    "maintenance_time": "점검",
    "legend": "막대 하나가 하루이며, 마지막이 오늘입니다:",
    "nothing": "측정 없음",
    "incidents": "장애 이력",
    "no_incidents": "최근 {days}일 동안 없습니다.",
    "more_incidents": "이 기간에 이전 장애가 {count}건 더 있습니다.",
    "start": "시작",
    "end": "끝",
    "goes_on": "진행 중",
    "maintenance": "예정된 점검",
    "no_maintenance": "공지된 점검이 없습니다.",
    "what": "내용",
    "under_way": "진행 중",
    "statements": "SLA 보고서",
    "no_statements": "아직 확정된 보고서가 없습니다.",
    "revision": "제{revision}판",
    "period": "기간",
    "closed": "확정",
    "files": "파일",
    "language": "언어",
    "seconds": "{n}초",
    "minutes": "{n}분",
    "hours": "{n}시간",
    "none_here": "이 주소에는 상태 페이지가 없습니다",
    "none_why": "주소가 잘못되었거나 링크가 만료되었습니다. 링크를 준 담당자에게 새 링크를 요청하세요.",
}

WORDS: Final = {Language.EN: _EN, Language.KO: _KO}
NAMES: Final = {Language.KO: "한국어", Language.EN: "English"}


class Words:
    """The words of one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._words = WORDS[language]

    def __call__(self, word: str, **values: object) -> str:
        """The text of `word` with its `values` in place. Raises KeyError."""
        return self._words[word].format(**values)
