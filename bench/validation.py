"""How many mistakes in manifests are found at the right place, and whether valid ones are let through.

    python -m bench.validation             the corpus in tests/corpus/manifests
    python -m bench.validation --show      with each that was missed
    python -m bench.validation --times     and how long it takes (CPU time of this process)

The corpus: `valid/` and `good/` hold files that a real API server takes, `mistakes.yaml` changes them in one place
each, `broken/` holds whole files with `# expect: CODE path` in the first line. Findings of the category `policy` are
rules of ours: they neither count as found mistakes nor as refusals. A place is right when the path that is told is
the expected one or lies within it. See bench/README.md for the figures.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ecpmon.orchestrator.validation import Report, validate_manifest
from ecpmon.orchestrator.validation.kubectl_yaml import Limits, read_stream

CORPUS = Path(__file__).parents[1] / "tests" / "corpus" / "manifests"
TENANT = "acme"


@dataclass(frozen=True, slots=True)
class Mistake:
    """A manifest that is wrong in one place: any of `paths`, of the object `to` ("" where it has no name)."""

    name: str
    text: str
    to: str
    paths: tuple[str, ...]
    warn: bool


def valid_files() -> dict[str, str]:
    folders = (CORPUS / "valid", CORPUS / "good")
    return {
        f.stem: f.read_text(encoding="utf-8") for folder in folders for f in sorted(folder.glob("*.yaml"))
    }


def mistakes() -> Iterator[Mistake]:
    yield from _changed()
    yield from _whole()


def _changed() -> Iterator[Mistake]:
    files = valid_files()
    for entry in yaml.safe_load((CORPUS / "mistakes.yaml").read_text(encoding="utf-8")):
        documents = copy.deepcopy(read_stream(files[entry["in"]], Limits()).documents)
        body = next(d for d in documents if d and _named(d) == entry["to"])
        change(body, entry["at"].split("."), entry)
        told = entry.get("path", entry["at"])
        what = "without" if entry.get("drop") else json.dumps(entry["put"], ensure_ascii=False)
        yield Mistake(
            f"{entry['in']} {entry['at']} {what}",
            "---\n".join(json.dumps(d, ensure_ascii=False) + "\n" for d in documents if d),
            _named(body),
            tuple([told] if isinstance(told, str) else told),
            bool(entry.get("warn")),
        )


def _named(body: dict[str, Any]) -> str:
    return f"{body.get('kind', '')}/{body.get('metadata', {}).get('name', '')}"


def change(node: Any, steps: list[str], entry: dict[str, Any]) -> None:
    """Put or drop at a place. Keys may hold dots themselves: the longest that is there is taken."""
    for length in range(len(steps) - 1, 0, -1):
        key = ".".join(steps[:length])
        if isinstance(node, dict) and key in node:
            return change(node[key], steps[length:], entry)
    if isinstance(node, list) and len(steps) > 1:
        return change(node[int(steps[0])], steps[1:], entry)
    key = ".".join(steps)
    place: Any = int(key) if isinstance(node, list) else key
    if entry.get("drop"):
        del node[place]
    else:
        node[place] = entry["put"]
    return None


def _whole() -> Iterator[Mistake]:
    for file in sorted((CORPUS / "broken").glob("*.yaml")):
        text = file.read_text(encoding="utf-8")
        code, _, path = text.split("\n")[0].partition("expect: ")[2].partition(" ")
        report = validate_manifest(TENANT, text)
        found = [f for f in (*report.errors, *report.warnings) if f.code == code]
        if any(f.category == "policy" for f in found):
            continue
        yield Mistake(f"broken/{file.stem}", text, "", (path.strip(),), warn=True)


def is_told(mistake: Mistake, report: Report) -> bool:
    """Whether a finding that is no rule of ours names the object and the place."""
    found = report.errors + (report.warnings if mistake.warn else ())
    return any(
        f.category != "policy"
        and (not mistake.to or f.object == mistake.to)
        and any(f.path == path or f.path.startswith(f"{path}.") for path in mistake.paths)
        for f in found
    )


def refusals(report: Report) -> list[str]:
    return [f"{f.code} {f.object} {f.path}: {f.message}" for f in report.errors if f.category != "policy"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--times", action="store_true")
    arguments = parser.parse_args()
    every = list(mistakes())
    missed = [(m, report) for m in every if not is_told(m, report := validate_manifest(TENANT, m.text))]
    files = valid_files()
    refused = {
        name: found for name, text in files.items() if (found := refusals(validate_manifest(TENANT, text)))
    }
    print(f"mistakes told at the right place: {len(every) - len(missed)} of {len(every)}")
    print(f"valid files refused: {len(refused)} of {len(files)}")
    if arguments.show:
        for mistake, report in missed:
            said = [f"{f.code} {f.object} {f.path}" for f in report.errors if f.category != "policy"]
            print(f"missed: {mistake.name}\n  wanted {mistake.paths}, told {said}")
        for name, found in refused.items():
            print(f"refused: {name}: {found}")
    if arguments.times:
        print_times()


def print_times() -> None:
    """Of hostile megabytes and of a tenant's own manifest, the second time: the first one loads schemas."""
    for name, text in {"own manifest": own_manifest(), **hostile()}.items():
        spent = []
        for _ in range(3):
            begun = time.process_time()
            validate_manifest(TENANT, text)
            spent.append(1000 * (time.process_time() - begun))
        print(f"{name}: {min(spent):.1f} ms ({len(text)} characters)")


