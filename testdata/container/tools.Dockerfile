# The image that testdata/ci-examples name: a static rbuild (README, "A static binary"), a shell for
# scripts, and what contexts and sources in git need.
FROM debian:12-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git openssh-client \
    && rm -rf /var/lib/apt/lists/*
COPY rbuild /usr/local/bin/rbuild
