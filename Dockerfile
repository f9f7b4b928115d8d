# domaind and Node, and nothing else: no shell, no npm. Mount a file and a folder,
#
#   docker run -v ./domain.toml:/app/domain.toml:ro -v ./handlers:/app/handlers:ro domaind
#
# or begin your own image with this one:
#
#   FROM domaind
#   COPY domain.toml /app/
#   COPY handlers/ /app/handlers/
#
# Handlers may be .js, .mjs or .ts (Node 22.18 and later run TypeScript as it is).
# For other processors: docker buildx build --platform linux/amd64,linux/arm64 (every stage is of the target's).
ARG NODE_VERSION=24
ARG NODE_IMAGE=node:${NODE_VERSION}-slim

FROM ${NODE_IMAGE} AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The link lets handlers with a package.json of their own import 'domaind' too.
RUN npm ci --omit=dev --ignore-scripts && ln -s .. node_modules/domaind

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.mjs scripts/
COPY src/ src/
RUN npm run build

# What the node program needs of Debian: its libraries, the one that asks DNS, and who it is.
FROM ${NODE_IMAGE} AS root
RUN set -eu; \
    for file in /usr/local/bin/node $(ldd /usr/local/bin/node | grep -o '/[^ ]*') $(find /lib/ /usr/lib/ -name 'libresolv.so.2' -o -name 'libnss_dns.so.2' -o -name 'libnss_files.so.2'); do \
      mkdir -p "/image$(dirname "$file")"; cp -L "$file" "/image$file"; \
    done; \
    mkdir -p /image/etc /image/app/handlers; mkdir -m 1777 /image/tmp; \
    echo 'hosts: files dns' > /image/etc/nsswitch.conf; \
    echo 'domaind:x:65532:65532::/app:/nonexistent' > /image/etc/passwd; \
    echo 'domaind:x:65532:' > /image/etc/group

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="domaind" \
      org.opencontainers.image.description="A worker daemon for a domain: outbox relay, stream consumers, your handlers." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/usr/local/bin NODE_ENV=production
COPY --from=root /image/ /
WORKDIR /app
COPY --from=packages /app/node_modules/ node_modules/
COPY --from=build /app/dist/ dist/
COPY package.json LICENSE README.md CHANGELOG.md ./
COPY config/ config/
# A number, so that Kubernetes can see that it is not root. Nothing under /app belongs to it: the root may be read-only.
USER 65532:65532
# domain.toml is looked for here.
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["node", "/app/dist/main.js", "healthcheck"]
ENTRYPOINT ["node", "/app/dist/main.js"]
CMD ["server"]