def own_manifest() -> str:
    return (CORPUS.parents[1] / "unit" / "orchestrator" / "golden" / "medium.yaml").read_text(
        encoding="utf-8"
    )


def hostile() -> dict[str, str]:
    """What costs a reader most, each a megabyte, or as much of it as is read: 45,000 values, 12,000 of them lists and
    mappings."""
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n"
    service = "kind: Service\napiVersion: v1\nmetadata: {name: a}\nspec: {selector: {a: b}}\n---\n"
    chain = "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 400))
    return {
        "scalars": "a:\n" + "- x\n" * 249_000,
        "numbers": "[" + ",".join(map(str, range(140_000))) + "]",
        "aliases": "a: &a [" + "1," * 100_000 + "1]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]",
        "chain of aliases": "a0: &a0 [1]\n" + chain,
        "base 60": "a: " + "1:" * 490_000 + "1",
        "digits": "a: 0x" + "f" * 990_000,
        "objects": "kind: List\nitems:\n" + "- {kind: Deployment}\n" * 45_000,
        "empty containers": pod + "    - {}\n" * 90_000,
        "fewer containers": pod + "    - {}\n" * 11_990,
        "containers": pod + "    - {name: a, image: b, env: [{name: a}]}\n" * 20_000,
        "pods": "kind: PodList\napiVersion: v1\nitems:\n"
        + "- {metadata: {name: a}, spec: {containers: [{}, {}, {}, {}, {}, {}, {}, {}, {}, {}]}}\n" * 850,
        "variables": pod + "  - name: a\n    image: b:1\n    env:\n" + "    - {name: a, value: b}\n" * 8_900,
        "volumes": pod + "  - {name: a, image: a:1}\n  volumes:\n" + "  - {name: a, emptyDir: {}}\n" * 5_990,
        "settings": "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\ndata:\n"
        + "".join(f"  key-{n}: value\n" for n in range(22_000)),
        "labels": "kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: a\n  labels:\n"
        + "".join(f"    key-{n}: value-{n}\n" for n in range(22_000)),
        "rules": "kind: Role\napiVersion: rbac.authorization.k8s.io/v1\nmetadata: {name: a}\nrules:\n"
        + "- {apiGroups: [''], resources: [a], verbs: [a]}\n" * 2_990,
        "routes": "kind: Ingress\napiVersion: networking.k8s.io/v1\nmetadata: {name: a}\nspec:\n  rules:\n"
        + "  - {http: {paths: [{path: /, pathType: Exact, backend: {service: {name: a, port: {number: 1}}}}]}}\n"
        * 1_710,
        "kinds": "".join(f"kind: Application{n}\napiVersion: argoproj.io/v1\n---\n" for n in range(490)),
        "services": service * 450 + "#" * 900_000,
        "directives": "%TAG !a! b\n" * 90_000 + "--- a",
        "deep": "[" * 990_000,
        "anchors": "".join(f"- &a{n} x\n" for n in range(11_990)) + "- x\n" * 33_000,
        "comments": "# a\n" * 249_000 + "a: b",
        "keys": "".join(f"a{n}: b\n" for n in range(100_000)),
        "same key": "a: b\n" * 190_000,
        "quoted": "- '" + "''" * 490_000 + "'",
        "empty maps": "a: [" + "{}," * 300_000 + "]",
        "exceptions": "kind: NetworkPolicy\napiVersion: networking.k8s.io/v1\nmetadata: {name: a}\nspec:\n"
        "  podSelector: {}\n  ingress:\n  - from:\n    - ipBlock:\n        cidr: 10.0.0.0/8\n        except:\n"
        + "".join(f"        - 10.{n >> 8 & 255}.{n & 255}.0/24\n" for n in range(40_000)),
        "networks": "kind: Service\napiVersion: v1\nmetadata: {name: a}\nspec:\n  type: LoadBalancer\n"
        "  ports: [{port: 80}]\n  loadBalancerSourceRanges:\n"
        + "".join(f"  - 2001:db8:{n:x}::/48\n" for n in range(43_000)),
        "endpoints": "kind: EndpointSlice\napiVersion: discovery.k8s.io/v1\nmetadata: {name: a}\naddressType: IPv4\n"
        "endpoints:\n" + "".join(f"- addresses: [10.0.{n >> 8 & 255}.{n & 255}]\n" for n in range(5_990)),
        "quantities": "kind: ResourceQuota\napiVersion: v1\nmetadata: {name: a}\nspec:\n  hard:\n"
        + "".join(f"    example.com/r{n}: {n}.5Gi\n" for n in range(22_000)),
        "owners": "kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: a\n  ownerReferences:\n"
        + "  - {controller: true}\n" * 11_990,
        "deployments": "kind: List\nitems:\n"
        + "".join(
            f"- {{kind: Deployment, apiVersion: apps/v1, metadata: {{name: a{n}}}, spec: {{selector: {{matchLabels: "
            "{a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: b}]}}}}\n"
            for n in range(999)
        ),
        # Each budget selects every Deployment, and so does each service.
        "budgets": "kind: List\nitems:\n"
        + "".join(
            f"- {{kind: Deployment, apiVersion: apps/v1, metadata: {{name: a{n}}}, spec: {{selector: {{matchLabels: "
            "{a: b}}, template: {metadata: {labels: {a: b, c: d}}, spec: {containers: [{name: a, image: b}]}}}}\n"
            for n in range(499)
        )
        + "".join(
            f"- {{kind: PodDisruptionBudget, apiVersion: policy/v1, metadata: {{name: a{n}}}, "
            "spec: {maxUnavailable: 1, selector: {matchLabels: {a: b}}}}\n"
            f"- {{kind: Service, apiVersion: v1, metadata: {{name: a{n}}}, "
            "spec: {selector: {c: d}, ports: [{port: 80}]}}\n"
            for n in range(249)
        ),
        "affinities": pod.replace("  containers:\n", "  containers: [{name: a, image: b}]\n")
        + "  affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [\n"
        + "    {weight: 1, preference: {matchExpressions: [{key: a, operator: In, values: [b]}]}},\n" * 2_390
        + "  ]}}\n",
        "jobs": "kind: List\nitems:\n"
        + "".join(
            f"- {{kind: Job, apiVersion: batch/v1, metadata: {{name: a{n}}}, spec: {{template: {{spec: "
            "{restartPolicy: Never, containers: [{name: a, image: b, env: [{name: A, value: b}]}]}}}}\n"
            for n in range(999)
        ),
    }


if __name__ == "__main__":
    main()
