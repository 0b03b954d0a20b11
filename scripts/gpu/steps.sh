# shellcheck shell=bash
# What the steps of scripts/gpu-check do: bash scripts/gpu/steps.sh STEP runs one. 77: skipped, as something that it needs is
# not there.
: "${log:=.gpu/log}"      # the folder for what they leave behind
: "${programs:=.gpu/run}" # that of the programs

have() { command -v "$1" >/dev/null; }

# Python with what is named.
python_has() {
  have python3 && python3 -c 'import sys, importlib.util as u; raise SystemExit(not all(map(u.find_spec, sys.argv[1:])))' "$@"
}

gpu() {
  nvidia-smi || return
  nvidia-smi --query-gpu=name,driver_version,compute_cap,clocks.sm,memory.total --format=csv
  lscpu | grep -E 'Model name|^CPU\(s\)|L3'
  sed -n 's/^PRETTY_NAME=//p' /etc/os-release
  for tool in nvcc cmake c++ compute-sanitizer ncu node python3; do
    if have $tool; then printf '%s: %s\n' $tool "$($tool --version 2>&1 | grep -m 1 -E '[0-9]\.[0-9]')"; else echo "$tool: none"; fi
  done
}

unpack() {
  rm -rf .gpu/run && mkdir -p .gpu/bin .gpu/run || return
  if [ -f .gpu/node.xz ] && ! [ -x .gpu/bin/node ]; then
    xz -dc .gpu/node.xz >.gpu/bin/node && chmod +x .gpu/bin/node && .gpu/bin/node --version || return
  fi
  if [ -f .gpu/node_modules.tar.xz ] && ! [ -d node_modules ]; then tar -xJf .gpu/node_modules.tar.xz || return; fi
  if [ -d .gpu/cuda-headers ] && ! [ -d .cache/cuda-headers ]; then mkdir -p .cache && cp -r .gpu/cuda-headers .cache/ || return; fi
  if [ -z "$(unfit_programs)" ]; then tar -xJf .gpu/programs.tar.xz -C .gpu/run && install_addon || return; fi
  ensure_dist
}

# dist/ of these sources.
ensure_dist() {
  local unfit
  unfit=$(unfit_javascript)
  if [ -z "$unfit" ]; then
    rm -rf dist && cp -r .gpu/dist dist
  elif have node && [ -d node_modules/typescript ]; then
    echo "dist/ is compiled here: $unfit"
    # Without the types of what is not here: it emits all the same.
    node node_modules/typescript/bin/tsc -p . || [ -f dist/index.js ]
  fi
}

install_addon() {
  [ -f .gpu/run/optnet.node ] || return 0
  mkdir -p build/Release && cp .gpu/run/optnet.node build/Release/
}

# Whether they can be loaded: this needs no GPU.
programs_run() {
  [ -x "$programs/optnet_gpu_bench" ] && mkdir -p .gpu/problems && "$programs/optnet_gpu_bench" --dump .gpu/problems 2,2,0,2 &&
    rm .gpu/problems/2,2,0,2.problems
}

# For this GPU and this processor only. The CPU is here to compare with; AVX-512 takes twice as long to compile.
compile() {
  local instructions=sse2
  rm -rf .gpu/run
  if grep -qw avx2 /proc/cpuinfo; then instructions=avx2; fi
  scripts/gpu/build.sh .gpu/build "$(capability)" $instructions && cp -r .gpu/build/programs .gpu/run && install_addon
}

# ---- correctness -------------------------------------------------------------------------------------------------------------

solves_in_javascript() { have node && [ -f dist/index.js ] && [ -f build/Release/optnet.node ]; }

doctor() {
  solves_in_javascript || return 77
  node dist/cli/main.js doctor
}

# That it finds no GPU is no reason to skip it here.
gpu_test() {
  "$@"
  local status=$?
  return $((status == 77 ? 1 : status))
}
tests() { gpu_test "$programs/gpu_test"; }

calls() {
  solves_in_javascript || return 77
  node scripts/bench/gpu-calls.cjs
}

# ---- times: nothing else may run ---------------------------------------------------------------------------------------------

# Every shape with the kernels that the planner chooses; then those that larger problems get. The most important first, as
# what comes last may be cut off.
bench() {
  set -o pipefail
  {
    for precision in float64 mixed float32; do "$programs/optnet_gpu_bench" --seconds 0.3 --precision $precision || exit; done
    "$programs/optnet_gpu_bench" --seconds 0.3 --precision float64 --tier block 10,10,0,4096 || exit
    "$programs/optnet_gpu_bench" --seconds 0.3 --precision float64 --tier library \
      10,10,0,4096 32,64,8,4096 100,100,0,128 100,50,50,128 64,64,40,150
  } | tee "$log/bench.jsonl"
}

