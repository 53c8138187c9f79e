#!/usr/bin/env bash
# Lists the tools that the local Kubernetes targets need, what is there, and how to get what is missing. Exit code 1 when something is missing.
set -euo pipefail
CLUSTER=${CLUSTER:-minikube}
missing=0

look() { # name, what it is for, how to get it, command that prints its version
  local version
  if ! command -v "$1" >/dev/null 2>&1; then
    printf 'missing  %-9s %s. Get it: %s\n' "$1" "$2" "$3"
    missing=1
  else
    version=$(eval "$4" 2>/dev/null | head -n 1) || true
    printf 'ok       %-9s %s\n' "$1" "$version"
  fi
}

look docker "builds the images" "https://docs.docker.com/engine/install/" "docker version --format '{{.Client.Version}}'"
if command -v docker >/dev/null 2>&1 && ! docker info >/dev/null 2>&1; then
  printf 'missing  %-9s no Docker engine answers. Start it: sudo systemctl start docker (or Docker Desktop)\n' engine
  missing=1
fi
look kubectl "talks to the cluster" "https://kubernetes.io/docs/tasks/tools/" "kubectl version --client -o yaml | sed -n 's/.*gitVersion: //p'"
look helm "installs the chart; 3.17 or newer" "https://helm.sh/docs/intro/install/" "helm version --short"
case $CLUSTER in
  minikube) look minikube "runs the cluster (or: CLUSTER=kind)" "https://minikube.sigs.k8s.io/docs/start/" "minikube version --short" ;;
  kind) look kind "runs the cluster (or: CLUSTER=minikube)" "https://kind.sigs.k8s.io/docs/user/quick-start/" "kind version" ;;
  current) printf 'ok       %-9s %s\n' context "$(kubectl config current-context 2>/dev/null || echo '(none)')" ;;
  *) printf 'error: CLUSTER=%s is none of minikube, kind, current\n' "$CLUSTER" >&2; exit 1 ;;
esac
exit "$missing"
