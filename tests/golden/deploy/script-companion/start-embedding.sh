#!/bin/sh
# Qwen2.5 7B Instruct Q4_K_M with llama.cpp on GeForce RTX 3070, 32 GiB RAM
# Listens on 127.0.0.1:8081. Stop it with Ctrl-C.
set -eu

if ! command -v llama-server >/dev/null; then
    echo "llama-server is not installed: https://github.com/ggml-org/llama.cpp/releases" >&2
    exit 127
fi
exec llama-server \
    -m '/srv/it'"'"'s $models/nomic-embed-text-v1.5.f16.gguf' \
    --alias nomic-embed-text-v1.5 \
    -c 2048 \
    -np 1 \
    --embeddings \
    -b 2048 \
    -ub 2048 \
    -ngl 0 \
    -fit off \
    -cram 0 \
    -t 8 \
    --host 127.0.0.1 \
    --port 8081 \
    "$@"
