#!/bin/sh
# Qwen2.5 7B Instruct Q4_K_M with llama.cpp on GeForce RTX 3070, 32 GiB RAM
# Listens on 127.0.0.1:8080. Stop it with Ctrl-C.
set -eu

if ! command -v llama-server >/dev/null; then
    echo "llama-server is not installed: https://github.com/ggml-org/llama.cpp/releases" >&2
    exit 127
fi
exec llama-server \
    -hf Qwen/Qwen2.5-7B-Instruct-GGUF:Q4_K_M \
    --alias qwen2.5-7b-instruct \
    -c 8192 \
    -np 1 \
    -fa on \
    -ngl 29 \
    -fit off \
    -cram 7206 \
    -t 8 \
    --host 127.0.0.1 \
    --port 8080 \
    "$@"
