# Images of docker-compose.yml. Checked by tests for its references only; see there.
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN go build -trimpath -ldflags="-s -w" -o /out/mainspring ./cmd/mainspring

FROM python:3.11-slim-bookworm AS mlflow
COPY internal/devstack/python/mlflow.lock /tmp/mlflow.lock
RUN pip install --no-cache-dir --require-hashes --no-deps -r /tmp/mlflow.lock
CMD ["mlflow", "server", "--host=0.0.0.0", "--workers=1", "--allowed-hosts=*", \
     "--backend-store-uri=sqlite:////data/mlflow.db", "--default-artifact-root=s3://mainspring/mlflow"]

FROM python:3.11-slim-bookworm AS mainspring
RUN pip install --no-cache-dir uv==0.13.9 onnxruntime==1.32.0
ENV MAINSPRING_ONNXRUNTIME=/usr/local/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.1.32.0 \
    MAINSPRING_UV=/usr/local/bin/uv
COPY --from=build /out/mainspring /usr/local/bin/mainspring
ENTRYPOINT ["mainspring"]
