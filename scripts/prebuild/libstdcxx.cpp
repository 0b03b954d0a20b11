// What this machine's C++ headers call and the C++ library of the oldest system (targets.cjs) does not have
// yet: linked into published addons, as the linker finds it nowhere else.
#include <new>

namespace std {

// GLIBCXX_3.4.29. Allocators call it where more is asked for than there are addresses.
[[noreturn]] void __throw_bad_array_new_length() { throw bad_array_new_length(); }

}  // namespace std
