# syntax=docker/dockerfile:1
# The image of the operator, its exchange servers and the box agent: three commands of one program.
#
#   docker build --tag ghcr.io/pbx-operator/pbx-operator:0.1.0 .
#
# The content is made by tools/build_image.py, which also builds an archive where there is no container engine
# (`make image`); so both have the same files. What this file says about the process, tools/image/facts.py says too,
# and a unit test compares them.
ARG DEBIAN=debian:bookworm-slim

FROM ${DEBIAN} AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv
WORKDIR /src
COPY requirements/build.txt requirements/
RUN python3 -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes --requirement requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY requirements/runtime.txt requirements/
COPY tools/build_image.py tools/
COPY tools/image tools/image
COPY src src
RUN /venv/bin/python tools/build_image.py --trees /trees

FROM scratch
COPY --from=build /trees/base /
COPY --from=build /trees/dependencies /
COPY --from=build /trees/application /
LABEL org.opencontainers.image.title="pbx-operator" \
      org.opencontainers.image.description="A Kubernetes operator that provisions phone systems declaratively" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/pbx-operator/pbx-operator" \
      org.opencontainers.image.documentation="https://github.com/pbx-operator/pbx-operator#readme"
ENV PATH="/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin" \
    HOME="/home/nonroot" \
    LANG="C.UTF-8" \
    PYTHONDONTWRITEBYTECODE="1" \
    PYTHONUNBUFFERED="1"
EXPOSE 8080/tcp 8443/tcp 9090/tcp
WORKDIR /
USER 65532:65532
ENTRYPOINT ["pbx-operator"]
