#!/bin/sh
# Qwen2.5 32B Instruct AWQ with vllm on 2 × GeForce RTX 4090, 64 GiB RAM
# Listens on [::1]:8000. Stop it with Ctrl-C.
set -eu

if ! command -v vllm >/dev/null; then
    echo "vllm is not installed: https://docs.vllm.ai" >&2
    exit 127
fi
export VLLM_NO_USAGE_STATS=1
exec vllm serve \
    Qwen/Qwen2.5-32B-Instruct-AWQ \
    --served-model-name qwen2.5-32b-instruct \
    --max-model-len 8192 \
    --max-num-seqs 16 \
    --tensor-parallel-size 2 \
    --kv-cache-dtype fp8 \
    --gpu-memory-utilization 0.920 \
    --host :: \
    --port 8000 \
    "$@"
