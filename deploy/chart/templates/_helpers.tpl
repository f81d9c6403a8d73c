{{- define "ecpmon.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end -}}
{{- end -}}

{{- define "ecpmon.account" -}}
{{ .Values.serviceAccount.name | default (include "ecpmon.name" .) }}
{{- end -}}

{{- define "ecpmon.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- /* What selects is never changed: a selector cannot be. */ -}}
{{- define "ecpmon.selector" -}}
app.kubernetes.io/name: ecpmon
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "ecpmon.labels" -}}
{{ include "ecpmon.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "ecpmon.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "ecpmon.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- /* Variables of every process: what the chart decides, then what the values say. */ -}}
{{- define "ecpmon.environment" -}}
- {name: ECPMON_SECRETS_DIR, value: /etc/ecpmon/secrets}
- {name: ECPMON_HOST, value: "0.0.0.0"}
- {name: ECPMON_PORT, value: "8001"}
- {name: ECPMON_LOG_FORMAT, value: json}
{{- if not .Values.monitoring.token.secret }}
- {name: ECPMON_METRICS_AUTH, value: open}
{{- end }}
{{- if .Values.deployer.enabled }}
- {name: ECPMON_KUBECONFIG, value: in-cluster}
{{- end }}
{{- range $name, $value := .Values.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end -}}

{{- define "ecpmon.mounts" -}}
- {name: secrets, mountPath: /etc/ecpmon/secrets, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- end -}}

{{- define "ecpmon.volumes" -}}
- name: secrets
  secret: {secretName: {{ .Values.secret.name }}, defaultMode: 0440}
- name: tmp
  emptyDir: {sizeLimit: 256Mi}
{{- end -}}

{{- define "ecpmon.placement" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- end -}}

{{- /* A Deployment of one role. Given: root, role, of (its values). */ -}}
{{- define "ecpmon.deployment" -}}
{{- $root := .root -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "ecpmon.name" $root }}-{{ .role }}
  labels:
    {{- include "ecpmon.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
spec:
  {{- if not .scaled }}
  replicas: {{ .of.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels:
      {{- include "ecpmon.selector" $root | nindent 6 }}
      app.kubernetes.io/component: {{ .role }}
  template:
    metadata:
      labels:
        {{- include "ecpmon.labels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .role }}
      {{- with $root.Values.podAnnotations }}
      annotations: {{ toJson . }}
      {{- end }}
    spec:
      serviceAccountName: {{ include "ecpmon.account" $root }}
      automountServiceAccountToken: {{ $root.Values.deployer.enabled }}
      securityContext:
        {{- include "ecpmon.podSecurity" $root | nindent 8 }}
      # It takes 13 s at most to end what it is answering.
      terminationGracePeriodSeconds: 30
      topologySpreadConstraints:
        {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - maxSkew: 1
          topologyKey: {{ $key }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "ecpmon.selector" $root | nindent 14 }}
              app.kubernetes.io/component: {{ $.role }}
        {{- end }}
      containers:
        - name: ecpmon
          image: {{ include "ecpmon.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [serve, --role, {{ .role }}]
          env:
            {{- include "ecpmon.environment" $root | nindent 12 }}
          ports:
            - {name: http, containerPort: 8001}
          # A start is allowed two minutes; then a process that is silent for half a minute is started anew.
          startupProbe:
            httpGet: {path: /health, port: http}
            periodSeconds: 2
            failureThreshold: 60
          livenessProbe:
            httpGet: {path: /health, port: http}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 3
          readinessProbe:
            httpGet: {path: /ready, port: http}
            periodSeconds: 5
            timeoutSeconds: 5
            failureThreshold: 2
          {{- if eq .role "front" }}
          lifecycle:
            # Until it is out of every load balancer.
            preStop:
              exec: {command: [sleep, "5"]}
          {{- end }}
          resources: {{ toJson .of.resources }}
          securityContext:
            {{- include "ecpmon.containerSecurity" $root | nindent 12 }}
          volumeMounts:
            {{- include "ecpmon.mounts" $root | nindent 12 }}
      volumes:
        {{- include "ecpmon.volumes" $root | nindent 8 }}
      {{- include "ecpmon.placement" $root | nindent 6 }}
{{- end -}}

{{- /* The pod of a command that ends. Given: root, args, resources, image, mounts, volumes, account. */ -}}
{{- define "ecpmon.command" -}}
{{- $root := .root -}}
restartPolicy: Never
serviceAccountName: {{ .account }}
automountServiceAccountToken: false
securityContext:
  {{- include "ecpmon.podSecurity" $root | nindent 2 }}
containers:
  - name: ecpmon
    image: {{ .image }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    args: {{ toJson .args }}
    env:
      {{- include "ecpmon.environment" $root | nindent 6 }}
    resources: {{ toJson .resources }}
    securityContext:
      {{- include "ecpmon.containerSecurity" $root | nindent 6 }}
    volumeMounts:
      {{- include "ecpmon.mounts" $root | nindent 6 }}
      {{- with .mounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
volumes:
  {{- include "ecpmon.volumes" $root | nindent 2 }}
  {{- with .volumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- include "ecpmon.placement" $root }}
{{- end -}}
