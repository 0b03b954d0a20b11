#!/usr/bin/env bash
# Builds what runs on a GPU: gpu_test, optnet_gpu_bench and the addon.
#   scripts/gpu/build.sh FOLDER ARCHITECTURES [INSTRUCTION_SETS]     '90', '80;90'; default: all that this processor's kind has
# They are stripped in FOLDER/programs. scripts/gpu-carry.cjs builds to carry them, scripts/gpu-check where those do not fit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=$1 architectures=$2 sets=${3:-}

options=(
  -DCMAKE_BUILD_TYPE=Release -DOPTNET_CUDA=ON "-DOPTNET_CUDA_ARCHITECTURES=$architectures" -DOPTNET_TESTS=ON -DOPTNET_BENCH=ON
  -DCMAKE_CUDA_FLAGS=-lineinfo # for profiles
)
targets=(gpu_tests optnet_gpu_bench)
[ -z "$sets" ] || options+=("-DOPTNET_INSTRUCTION_SETS=$sets")
if command -v ninja >/dev/null; then options+=(-G Ninja); fi
if [ -d node_modules/node-api-headers ]; then
  options+=("-DCMAKE_JS_INC=$PWD/node_modules/node-api-headers/include;$PWD/node_modules/node-addon-api")
  options+=(-DCMAKE_JS_SRC= -DCMAKE_JS_LIB= "-DCMAKE_LIBRARY_OUTPUT_DIRECTORY=$PWD/$folder/addon")
  targets+=(optnet)
fi
cmake -S . -B "$folder" "${options[@]}"
cmake --build "$folder" --parallel "$(nproc)" --target "${targets[@]}"

mkdir -p "$folder/programs"
cp "$folder"/test/native/gpu_test "$folder"/scripts/bench/native/optnet_gpu_bench "$folder/programs"
[ ! -f "$folder/addon/optnet.node" ] || cp "$folder/addon/optnet.node" "$folder/programs"
strip "$folder"/programs/*
