#!/usr/bin/env bash
# Builds the images and prints their names, one a line. The tag is the content's own id, so that a deployment changes exactly when the image did and no node keeps an old
# image under a new name. DOCKER_BUILD_OPTIONS are handed to `docker build` (for example --build-arg NODE_IMAGE=…).
#   image-build.sh [scheduler|api …]   default: both
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
[ $# -gt 0 ] || set -- scheduler api

docker info >/dev/null 2>&1 || { printf 'error: no Docker engine answers, and the images have to be built\n       see: make check-tools\n' >&2; exit 1; }
for target; do
  printf 'building downbeat-%s\n' "$target" >&2
  log=$(mktemp)
  # shellcheck disable=SC2086 # several options in one variable
  if ! docker build ${DOCKER_BUILD_OPTIONS:-} --target "$target" --tag "downbeat-$target:local" "$root" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    printf 'error: docker could not build the target "%s"\n' "$target" >&2
    exit 1
  fi
  rm -f "$log"
  id=$(docker image inspect --format '{{.Id}}' "downbeat-$target:local")
  id=${id#sha256:}
  image=downbeat-$target:local-${id:0:12}
  docker tag "downbeat-$target:local" "$image"
  printf '%s\n' "$image"
done
