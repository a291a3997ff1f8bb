#!/bin/sh
# Qwen2.5 7B Instruct Q4_K_M with ollama on GeForce RTX 3070, 32 GiB RAM
# Listens on 127.0.0.1:11434. Stop it with Ctrl-C.
set -eu

if ! command -v ollama >/dev/null; then
    echo "ollama is not installed: https://ollama.com/download" >&2
    exit 127
fi
export OLLAMA_HOST=127.0.0.1:11434
export OLLAMA_CONTEXT_LENGTH=8192
export OLLAMA_NUM_PARALLEL=1
export OLLAMA_KV_CACHE_TYPE=f16
export OLLAMA_FLASH_ATTENTION=1
export OLLAMA_MAX_LOADED_MODELS=1
export OLLAMA_KEEP_ALIVE=-1
export OLLAMA_NO_CLOUD=1
if ollama list >/dev/null 2>&1; then
    echo "another Ollama serves $OLLAMA_HOST with settings of its own: stop it first (systemctl stop ollama)" >&2
    exit 1
fi
ollama serve &
server=$!
trap 'kill "$server" 2>/dev/null || true' INT TERM EXIT
until ollama list >/dev/null 2>&1; do
    if ! kill -0 "$server" 2>/dev/null; then
        echo "ollama serve has ended: its reason is above" >&2
        exit 1
    fi
    sleep 1
done
ollama pull hf.co/Qwen/Qwen2.5-7B-Instruct-GGUF:Q4_K_M
wait "$server"
