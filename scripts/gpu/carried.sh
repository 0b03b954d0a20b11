# shellcheck shell=bash
# Sourced: what scripts/gpu-carry.cjs has put into .gpu/, and whether it serves here.

# What goes into the programs, and into the compiled JavaScript.
program_sources=(native CMakeLists.txt cmake test/native scripts/bench/native)
javascript_sources=(lib binding.d.ts tsconfig.json package.json package-lock.json)

# fingerprint PATH…: of the contents, as times change whenever something is copied.
fingerprint() {
  find "$@" -type f -print0 2>/dev/null | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1
}

# carried NAME: what .gpu/carried.txt says of it.
carried() {
  sed -n "s/^$1: //p" .gpu/carried.txt 2>/dev/null
}

# The GPU's compute capability, as 90; nothing where there is none.
capability() {
  nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -cd '0-9'
}

# serves ARCHITECTURES CAPABILITY: code for 8.0 runs on 8.6 and 8.9, that for 9.0 on nothing older, and none on the next major one.
serves() {
  local built
  for built in ${1//;/ }; do
    if [ "${built%?}" = "${2%?}" ] && [ "${built: -1}" -le "${2: -1}" ]; then return 0; fi
  done
  return 1
}

# Why the programs that were carried do not serve here; nothing if they do. Where there is no GPU, only the sources count.
unfit_programs() {
  local gpu
  if [ ! -f .gpu/programs.tar.xz ]; then
    echo 'none were carried'
  elif [ "$(carried sources)" != "$(fingerprint "${program_sources[@]}")" ]; then
    echo 'they were built from other sources'
  elif [ "$(carried processor)" != "$(uname -m)" ]; then
    echo "they are for $(carried processor), this is $(uname -m)"
  elif gpu=$(capability) && [ -n "$gpu" ] && ! serves "$(carried architectures)" "$gpu"; then
    echo "they are for sm_$(carried architectures), the GPU is sm_$gpu"
  fi
}

# The same for dist/.
unfit_javascript() {
  if [ ! -d .gpu/dist ]; then
    echo 'none was carried'
  elif [ "$(carried javascript)" != "$(fingerprint "${javascript_sources[@]}")" ]; then
    echo 'it was compiled from other sources'
  fi
}
