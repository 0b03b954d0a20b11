set -e
F="-I/work/wt-polish/native -I/work/wt-polish/test/native -O2 -DNDEBUG -ffp-contract=off -fno-math-errno -fno-trapping-math -Wno-psabi -Wno-ignored-attributes -march=x86-64-v3 -std=c++20 $EXTRA"
g++ $F -DOPTNET_ISA=avx2 -c mini_isa.cpp -o isa.o &
g++ $F -DOPTNET_HAS_avx2 -c /work/wt-polish/native/cpu/dispatch.cpp -o dispatch.o
g++ $F -c ${1:-/work/wt-polish/test/native/polish_test.cpp} -o t.o
wait
g++ isa.o dispatch.o t.o /tmp/b-polish/liboptnet_core.a -lpthread -o mini
