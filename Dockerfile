# Two images from one build:
#
#   docker build --target scheduler -t downbeat-scheduler:local .   dispatcher, executor, command line
#   docker build --target api       -t downbeat-api:local .         REST API, command line
#
# Both run as user 1000 with a read-only root file system, hold no npm, no sources and no development packages, and leave health to the cluster's probes.
# What is in them and why: docs/decisions/0010-image-layout.md.

# For a build that can be repeated to the byte, name the base by its digest: --build-arg NODE_IMAGE=node:24-bookworm-slim@sha256:… (`docker buildx imagetools inspect node:24-bookworm-slim` prints it).
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS bundle
WORKDIR /build
# Manifests first: as long as they stay the same, the packages come from the layer cache.
COPY package.json package-lock.json ./
COPY libs/delivery/package.json libs/delivery/
COPY libs/embedded/package.json libs/embedded/
COPY libs/queue/package.json libs/queue/
COPY libs/runtime/package.json libs/runtime/
COPY libs/store/package.json libs/store/
COPY libs/testkit/package.json libs/testkit/
COPY libs/timing/package.json libs/timing/
COPY services/api/package.json services/api/
COPY services/cli/package.json services/cli/
COPY services/dispatcher/package.json services/dispatcher/
COPY services/executor/package.json services/executor/
COPY tests/package.json tests/
# The entries' packages and the bundler's. No script of a package runs.
RUN --mount=type=cache,target=/tmp/npm npm ci --cache /tmp/npm --ignore-scripts --no-audit --no-fund --loglevel=error --include-workspace-root \
      --workspace=services/dispatcher --workspace=services/executor --workspace=services/api --workspace=services/cli
COPY libs libs
COPY services services
COPY scripts scripts
RUN node scripts/bundle.ts /app

# What both images have in common.
FROM ${NODE_IMAGE} AS base
ENV NODE_ENV=production TZ=UTC
WORKDIR /app
# What can install software has no business in an image that never does.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn* /opt/yarn*
COPY LICENSE ./
COPY --chmod=755 scripts/image/downbeat /usr/local/bin/downbeat
COPY --from=bundle /app ./
# By number, so that Kubernetes can see that it is not root.
USER 1000:1000
# Node itself is process 1 and gets the signals; the base's own start script stays out of the way.
ENTRYPOINT []

# Starts each entry once, as the user and at the place it will run, and keeps what Node compiled.
FROM base AS compiled
COPY --from=bundle /build/scripts/image/fill-compile-cache.ts /tmp/
RUN node /tmp/fill-compile-cache.ts /app/lib /tmp/compile-cache && chmod -R a+rX /tmp/compile-cache

FROM base AS image
COPY --from=compiled --chown=0:0 /tmp/compile-cache /app/compile-cache
# Read only from now on: a start finds what it needs, and writes nothing. For another user or Node it is as if there were none.
ENV NODE_COMPILE_CACHE=/app/compile-cache
# Last, because they change with each commit.
ARG VERSION=local
ARG REVISION=unknown
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"

FROM image AS scheduler
LABEL org.opencontainers.image.title="downbeat-scheduler" \
      org.opencontainers.image.description="Downbeat's dispatcher and executor: claims what is due, and calls the targets. With the downbeat command line."
CMD ["node", "/app/lib/executor.js"]

FROM image AS api
LABEL org.opencontainers.image.title="downbeat-api" \
      org.opencontainers.image.description="Downbeat's REST API. With the downbeat command line."
EXPOSE 4600
CMD ["node", "/app/lib/api.js"]
