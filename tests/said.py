"""Every text in the code that a caller may be told, as a template: `{}` where something is filled in.

Found are the messages of bad fields and the first arguments of errors that are raised. A message that a function is
given is looked for where the function is called; one that has a name, where that is set.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ECPMON = Path(__file__).parents[1] / "ecpmon"
Function = ast.FunctionDef | ast.AsyncFunctionDef
# A node, the function and the module it is in, and the path of that.
_Place = tuple[ast.AST, Function | None, ast.Module, Path]
# What a message that is a part of another is called.
_PARTS = ("message", "problem", "why")
# Raised for whoever programs or starts the service, or between parts of it; nobody is answered with them.
_OWN = {
    "RuntimeError", "AssertionError", "AttributeError", "TypeError", "KeyError", "LocalStackError", "OSError",
    "FileNotFoundError", "ClickException", "UsageError", "BadParameter",
}  # fmt: skip
# Where no request of the API is answered: commands, clients, the start of a process with its settings and files,
# what is written into logs, and what workers find out, which is stored as it was said.
_APART = (
    "cli", "local", "client", "simulator/kube", "simulator/model/kube", "simulator/model/workloads",
    "simulator/model/admission.py", "simulator/model/step.py", "simulator/model/times.py", "simulator/openapi.py",
    "simulator/journal.py", "simulator/journal_file.py", "simulator/snapshot.py", "simulator/__main__.py",
    "kube", "openapi", "settings", "app", "watchdog.py",
    "resources.py", "pages.py", "serving.py", "alerts/counted.py", "alerts/policy.py",
    "alerts/promcounted.py", "alerts/promindicators.py", "alerts/promql.py", "alerts/promrules.py",
    "alerts/screen.py", "alerts/signing.py",
    "collectors/natives.py", "collectors/promclient.py", "collectors/prometheus.py",
    "collectors/profiles.py", "collectors/promql.py", "collectors/questions.py", "collectors/rules.py",
    "collectors/simulator.py", "identity/issuer.py", "identity/keys.py", "orchestrator/alertmanager.py",
    "orchestrator/catalogue.py", "orchestrator/deployers/git.py",
    "orchestrator/rightsizing.py", "sla/burn.py", "statements/look.py",
    "statements/pages.py", "statements/shapes.py", "statements/terms.py", "storage/bus.py",
    "storage/contracts.py", "storage/faults.py", "storage/migrations.py", "storage/monitoring.py",
    "storage/queries.py", "storage/roles.py",
    # What is found in a manifest is an object with a code; its sentences are put into Korean elsewhere, if at all.
    "orchestrator/validation",
)  # fmt: skip


# What deployments log: the function, and which of its arguments is told.
_LOGGED = frozenset({("_say", 2), ("_end", 2), ("tell", 1), ("progress", 1), ("Outcome", 2)})


@dataclass
class Found:
    """`places`: where each template stands. `helpers`: functions that are given a message, and the place of it among
    their arguments."""

    places: dict[str, str] = field(default_factory=dict)
    helpers: set[tuple[str, int]] = field(default_factory=set)


@cache
def _trees() -> dict[Path, ast.Module]:
    paths = sorted(ECPMON.rglob("*.py"))
    apart = tuple(ECPMON / each for each in _APART)
    trees = {p: ast.parse(p.read_text("utf-8")) for p in paths if not any(p.is_relative_to(a) for a in apart)}
    for cls in (node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        for method in cls.body:
            if isinstance(method, Function) and method.name == "__init__":
                method.name = cls.name  # by which it is called
    return trees


@cache
def templates() -> dict[str, str]:
    """Template -> where it stands."""
    found, nodes, calls = Found(), list[_Place](), dict[str, list[_Place]]()
    for path, tree in _trees().items():
        for node, function in _walk(tree, None):
            nodes.append((node, function, tree, path.relative_to(ECPMON)))
            if isinstance(node, ast.Call):
                calls.setdefault(_name(node), []).append(nodes[-1])
    for place in nodes:
        for message in _messages(place[0]):
            _note(message, place, found)
    done = set[tuple[str, int]]()
    found.helpers |= _LOGGED
    while found.helpers - done:  # a helper may be called by another, whose callers are known only then
        name, number = (found.helpers - done).pop()
        done.add((name, number))
        for place in calls.get(name, []):
            if isinstance(place[0], ast.Call) and 0 <= number < len(place[0].args):
                _note(place[0].args[number], place, found)
    return found.places


def _walk(node: ast.AST, function: Function | None) -> Iterator[tuple[ast.AST, Function | None]]:
    for child in ast.iter_child_nodes(node):
        inner = child if isinstance(child, Function) else function
        if isinstance(child, ast.Dict | ast.Raise | ast.Call):
            yield child, inner
        yield from _walk(child, inner)


def _messages(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Dict):
        keys = {
            k.value: v for k, v in zip(node.keys, node.values, strict=True) if isinstance(k, ast.Constant)
        }
        if {"field", "message"} <= keys.keys():
            yield keys["message"]
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and _name(node.exc) not in _OWN:
        yield from node.exc.args[:1]


def _name(call: ast.Call) -> str:
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


def _note(message: ast.expr, place: _Place, found: Found) -> None:
    _, function, tree, path = place
    if function is not None and isinstance(message, ast.JoinedStr):
        filled = [p.value for p in ast.walk(message) if isinstance(p, ast.FormattedValue)]
        parts = [v.id for v in filled if isinstance(v, ast.Name) and v.id in _PARTS]
        found.helpers |= {argument for name in parts if (argument := _argument(function, name))}
    for text in _texts(message):
        if isinstance(text, str):
            if any(c.isalpha() for c in text.replace("{}", "")):
                found.places.setdefault(text, f"{path}:{message.lineno}")
            continue
        if function is not None and (argument := _argument(function, text.id)) is not None:
            found.helpers.add(argument)
        for value in _set_to(text.id, function, tree):
            _note(value, (value, function if isinstance(value, ast.JoinedStr) else None, tree, path), found)


def _argument(function: Function, name: str) -> tuple[str, int] | None:
    names = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    if name not in names:
        return None
    return function.name, names.index(name) - (names[0] in ("self", "cls"))


def _set_to(name: str, function: Function | None, tree: ast.Module) -> Iterator[ast.expr]:
    scope = [*ast.walk(function)] if function is not None else tree.body
    for node in [*scope, *tree.body]:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        sets = isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr)
        if sets and any(isinstance(t, ast.Name) and t.id == name for t in targets) and node.value is not None:
            yield node.value


def _texts(message: ast.expr) -> list[str | ast.Name]:
    match message:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            return ["".join(p.value if isinstance(p, ast.Constant) else "{}" for p in parts)]
        case ast.IfExp(body=one, orelse=other):
            return [*_texts(one), *_texts(other)]
        case ast.BoolOp(values=values):
            return [text for value in values for text in _texts(value)]
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            ends = [e if isinstance(e, str) else "{}" for e in _texts(right)]
            return [(b if isinstance(b, str) else "{}") + e for b in _texts(left) for e in ends]
        case ast.Name():
            return [message]
    return ["{}"]
