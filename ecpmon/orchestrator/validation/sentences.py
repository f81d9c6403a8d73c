"""What is said of a finding, by its code: in English and in Korean, with the same places to fill.

Categories: `syntax` (YAML), `api` (what an API server refuses), `relation` (what only shows when the objects are
seen together), `capacity` (quota and cluster), `advice`, and `policy` (what a tenant may do, the Pod Security
Standards among it: rules of ours, which a bare API server does not have).
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Sentence(NamedTuple):
    category: str
    en: str
    ko: str


def _category(name: str, sentences: dict[str, tuple[str, str]]) -> dict[str, Sentence]:
    return {code: Sentence(name, en, ko) for code, (en, ko) in sentences.items()}


_SYNTAX: Final = _category("syntax", {
    "TOO_LARGE": (
        "more than {limit} characters; send it in parts", "{limit}자를 넘습니다. 나누어 보내세요"),
    "TOO_DEEP": ("nested more than {limit} levels", "{limit}단계보다 깊이 중첩되어 있습니다"),
    "TOO_MANY_ALIASES": (
        "more than {limit} aliases; write the values out", "별칭(alias)이 {limit}개를 넘습니다. 값을 풀어서 쓰세요"),
    "TOO_MANY_DOCUMENTS": (
        "more than {limit} documents; send them in parts", "문서가 {limit}개를 넘습니다. 나누어 보내세요"),
    "TOO_MANY_OBJECTS": (
        "more than {limit} objects; send them in parts", "오브젝트가 {limit}개를 넘습니다. 나누어 보내세요"),
    "TOO_MANY_VALUES": (
        "more than {limit} values, aliases included; send it in parts",
        "값이 별칭을 포함하여 {limit}개를 넘습니다. 나누어 보내세요"),
    "TOO_MANY_COLLECTIONS": (
        "more than {limit} lists and mappings, aliases included; send it in parts",
        "목록과 매핑이 별칭을 포함하여 {limit}개를 넘습니다. 나누어 보내세요"),
    "YAML_MALFORMED": ("not YAML: {problem}", "YAML이 아닙니다: {problem}"),
    "DUPLICATE_KEY": (
        "the key {key!r} occurs twice; the last one would win without a word",
        "키 {key!r}이(가) 두 번 나옵니다. 아무 말 없이 마지막 값만 적용됩니다"),
    "NOT_A_MAPPING": (
        "expected a mapping (an object), found {found}", "매핑(오브젝트)이어야 하는데 {found}입니다"),
    "EMPTY": ("there is no object in it", "오브젝트가 하나도 없습니다"),
})  # fmt: skip

_API: Final = _category("api", {
    "SCHEMA": ("{detail}", "스키마에 맞지 않습니다: {detail}"),
    "UNKNOWN_FIELD": ("{detail}", "알 수 없는 필드입니다: {detail}"),
    "REQUIRED": ("{detail}", "필수 값이 없습니다: {detail}"),
    "INVALID": ("{detail}", "값이 올바르지 않습니다: {detail}"),
    "NOT_SUPPORTED": ("{detail}", "지원하지 않는 값입니다: {detail}"),
    "DUPLICATE_VALUE": ("{detail}", "값이 중복됩니다: {detail}"),
    "NOT_ALLOWED": ("{detail}", "허용되지 않습니다: {detail}"),
    "TOO_LONG": ("{detail}", "너무 길거나 많습니다: {detail}"),
    "NOT_FOUND": ("{detail}", "가리키는 것이 없습니다: {detail}"),
    "NO_TYPE": (
        "every object needs a {field}, as text", "모든 오브젝트에는 텍스트로 된 {field}이(가) 있어야 합니다"),
    "UNKNOWN_KIND": (
        "Kubernetes {version} has no {kind!r} in {api!r}; check both spellings",
        "쿠버네티스 {version}에는 {api!r}의 {kind!r}이(가) 없습니다. 철자를 확인하세요"),
    "KIND_NOT_SERVED": (
        "the cluster does not know this kind: the object would be left out",
        "클러스터가 모르는 종류여서 이 오브젝트는 제외됩니다"),
    "MISSPELT_KIND": (
        "there is no {kind!r} in {api!r}; {meant!r} is meant?",
        "{api!r}에는 {kind!r}이(가) 없습니다. {meant!r}인가요?"),
    "UNCHECKED_KIND": (
        "{kind!r} of {api!r} belongs to an operator: it works where that is installed, and was not looked into",
        "{api!r}의 {kind!r}은(는) 오퍼레이터의 종류입니다. 설치된 곳에서만 동작하며 내용은 검사하지 않았습니다"),
    "INVALID_NAME": (
        "a name is of lower-case letters, digits and -, begins and ends with a letter or digit",
        "이름은 영문 소문자, 숫자, -로 이루어지고 문자나 숫자로 시작하고 끝나야 합니다"),
    "INVALID_QUANTITY": ("{detail}", "수량이 올바르지 않습니다: {detail}"),
    "REQUEST_OVER_LIMIT": (
        "{request} is more than the limit {limit} that the LimitRange gives it",
        "요청 {request}이(가) LimitRange가 주는 제한 {limit}보다 큽니다"),
    "SELECTOR_MISMATCH": (
        "does not match the labels of its own pods; the API server refuses it",
        "자신의 파드 레이블과 맞지 않아 API 서버가 거부합니다"),
})  # fmt: skip

_RELATION: Final = _category("relation", {
    "DUPLICATE": (
        "the same object stands in document {first}; the later one would win without a word",
        "같은 오브젝트가 문서 {first}에도 있습니다. 아무 말 없이 나중 것만 적용됩니다"),
    "SERVICE_WITHOUT_WORKLOAD": (
        "no workload of this manifest has these labels: the Service would have no endpoint",
        "이 매니페스트에 이 레이블을 가진 워크로드가 없어 서비스에 엔드포인트가 없습니다"),
    "SELECTOR_MATCHES_NOTHING": (
        "no workload of this manifest has these labels", "이 매니페스트에 이 레이블을 가진 워크로드가 없습니다"),
    "TARGET_PORT": (
        "no container behind this Service has a port {port!r}", "이 서비스 뒤의 컨테이너에 {port!r} 포트가 없습니다"),
    "PROBE_PORT": ("the container has no port named {port!r}", "컨테이너에 이름이 {port!r}인 포트가 없습니다"),
    "MISSING_TARGET": (
        "{kind} {name!r} is not in this manifest", "{kind} {name!r}이(가) 이 매니페스트에 없습니다"),
    "MISSING_PORT": ("Service {name!r} has no port {port!r}", "서비스 {name!r}에 {port!r} 포트가 없습니다"),
    "NOBODYS_ACCOUNT": (
        "the account {name!r} is of no namespace: nobody is given these rights",
        "계정 {name!r}에 네임스페이스가 없어 아무에게도 권한이 주어지지 않습니다"),
    "MONITORS_NOTHING": (
        "no Service of this manifest has these labels", "이 매니페스트에 이 레이블을 가진 서비스가 없습니다"),
    "SPREADS_OTHERS": (
        "does not match the labels of the pods themselves: they are not spread",
        "파드 자신의 레이블과 맞지 않아 분산되지 않습니다"),
    "NOTHING_TO_SHARE": (
        "a container of {target} has no {resource} request, of which this would be a share: it never scales",
        "{target}의 컨테이너에 비율의 기준인 {resource} 요청이 없어 조절되지 않습니다"),
    "TWO_AUTOSCALERS": (
        "{other} scales {target} already: two autoscalers work against each other",
        "{other}이(가) 이미 {target}을(를) 조절합니다. 두 오토스케일러가 서로 충돌합니다"),
    "BUDGET_BLOCKS": (
        "never lets a pod be evicted ({pods} asked for): nodes cannot be drained",
        "파드({pods}개 요청)를 하나도 축출할 수 없어 노드를 비울 수 없습니다"),
})  # fmt: skip

_CAPACITY: Final = _category("capacity", {
    "QUOTA_EXCEEDED": (
        "the objects add up to {asked}, more than {hard}: some would not start",
        "합계 {asked}이(가) 할당량 {hard}을(를) 넘어 일부가 시작되지 않습니다"),
    "GPU_CAPACITY": (
        "{asked} of the cluster's {gpus} GPUs: more than 80 %",
        "GPU 리소스가 클러스터 용량의 80%를 초과합니다 (클러스터 {gpus}개 중 {asked}개)"),
    "GPU_BEYOND_CLUSTER": (
        "{asked} GPUs are asked for, the cluster has {gpus}: some pods would never start",
        "GPU 리소스가 클러스터 용량을 초과합니다 (클러스터 {gpus}개, 요청 {asked}개)"),
    "UNSTATED_RESOURCES": (
        "no {what}: the ResourceQuota {quota!r} of this manifest refuses such a pod",
        "{what}이(가) 없어 이 매니페스트의 ResourceQuota {quota!r}이(가) 파드를 거부합니다"),
})  # fmt: skip

_ADVICE: Final = _category("advice", {
    "MISSING_RESOURCES": (
        "no {what}: what the LimitRange of the namespace chooses would hold, if there is one",
        "{what}이(가) 없습니다. 네임스페이스에 LimitRange가 있으면 그 기본값이 적용됩니다"),
    "MILLI_MEMORY": (
        "{value} is a fraction of a byte or little more: Mi is meant?",
        "{value}은(는) 1바이트의 일부이거나 몇 바이트입니다. Mi를 쓰려고 했나요?"),
    "DUPLICATE_ENV": (
        "the variable {name!r} is set twice; the last one wins",
        "변수 {name!r}이(가) 두 번 설정되어 마지막 값만 적용됩니다"),
    "MISSING_PROBE": ("without a {probe} a hung pod is not noticed", "{probe}가 없으면 멈춘 파드를 알아챌 수 없습니다"),
    "SHORT_LIVENESS": (
        "{seconds} s is shorter than the {least} s that are advised: a busy pod would be restarted",
        "Liveness probe 설정이 권장값보다 짧습니다 ({seconds}초, 권장 {least}초 이상)"),
    "IMAGE_NAME": (
        "{image!r} is no name of an image: the pod would never start",
        "{image!r}은(는) 이미지 이름이 아니어서 파드가 시작되지 않습니다"),
    "LATEST_TAG": (
        "the tag `latest` moves, so a rollback may start something else; pin a version",
        "`latest` 태그는 바뀌므로 롤백하면 다른 것이 시작될 수 있습니다. 버전을 고정하세요"),
})  # fmt: skip

_POLICY: Final = _category("policy", {
    "WRONG_NAMESPACE": (
        "expected the tenant's namespace {expected!r}, found {found!r}",
        "테넌트의 네임스페이스 {expected!r}이어야 하는데 {found!r}입니다"),
    "CLUSTER_SCOPED": (
        "a tenant's manifest may not change the whole cluster",
        "테넌트의 매니페스트는 클러스터 전체를 바꿀 수 없습니다"),
    "MISSING_TENANT_LABEL": (
        "without ecp.ai/tenant: {tenant} the object is not found when the tenant is pruned",
        "ecp.ai/tenant: {tenant} 레이블이 없으면 테넌트를 정리할 때 이 오브젝트를 찾을 수 없습니다"),
    "WRONG_TENANT_LABEL": ("belongs to {found!r}, expected {tenant!r}", "{tenant!r}이어야 하는데 {found!r}의 것입니다"),
    "TOO_MANY_CONTAINERS": (
        "more than {limit} containers in one pod; they were not looked at",
        "파드 하나에 컨테이너가 {limit}개를 넘어 검사하지 않았습니다"),
    "HOST_ACCESS": (
        "a tenant's pod may not share the node's ({value})",
        "테넌트의 파드는 노드의 네임스페이스를 함께 쓸 수 없습니다 ({value})"),
    "PRIVILEGED": (
        "a privileged container owns its node; remove it or set it to false",
        "특권(privileged) 컨테이너는 노드 전체를 가집니다. 지우거나 false로 하세요"),
    "HOST_PATH": (
        "a volume of the node's own files leads out of the container",
        "노드의 파일을 볼륨으로 쓰면 컨테이너 밖으로 나갈 수 있습니다"),
    "HOST_PORT": ("a port of the node ({value}); use a Service", "노드의 포트({value})입니다. 서비스를 쓰세요"),
    "HOST_PROCESS": (
        "a host process of Windows owns its node", "Windows 호스트 프로세스는 노드 전체를 가집니다"),
    "HOST_PROBE": (
        "the kubelet would ask {value!r} instead of the pod", "kubelet이 파드가 아니라 {value!r}에 요청하게 됩니다"),
    "CAPABILITY": (
        "the capability {value!r} may not be added", "{value!r} 권한(capability)은 추가할 수 없습니다"),
    "PROC_MOUNT": ("{value!r} shows the kernel's own /proc", "{value!r}은(는) 커널의 /proc을 그대로 보여 줍니다"),
    "SECCOMP": ("{value} lets every system call through", "{value}은(는) 모든 시스템 호출을 허용합니다"),
    "APPARMOR": ("{value!r} switches AppArmor off", "{value!r}은(는) AppArmor를 끕니다"),
    "SELINUX": ("SELinux {value!r} is not a container's", "SELinux {value!r}은(는) 컨테이너의 것이 아닙니다"),
    "SYSCTL": ("the sysctl {value!r} is not a safe one", "sysctl {value!r}은(는) 안전하지 않습니다"),
    "RUN_AS_ROOT": ("runs as root (user {value})", "root(사용자 {value})로 실행됩니다"),
    "MAY_BE_ROOT": (
        "runAsNonRoot is not true, for the pod or the container: it may run as root",
        "파드나 컨테이너의 runAsNonRoot가 true가 아니어서 root로 실행될 수 있습니다"),
    "PRIVILEGE_ESCALATION": (
        "set it to false, so that a process cannot gain more rights than it began with",
        "프로세스가 처음보다 많은 권한을 얻지 못하도록 false로 하세요"),
    "CAPABILITIES_KEPT": ("drop ALL capabilities", "모든(ALL) 권한(capability)을 버리세요"),
    "NO_SECCOMP": (
        "set the type RuntimeDefault or Localhost, for the pod or the container",
        "파드나 컨테이너에 RuntimeDefault나 Localhost를 지정하세요"),
    "VOLUME_TYPE": ("a volume of type {value!r}", "{value!r} 종류의 볼륨입니다"),
    "NODE_NAME": (
        "the scheduler is passed by, and with it taints and room",
        "스케줄러를 거치지 않으므로 테인트와 여유 자원이 무시됩니다"),
    "POWERFUL_BINDING": (
        "{role!r} may do more than a tenant should", "{role!r}은(는) 테넌트에게 허용된 것보다 권한이 많습니다"),
    "WIDE_SUBJECT": (
        "{subject!r} is far more than this tenant",
        "{subject!r}은(는) 이 테넌트보다 훨씬 넓은 대상입니다"),
    "POWERFUL_ROLE": (
        "{what} gives more than a tenant should have", "{what}은(는) 테넌트에게 허용된 것보다 권한이 많습니다"),
})  # fmt: skip

SENTENCES: Final[dict[str, Sentence]] = {**_SYNTAX, **_API, **_RELATION, **_CAPACITY, **_ADVICE, **_POLICY}
