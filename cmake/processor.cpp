// Prints the instruction set that this processor would be given, for OPTNET_INSTRUCTION_SETS=native.
#include <cstdio>

#include "cpu/processor.h"

int main() { std::puts(optnet::widest_instruction_set()); }
