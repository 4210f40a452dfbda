#!/usr/bin/env bash
# Compiles every kernels/*.cu into TARGET/classes/kernels/NAME.fatbin, with the report of ptxas in
# TARGET/ptxas/NAME.txt: build.sh TARGET
#
# UNETRPP_NVCC          an nvcc to use, or "none" to build nothing
# UNETRPP_CUDA_TARGETS  compute capabilities without their dot, such as "90" or "80 86 90"
#
# Without an nvcc that works nothing is built and the build passes: at run time the sources, which
# are in the jar as well, are compiled for the GPU that is found.
set -euo pipefail
shopt -s nullglob

here=$(cd "$(dirname "$0")" && pwd)
target=$1
images=$target/classes/kernels
reports=$target/ptxas
fingerprints=$target/fingerprints
wanted=${UNETRPP_CUDA_TARGETS:-75 80 86 89 90 100 120}

source_sum() {
  cat "$here"/*.cuh "$here/$1.cu" | sha256sum
}

# What was made of other sources than these must not reach the jar.
clean() {
  local file name
  for file in "$images"/*.fatbin "$reports"/*.txt "$fingerprints"/*.sum; do
    name=$(basename "${file%.*}")
    if [[ ! -e $here/$name.cu || ! -e $fingerprints/$name.sum ]] ||
      [[ $(source_sum "$name") != "$(head -n 1 "$fingerprints/$name.sum")" ]]; then
      rm -f "$images/$name.fatbin" "$reports/$name.txt" "$fingerprints/$name.sum"
    fi
  done
}

without() {
  echo "kernels: $1; CUDA kernels are not compiled ahead"
  exit 0
}

clean

find_nvcc() {
  local candidate
  for candidate in nvcc "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" /usr/local/cuda/bin/nvcc; do
    if command -v "$candidate"; then return; fi
  done
}

[[ ${UNETRPP_NVCC:-} != none ]] || without "UNETRPP_NVCC is none"
nvcc=${UNETRPP_NVCC:-$(find_nvcc || true)}
[[ -n $nvcc ]] || without "no nvcc was found"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# One toolkit knows older GPUs, another newer ones: those of both lists are built. PTX serves GPUs
# newer than all of them, hence that of the newest architecture whose features those still have.
version=$("$nvcc" --version 2>&1 | tail -n 1) || without "$nvcc does not run"
known=$("$nvcc" --list-gpu-code)
targets=()
for capability in $wanted; do
  if grep -qx "sm_$capability" <<< "$known"; then
    code=sm_$capability
    if [[ $capability == 90 && -z ${UNETRPP_CUDA_TARGETS:-} ]]; then code=[sm_90,compute_90]; fi
    targets+=(-gencode "arch=compute_$capability,code=$code")
  else
    echo "kernels: $nvcc does not know sm_$capability"
  fi
done
[[ ${#targets[@]} -gt 0 ]] || without "$nvcc knows none of: $wanted"
options=(-std=c++17 -O3 -Werror all-warnings -Xptxas -v "${targets[@]}")
help=$("$nvcc" --help)
if grep -q -e --compress-mode <<< "$help"; then options+=(--compress-mode=size); fi

fingerprint() {
  source_sum "$1"
  echo "$version ${options[*]}"
}

# Also notes the most threads that a block of each entry point may have: ptxas does not say.
compile() {
  local name=$1 work=$scratch/$1
  mkdir "$work"
  fingerprint "$name" > "$work/sum" # before: a source may change meanwhile
  if ! "$nvcc" "${options[@]}" --keep --keep-dir "$work" -fatbin "$here/$name.cu" -o "$work/out" \
    > "$work/report" 2>&1; then
    echo "kernels: $name.cu does not compile"
    cat "$work/report"
    return 1
  fi
  local assembly=("$work"/*.ptx)
  awk '/\.entry/ {sub(/.*\.entry +/, ""); sub(/[^A-Za-z0-9_].*/, ""); entry = $0}
       /\.maxntid/ {gsub(/,/, ""); print "block of " entry ": " $2 * ($3 ? $3 : 1) * ($4 ? $4 : 1)}' \
    "${assembly[0]}" >> "$work/report"
  rm -f "$fingerprints/$name.sum"
  mv "$work/report" "$reports/$name.txt"
  mv "$work/out" "$images/$name.fatbin"
  mv "$work/sum" "$fingerprints/$name.sum"
  rm -rf "$work"
}

mkdir -p "$images" "$reports" "$fingerprints"
stale=()
for name in $(cd "$here" && ls -S -- *.cu | sed -n 's/\.cu$//p'); do # the longest first
  if [[ ! -e $fingerprints/$name.sum || ! -e $images/$name.fatbin || ! -e $reports/$name.txt ]] ||
    [[ $(fingerprint "$name") != "$(< "$fingerprints/$name.sum")" ]]; then
    stale+=("$name")
  fi
done
[[ ${#stale[@]} -gt 0 ]] || exit 0

# An nvcc that compiles nothing at all, for want of a C++ compiler that it accepts, is no error.
echo 'extern "C" __global__ void probe() {}' > "$scratch/probe.cu"
if ! "$nvcc" -cubin "$scratch/probe.cu" -o "$scratch/probe" > "$scratch/why" 2>&1; then
  without "$nvcc does not work ($(head -n 1 "$scratch/why"))"
fi

echo "kernels: compiling ${stale[*]}"
failed=false
running=0
processors=$(getconf _NPROCESSORS_ONLN)
for name in "${stale[@]}"; do
  if ((running == processors)); then
    wait -n || failed=true
    running=$((running - 1))
  fi
  (compile "$name" > "$scratch/$name.log" 2>&1 || { cat "$scratch/$name.log" >&2; exit 1; }) &
  running=$((running + 1))
done
while ((running > 0)); do
  wait -n || failed=true
  running=$((running - 1))
done
[[ $failed == false ]]
