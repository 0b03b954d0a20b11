// The order in which data are said to be wrong, whatever order they are looked at in: first what the batch
// shares, then problem by problem; within those p, Q, h, G, b, A; and Q first for finite numbers, then for
// symmetry, h first for finite numbers, then for rows without a bound. An element's place in that order is
// its key.
#pragma once

#include <cstddef>

#include "cuda/data_kernels.h"
#include "engine/problem.h"

namespace optnet::cuda {

struct Argument {
  char name;
  Datum Problem::*datum;
  int Shape::*rows;
  int Shape::*columns;  ///< null: a vector

  std::size_t elements(const Shape& shape) const {
    return static_cast<std::size_t>(shape.*rows) * (columns ? static_cast<std::size_t>(shape.*columns) : 1);
  }
};

constexpr Argument kArguments[] = {
    {'p', &Problem::p, &Shape::n, nullptr}, {'Q', &Problem::Q, &Shape::n, &Shape::n},
    {'h', &Problem::h, &Shape::m, nullptr}, {'G', &Problem::G, &Shape::m, &Shape::n},
    {'b', &Problem::b, &Shape::q, nullptr}, {'A', &Problem::A, &Shape::q, &Shape::n},
};
constexpr int kArgumentCount = 6;
constexpr int kArgumentQ = 1;
constexpr int kArgumentH = 2;

class DataOrder {
 public:
  explicit DataOrder(const Problem& problem) : shape_(problem.shape) {
    for (int k = 0; k < kArgumentCount; ++k) {
      batched_[k] = (problem.*kArguments[k].datum).batched;
      Key& end = batched_[k] ? own_ : shared_;
      first_[k] = end;
      end += kArguments[k].elements(shape_) * (k == kArgumentQ || k == kArgumentH ? 2 : 1);
    }
  }

  /// Of the first element of an argument, for a problem (0 for what the batch shares).
  Key first_key(int argument, std::size_t problem) const {
    return batched_[argument] ? shared_ + problem * own_ + first_[argument] : first_[argument];
  }
  /// Of the first element where Q is looked at for symmetry.
  Key first_symmetry_key(std::size_t problem) const {
    return first_key(kArgumentQ, problem) + kArguments[kArgumentQ].elements(shape_);
  }
  /// From one problem to the next.
  Key stride() const { return own_; }

  Failure failure(Key key) const {
    const bool own = key >= shared_;
    const Key problem = own ? (key - shared_) / own_ : 0;
    const Key at = own ? (key - shared_) % own_ : key;
    int found = 0;
    for (int k = 0; k < kArgumentCount; ++k) {
      const bool here = batched_[k] == own && kArguments[k].elements(shape_) > 0 && first_[k] <= at;
      if (here) found = k;
    }
    const Argument& argument = kArguments[found];
    const Key elements = argument.elements(shape_);
    const Key element = at - first_[found];
    const auto columns = static_cast<Key>(shape_.*(argument.columns ? argument.columns : argument.rows));
    const Failure::Code code = element < elements    ? Failure::Code::kNotFinite
                               : found == kArgumentQ ? Failure::Code::kNotSymmetric
                                                     : Failure::Code::kUnserved;
    return {code, argument.name, static_cast<std::size_t>(problem),
            static_cast<int>(element % elements / columns), static_cast<int>(element % elements % columns)};
  }

 private:
  Shape shape_;
  bool batched_[kArgumentCount] = {};
  Key first_[kArgumentCount] = {};  ///< within what is shared, or one problem's own
  Key shared_ = 0, own_ = 0;
};

}  // namespace optnet::cuda
