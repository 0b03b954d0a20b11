// A library of CUDA's that was loaded, as those are told who ask what is there.
#pragma once

#include <string>

namespace optnet::cuda {

struct LibraryFile {
  std::string name;     ///< "cuBLAS"
  std::string path;     ///< as the loader found it
  std::string version;  ///< its own, "13.1.0"; empty where it does not say
};

}  // namespace optnet::cuda
