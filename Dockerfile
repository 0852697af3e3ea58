# syntax=docker/dockerfile:1
#
#   docker build -t burgee .
#   docker run --init=false --read-only --stop-timeout 30 -p 8000:8000 -v burgee-data:/data burgee
#
# The image is a name here; pin yours: --build-arg NODE_IMAGE=node:24-trixie-slim@sha256:...
ARG NODE_IMAGE=node:24-trixie-slim

# The tools compile and go; of the packages stays what the service needs, and of the server library the one binary that
# this Node.js loads.
FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.mjs scripts/keep-native.mjs scripts/
COPY native native
COPY src src
RUN node scripts/build.mjs \
    && chmod 0755 dist/main.js \
    && npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
    && node scripts/keep-native.mjs

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="burgee" \
      org.opencontainers.image.description="A feature flag service: fast, explainable, undoable" \
      org.opencontainers.image.licenses="Apache-2.0"
# tini is PID 1: it passes signals on and reaps workers that outlived their primary. Debian keeps one version only, so
# pinning it would break the build on the day of the next one.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o 1000 -g 1000 -m 0700 /data \
    && ln -s /app/dist/main.js /usr/local/bin/burgee
WORKDIR /app
COPY package.json LICENSE ./
COPY migrations migrations
COPY native/kernel.wasm native/kernel.wasm.sha256 native/uws.sha256 native/
COPY deploy/healthcheck.mjs deploy/
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
ENV NODE_ENV=production DATA_DIR=/data
VOLUME /data
EXPOSE 8000
# By number, so that runAsNonRoot can see that it is not root; 1000 is the image's user "node".
USER 1000:1000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["node", "/app/deploy/healthcheck.mjs"]
ENTRYPOINT ["/usr/bin/tini", "--", "node", "/app/dist/main.js"]