javascript() {
  solves_in_javascript || return 77
  set -o pipefail
  node scripts/bench/gpu-javascript.cjs | tee "$log/javascript.jsonl"
}

# Fresh processes, each of which makes its first call.
first() {
  set -o pipefail
  {
    "$programs/optnet_gpu_bench" --first || exit
    if solves_in_javascript; then
      for shape in 10,10,0,64 50,50,0,64; do node scripts/bench/first-call.cjs $shape || exit; done
    fi
  } | tee "$log/first.jsonl"
}

# The same problems, solved by what else differentiates; ours again, as it may be another card than the last time.
peers() {
  python_has numpy && { python_has torch || python_has jax; } || return 77
  set -o pipefail
  mkdir -p .gpu/problems && "$programs/optnet_gpu_bench" --dump .gpu/problems || return
  {
    "$programs/optnet_gpu_bench" --seconds 0.3 --precision float64 || exit
    XLA_PYTHON_CLIENT_PREALLOCATE=false python3 scripts/bench/peers.py .gpu/problems --path .gpu/peers --seconds 1
  } | tee "$log/peers.jsonl"
}

# ---- what takes its time, side by side ---------------------------------------------------------------------------------------

sanitize() {
  local tool=$1
  shift
  have compute-sanitizer || return 77
  gpu_test compute-sanitizer --tool "$tool" --error-exitcode 1 "$@"
}
memcheck() { sanitize memcheck --leak-check=full "$programs/gpu_test" --short; }
racecheck() { sanitize racecheck "$programs/gpu_test" --short; }
synccheck() { sanitize synccheck "$programs/gpu_test" --short; }

# Far slower than the others: the least that there is to test, and each precision in a process of its own.
initcheck() {
  local precision process processes=() failed=0
  have compute-sanitizer || return 77
  for precision in double mixed single; do
    sanitize initcheck "$programs/gpu_test" --least --precision $precision >"$log/initcheck-$precision.log" 2>&1 &
    processes+=($!)
  done
  for process in "${processes[@]}"; do wait "$process" || failed=1; done
  for precision in double mixed single; do tail -v -n 4 "$log/initcheck-$precision.log"; done
  return $failed
}

# The whole suite: what names no device is solved on the GPU.
jest() {
  have node && [ -d node_modules/jest ] || return 77
  local options=()
  if ! [ -d node_modules/@tensorflow/tfjs ]; then
    # What was carried is compiled, and without what the experiments need.
    echo 'module.exports = () => {};' >.gpu/no-setup.cjs
    options=(--globalSetup "$PWD/.gpu/no-setup.cjs" --testPathIgnorePatterns tfjs test/experiments test/package test/types)
  fi
  # One at a time takes longer than there is, and what runs beside it leaves cores free on a large machine.
  if [ "$(nproc)" -ge 12 ]; then options+=(--maxWorkers 4); fi
  node node_modules/jest/bin/jest.js --forceExit "${options[@]}"
}

# ---- profiles ----------------------------------------------------------------------------------------------------------------

# profile NAME n,m,q,batch: one launch of the kernel that solves, after one that warms up.
profile() {
  local report=$log/$1
  have ncu || return 77
  ncu --set full --clock-control none --kernel-name regex:solve_kernel --launch-skip 1 --launch-count 1 --force-overwrite \
    --export "$report" "$programs/optnet_gpu_bench" --precision float64 --repeats 1 --seconds 0 "$2"
  [ -s "$report.ncu-rep" ] || return 1
  ncu --import "$report.ncu-rep" --page details --csv >"$report-details.csv" &&
    ncu --import "$report.ncu-rep" --page source --csv --print-source sass >"$report-source.csv" || return
  have node || return 77
  {
    printf '\n(%s) × %s, float64\n' "$(sed 's/,[^,]*$//; s/,/, /g' <<<"$2")" "${2##*,}"
    node scripts/bench/hot-spots.cjs "$report-source.csv" "$report-details.csv"
  } | tee "$report.txt"
  local status=${PIPESTATUS[0]}
  xz -1 -T0 "$report-source.csv" "$report.ncu-rep"
  return "$status"
}
profile-10() { profile profile-10 10,10,0,4096; }
profile-32() { profile profile-32 32,64,8,4096; }
profile-100() { profile profile-100 100,100,0,128; }

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  . scripts/gpu/carried.sh
  step=$1
  trap 'echo $SECONDS >"$log/$step.seconds"' EXIT # it may end before others that run beside it
  "$step"
fi
