#!/bin/sh
# A compiler launcher. What ptxas says of each kernel (registers, spills, stack, shared memory) goes beside the object
# file, to OBJECT.ptxas, where scripts/cuda/resources.cjs and the tests read it; the rest goes on to stderr.
object=/dev/null
for argument; do
  [ "$previous" = -o ] && object=$argument
  previous=$argument
done
"$@" 2>"$object.ptxas"
status=$?
grep -v -e '^ptxas info' -e 'bytes stack frame' "$object.ptxas" >&2
exit $status
