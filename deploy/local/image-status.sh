#!/usr/bin/env bash
# Which Downbeat images the Docker engine has, and which ones the pods run.
. "$(dirname "$0")/local-cluster.sh"
need_namespace
echo "=== Built here ==="
docker image ls --filter 'reference=downbeat-*' --format 'table {{.Repository}}\t{{.Tag}}\t{{.Size}}\t{{.CreatedSince}}'
echo
echo "=== On the nodes ==="
k get nodes -o jsonpath='{range .items[*].status.images[*].names[*]}{@}{"\n"}{end}' | grep downbeat- | sort -u || echo "none: make image-load CLUSTER=$CLUSTER"
echo
echo "=== Asked for by pods ==="
k get pods -o custom-columns='POD:.metadata.name,IMAGE:.spec.containers[0].image,STATE:.status.phase' -l app.kubernetes.io/part-of=downbeat
