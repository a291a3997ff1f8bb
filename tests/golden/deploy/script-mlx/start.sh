#!/bin/sh
# Qwen2.5 7B Instruct 4bit with mlx on Apple M3 Max, 32 GiB RAM
# Listens on 127.0.0.1:8080. Stop it with Ctrl-C.
set -eu

if ! command -v mlx_lm.server >/dev/null; then
    echo "mlx_lm.server is not installed: https://github.com/ml-explore/mlx-lm" >&2
    exit 127
fi
exec mlx_lm.server \
    --model mlx-community/Qwen2.5-7B-Instruct-4bit \
    --max-tokens 4096 \
    --decode-concurrency 1 \
    --temp 0.7 \
    --top-p 0.8 \
    --host 127.0.0.1 \
    --port 8080 \
    "$@"
