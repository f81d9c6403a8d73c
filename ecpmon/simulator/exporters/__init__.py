"""What a Prometheus scrapes of a cluster beside its pods: kube-state-metrics (`kube_*`) and the kubelets with their
cAdvisor (`container_*`, `machine_*`), by the names and labels that these have."""
