"""Findings of validation stand at a line of what was sent."""

from __future__ import annotations

from ecpmon.orchestrator.validation.kubectl_yaml import Limits, read_stream
from ecpmon.orchestrator.validation.places import Lines

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
    return Lines(read_stream(text, Limits())).of(number, path)


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
    assert line(0, "", "\x00") is None
    assert line(0, "kind", "kind: .nan") == 1


def test_merged_doubled_and_odd_keys_stand_where_they_were_written() -> None:
    text = "a: &a\n  x: 1\nb:\n  <<: *a\n  yy: 2\n  1: 3\nc:\n- *a\n- {z: 1}\nd: 1\ne: 2\nd: {f: 3}\n"
    assert [line(0, path, text) for path in ("b.x", "b.yy", "b.1", "c.0.x", "c.1.z", "d", "d.f", "e")] == [
        3, 5, 6, 2, 9, 12, 12, 11,
    ]  # fmt: skip


def test_what_is_about_an_item_of_a_list_is_not_looked_for_in_the_list() -> None:
    text = "kind: List\nitems:\n- {kind: A, metadata: {name: a}}\nmetadata: {name: b}\n"
    assert [line(0, path, text) for path in ("metadata.name", "items.0.metadata", "spec")] == [1, 3, 1]
