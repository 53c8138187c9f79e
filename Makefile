# Everything runs on a machine with Node 20, npm, make and git. `npm ci` brings Node 24, which all recipes below use; only npm itself runs on the machine's own Node.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

ROOT := $(CURDIR)
WITH_NODE := export PATH="$(ROOT)/node_modules/.bin:$$PATH" &&

# npm writes this file last, so it stands for a complete installation.
INSTALLED := node_modules/.package-lock.json

$(INSTALLED): package-lock.json
	@echo "installing packages"
	@npm ci --loglevel=error
	@touch $@

.PHONY: help
help:
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  make %-28s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo

##@ Try it

# `exec` leaves one process for Ctrl+C to reach, and nobody between it and the terminal who comments on how it ended.
.PHONY: dev clean-dev
dev: $(INSTALLED) ## Start everything here: Postgres, SQS, API, dispatcher, executor, sample receiver
	@$(WITH_NODE) exec downbeat dev
clean-dev: $(INSTALLED) ## Remove what `make dev` keeps between starts (.downbeat/)
	@$(WITH_NODE) exec downbeat dev --clean

##@ Work on it

.PHONY: test test-containers check format
test: $(INSTALLED) ## Run all tests; the last line is `N passed, N failed`
	@$(WITH_NODE) exec vitest run
test-containers: $(INSTALLED) ## The suites that use a server, on Postgres and LocalStack in containers (needs a Docker engine)
	@$(WITH_NODE) exec node tests/containers/run.ts
check: $(INSTALLED) ## Format, lint, types, and whether generated documents are current
	@$(WITH_NODE) exec node scripts/check.ts
format: $(INSTALLED) ## Rewrite sources and generated documents as `make check` wants them
	@$(WITH_NODE) oxfmt
	@$(WITH_NODE) node scripts/write-configuration.ts
	@$(WITH_NODE) node scripts/write-metrics.ts
	@$(WITH_NODE) node scripts/write-presets.ts
	@$(WITH_NODE) node services/api/src/write-openapi.ts
	@$(WITH_NODE) node scripts/chart/write-readme.ts
	@$(WITH_NODE) node scripts/chart/write-plain-manifests.ts

##@ Measure it

# `make` hands variables of its command line to the bench's environment.
.PHONY: bench-pipeline bench-idle bench-due-index
bench-pipeline: $(INSTALLED) ## N runs due at one instant, real processes: make bench-pipeline N=10000 DELAY_MS=0
	@$(WITH_NODE) exec node tests/bench/pipeline.ts
bench-idle: $(INSTALLED) ## N occurrences one at a time on an idle system: make bench-idle N=100
	@$(WITH_NODE) exec node tests/bench/idle.ts
bench-due-index: $(INSTALLED) ## Layouts of the due index side by side (decision 0002): make bench-due-index SCHEDULES=1000000
	@$(WITH_NODE) exec node tests/bench/due-index.ts

##@ Kubernetes (docs/kubernetes.md). CLUSTER=minikube (default), kind or current; NAMESPACE=local

# `make` hands variables of its command line to the scripts: CLUSTER, PROFILE, NAMESPACE, IMAGE_LOAD_COMMAND, LOAD_IMAGES, DOCKER_BUILD_OPTIONS, HELM_OPTIONS.
.PHONY: check-tools setup-local-kubernetes deploy-to-local-kubernetes deploy-scheduler scheduler-status scheduler-logs queue-status teardown-scheduler teardown-local-kubernetes
check-tools: ## What the targets below need, what is there, how to get the rest
	@deploy/local/check-tools.sh
setup-local-kubernetes: ## Start a cluster of its own and make the namespace
	@deploy/local/setup-local.sh
deploy-to-local-kubernetes: ## Build, load and install everything; repeat it after a change
	@deploy/local/deploy-local.sh
	@deploy/local/scheduler-status.sh
deploy-scheduler: ## Build, load and upgrade dispatcher and executor only
	@deploy/local/deploy-local.sh scheduler
scheduler-status: ## CronJob, its latest runs, executors, queue
	@deploy/local/scheduler-status.sh
scheduler-logs: ## Follow dispatcher and executor, each new one too
	@deploy/local/scheduler-logs.sh
queue-status: ## Messages in the queue and its dead-letter queue
	@deploy/local/queue-status.sh
teardown-scheduler: ## Remove Downbeat and its data from the cluster
	@deploy/local/teardown.sh
teardown-local-kubernetes: ## Remove the minikube profile or kind cluster as well
	@deploy/local/teardown.sh cluster

.PHONY: image-build image-load image-status
image-build: ## Build the images `downbeat-scheduler` and `downbeat-api`
	@deploy/local/image-build.sh
image-load: ## Build them and bring them to the cluster's nodes
	@deploy/local/image-load.sh
image-status: ## Images built here, on the nodes, and asked for by pods
	@deploy/local/image-status.sh

# One file of tests after the other: each has the executors to itself.
.PHONY: test-e2e test-soak test-suspend observe-cronjob
test-e2e: $(INSTALLED) ## The whole way on the cluster: schedule, CronJob, queue, executor pod, receiver pod, ledger
	@$(WITH_NODE) exec deploy/local/on-cluster.sh vitest run --no-file-parallelism tests/e2e
test-soak: $(INSTALLED) ## Pods deleted at random under load, then the balance: make test-soak MINUTES=10 PER_MINUTE=600 KILLS=10
	@$(WITH_NODE) exec deploy/local/on-cluster.sh node tests/e2e/soak.ts
test-suspend: $(INSTALLED) ## The CronJob suspended and resumed, each misfire policy held to its word: make test-suspend MINUTES=5
	@$(WITH_NODE) exec deploy/local/on-cluster.sh node tests/e2e/suspend.ts
observe-cronjob: $(INSTALLED) ## One Job a minute, how soon it claims, its memory, how late runs start: make observe-cronjob MINUTES=30
	@$(WITH_NODE) exec deploy/local/on-cluster.sh node tests/e2e/observe-cronjob.ts
