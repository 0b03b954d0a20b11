// The problems that the GPU benchmark solves, and the file through which its peers get the same ones.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

#include "../../../test/native/generator.h"

namespace optnet {

/// A batch made of fewer distinct problems, again and again: drawing 128 problems of 500 variables takes
/// longer than timing them, and no solver can tell.
struct TiledBatch {
  Shape shape;
  GeneratedBatch distinct;

  TiledBatch(std::size_t batch, int n, int m, int q)
      : shape{batch, n, m, q}, distinct(std::min(batch, distinct_problems(n)), n, m, q) {}

  /// One datum of the whole batch; problem i is distinct problem (i + roll) mod distinct.
  template <class Scalar>
  std::vector<Scalar> tiled(const std::vector<double>& datum, std::size_t roll) const {
    const std::size_t size = datum.size() / distinct.shape.batch;
    std::vector<Scalar> out(size * shape.batch);
    for (std::size_t i = 0; i < shape.batch; ++i) {
      const std::size_t from = (i + roll) % distinct.shape.batch;
      std::copy_n(datum.begin() + static_cast<std::ptrdiff_t>(from * size), size,
                  out.begin() + static_cast<std::ptrdiff_t>(i * size));
    }
    return out;
  }

  /// int64: n, m, q, batch, distinct problems; then Q, p, G, h, A, b of the distinct ones, float64.
  bool dump(const std::string& path) const {
    std::FILE* file = std::fopen(path.c_str(), "wb");
    if (!file) return false;
    const long long header[] = {shape.n, shape.m, shape.q, static_cast<long long>(shape.batch),
                                static_cast<long long>(distinct.shape.batch)};
    bool ok = std::fwrite(header, sizeof header, 1, file) == 1;
    for (const auto* data : {&distinct.Q, &distinct.p, &distinct.G, &distinct.h, &distinct.A, &distinct.b}) {
      ok = ok && std::fwrite(data->data(), sizeof(double), data->size(), file) == data->size();
    }
    return std::fclose(file) == 0 && ok;
  }

 private:
  static std::size_t distinct_problems(int n) {
    const double cubed = static_cast<double>(n) * n * n;
    return std::max<std::size_t>(8, static_cast<std::size_t>(2e9 / cubed));
  }
};

}  // namespace optnet
