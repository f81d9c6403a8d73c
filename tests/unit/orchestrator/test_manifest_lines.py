"""Findings of validation stand at a line of what was sent."""

from __future__ import annotations

from ecpmon.orchestrator.validation.places import lines_of

TEXT = """\
apiVersion: v1
kind: Service
metadata:
  name: a
  labels:
    app.kubernetes.io/name: a
spec:
  ports:
  - port: 80
    name: http
  - {port: 81, name: other}
---
kind: List
items: [1, 2]
"""


def line(number: int, path: str, text: str = TEXT) -> int | None:
    return lines_of(text, [(number, path)]).get((number, path))


def test_a_field_stands_at_its_key_and_an_item_where_it_begins() -> None:
    assert line(0, "kind") == 2
    assert line(0, "metadata.labels.app.kubernetes.io/name") == 6
    assert line(0, "spec.ports.0.port") == 9
    assert line(0, "spec.ports.0.name") == 10
    assert line(0, "spec.ports.1.name") == 11


def test_what_is_missing_stands_where_what_holds_it_does() -> None:
    assert line(0, "spec.ports.0.targetPort") == 9
    assert line(0, "spec.selector.app") == 7
    assert line(0, "nothing.at.all") == 1
    assert line(1, "items.1.kind") == 14
    assert line(1, "") == 12
    assert line(7, "kind") is None


def test_of_what_is_no_yaml_the_line_at_which_it_breaks_is_told() -> None:
    broken = TEXT + "---\na: [1\nb: 2\n"
    assert line(0, "kind", broken) == 2
    assert line(2, "", broken) in (15, 16, 17)
    assert line(0, "", "a: b: c\n") == 1
    assert lines_of("\x00", [(0, "")]) == {}
