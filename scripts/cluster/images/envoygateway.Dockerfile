FROM scratch
COPY envoy-gateway /usr/local/bin/envoy-gateway
ENV PATH=/usr/local/bin
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/envoy-gateway"]
