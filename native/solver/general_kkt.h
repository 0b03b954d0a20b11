// Solves the KKT system of a general problem,
//     | Q   Sᵀ   Cᵀ  | |x|   |rx|
//     | S   0    0   | |ν| = |rs|      D = diag of weights ≥ 0; a row of weight 0 has y = 0
//     | C   0   −D⁻¹ | |y|   |ry|
// where S holds the rows that must hold with equality: A's, and some of C's. Whatever the ranks of Q, S and
// C,
//     H = Q + ρI + SᵀS + CᵀDC = L Lᵀ,   Yₛ = S L⁻ᵀ,   E = Yₛ Yₛᵀ + δI = Lₑ Lₑᵀ
// exist, and what ρ and δ change is undone by iterative refinement against the system as it is.
#pragma once

#include "solver/general_problem.h"

namespace optnet {

/// A vector of the system: n, rows of S, rows of C.
template <class Real>
struct KktVector {
  Real *x = nullptr, *nu = nullptr, *y = nullptr;
};

template <class B>
class GeneralKkt {
 public:
  using Real = typename B::Real;
  using Vector = KktVector<Real>;

  /// At most `capacity` rows in S. The factors and D are in `kept`.
  template <class Arena>
  OPTNET_FUNCTION GeneralKkt(const GeneralData<B>& data, int capacity, Arena& kept, Arena& scratch)
      : data(data), n(data.d.n), capacity(capacity) {
    L = B::triangle(kept, n, false);
    S = B::matrix(kept, capacity, n, false);
    Ys = B::matrix(kept, capacity, n, false);
    Le = B::triangle(kept, capacity, false);
    stiff = kept.template take<int>(static_cast<std::size_t>(capacity));
    D = B::vector(kept, data.rows);
    keep_x = B::vector(kept, n);
    keep_nu = B::vector(kept, capacity);
    G_work = B::weighted_gram_storage(scratch, data.d.m, n);
    S_work = B::weighted_gram_storage(scratch, capacity, n);
    root = zeros(scratch, data.rows);
    bounded_D = zeros(scratch, data.rows);
    ones = zeros(scratch, capacity);
    work = zeros(scratch, n > capacity ? n : capacity);
    work_x = zeros(scratch, n);
    for (Vector* v : {&right, &error, &change, &product}) *v = vector(scratch);
  }

  /// Before the first use.
  OPTNET_FUNCTION void clear(const B& b) {
    b.each(data.rows, [&](int i) { D[i] = 0; });
    b.each(capacity, [&](int k) { keep_nu[k] = 0; });
    stiff_rows = 0;
  }
  /// Takes up what was factored in the same memory before.
  OPTNET_FUNCTION void resume(const B& b, int rows_of_S) {
    stiff_rows = rows_of_S;
    S.rows = Ys.rows = Le.size = stiff_rows;
    bound_weights(b);
  }

  /// All zero.
  template <class Arena>
  OPTNET_FUNCTION Vector vector(Arena& arena) const {
    return {zeros(arena, n), zeros(arena, capacity), zeros(arena, data.rows)};
  }
  template <class Arena>
  OPTNET_FUNCTION static Real* zeros(Arena& arena, int size) {
    Real* v = B::vector(arena, size);
    for (int i = 0; v && i < size; ++i) v[i] = 0;
    return v;
  }

  Real accuracy = kRefined;  ///< of solutions: their residual relative to the right-hand side
  int* stiff;                ///< what S consists of: k for row k of A, q + i for row i of C
  int stiff_rows = 0;
  Real* D;                 ///< weights of C's rows; 0 for those in S
  Real *keep_x, *keep_nu;  ///< 0 for what was dropped, else 1

  /// Whether Q is positive semidefinite, up to `allowed` of its largest diagonal element. Overwrites the
  /// factors.
  OPTNET_FUNCTION bool semidefinite(const B& b, Real allowed) {
    b.set(L, [&](int i, int j) { return data.plain.Q[static_cast<std::size_t>(i) * n + j]; });
    b.diagonal(L, keep_x);
    const Real most = b.max(n, [&](int j) { return abs(keep_x[j]); });
    if (!(most > Real(0)))
      return b.max(n, [&](int j) {
        Real row(0);
        for (int k = 0; k < n; ++k) row = max(row, abs(data.plain.Q[static_cast<std::size_t>(j) * n + k]));
        return row;
      }) == Real(0);
    b.add_diagonal(L, [&](int) { return allowed * most; });
    return b.factor(L, L, Real(0));
  }

  /// S ← the rows that `stiff` names.
  OPTNET_FUNCTION void gather(const B& b) {
    const int q = data.d.q, m = data.d.m, offset = data.offset;
    S.rows = Ys.rows = Le.size = stiff_rows;
    const auto at = [&](int row, int j) { return static_cast<std::size_t>(row) * n + j; };
    b.set(S, [&](int k, int j) {
      const int row = stiff[k];
      if (row < q) return data.plain.A[at(row, j)];
      if (row - q < m) return data.plain.G[at(row - q, j)];
      return row - q - offset == j ? Real(1) : Real(0);
    });
  }

  /// Gathers S and factors, with the shifts. False where nothing makes H definite: Q is not positive
  /// semidefinite.
  OPTNET_LARGE_FUNCTION bool factor(const B& b) {
    gather(b);
    b.each(n, [&](int j) { keep_x[j] = 1; });
    b.each(stiff_rows, [&](int k) { keep_nu[k] = 1; });
    bool definite = false;
    for (Real shift = kPrimalShift; !definite && shift <= kLargestShift;
         shift *= 100) {  // rounding may need more
      assemble(b, shift);
      definite = b.factor(L, L, Real(0));
    }
    if (stiff_rows > 0) {
      b.solve_rows(L, S, Ys);
      b.gram(Ys, Le);
      b.add_diagonal(Le, [](int) { return Real(kDualShift); });
      b.factor(Le, Le, Real(0));
    }
    return definite;
  }

  /// The same without shifts. Where the system is singular, variables whose pivot vanishes are held fixed,
  /// and rows of S that depend on those before them are left out: the solution is 0 there.
  OPTNET_LARGE_FUNCTION void factor_dropping(const B& b) {
    gather(b);
    assemble(b, Real(0));
    const Real floor = kVanishingPivot * kEpsilon<Real> * Real(n);
    b.factor_dropping(L, floor);
    b.diagonal(L, keep_x);
    b.each(n, [&](int j) { keep_x[j] = keep_x[j] > 0 ? Real(1) : Real(0); });
    if (stiff_rows == 0) return;
    b.solve_rows(L, S, Ys);
    b.gram(Ys, Le);
    b.factor_dropping(Le, floor);
    b.diagonal(Le, keep_nu);
    b.each(stiff_rows, [&](int k) { keep_nu[k] = keep_nu[k] > 0 ? Real(1) : Real(0); });
  }

  /// Factors SᵀS + CᵀDC alone, with a shift, for `shrink_range`.
  OPTNET_FUNCTION bool factor_rows(const B& b) {
    gather(b);
    b.set(L, [](int, int) { return Real(0); });
    add_rows(b, L, Real(kRowShift));
    return b.factor(L, L, Real(0));
  }
  /// ν ← ν − S x and y ← y − DC x, where (SᵀS + CᵀDC) x is `sum` = Sᵀν + Cᵀy, which overwrites `sum`: what S
  /// and the rows of C see of it vanishes, and each y changes by little of itself where D is its square.
  OPTNET_FUNCTION void shrink_range(const B& b, Real* sum, Real* nu, Real* y) const {
    b.solve_lower(L, sum);
    b.solve_upper(L, sum);
    multiply_stiff(b, sum, product.nu);
    b.each(stiff_rows, [&](int k) { nu[k] -= product.nu[k]; });
    if (data.rows == 0) return;
    data.multiply(b, sum, product.y);
    b.each(data.rows, [&](int i) { y[i] -= D[i] * product.y[i]; });
  }

  /// x ← ρ(Q + SᵀS + ρI)⁻¹ x, after `factor` with weights of 0: all but what neither Q nor S sees vanishes.
  OPTNET_FUNCTION void shrink_range_of_primal(const B& b, Real* x, Real* seen) const {
    b.multiply_symmetric(data.Q, x, seen);
    if (stiff_rows > 0) {
      b.multiply(S, x, product.nu);
      add_stiff_transpose(b, product.nu, seen);
    }
    b.solve_lower(L, seen);
    b.solve_upper(L, seen);
    b.each(n, [&](int j) { x[j] -= seen[j]; });
  }

  /// v ← the solution for the right-hand side v.
  OPTNET_LARGE_FUNCTION void solve(const B& b, const Vector& v) const {
    copy(b, v, right);
    solve_shifted(b, v);
    refine(b, right, v);
  }

  /// Completes v, given in the variables that were dropped, to a vector that the rest of the system does not
  /// see.
  OPTNET_FUNCTION void complete(const B& b, const Vector& v) const {
    b.each(stiff_rows, [&](int k) { v.nu[k] = 0; });
    b.each(data.rows, [&](int i) { v.y[i] = 0; });
    apply(b, v, right);
    b.each(n, [&](int j) { work_x[j] = v.x[j]; });
    b.each(n, [&](int j) { v.x[j] = keep_x[j] > 0 ? -right.x[j] : Real(0); });
    b.each(stiff_rows, [&](int k) { v.nu[k] = -right.nu[k]; });
    solve(b, v);
    b.each(n, [&](int j) { v.x[j] += work_x[j]; });
  }

  /// Refines v towards the solution for `right_hand` until rounding stops it.
  OPTNET_LARGE_FUNCTION void refine(const B& b, const Vector& right_hand, const Vector& v) const {
    const Real enough = accuracy * size(b, right_hand);
    Real now = residual(b, right_hand, v);
    for (int step = 0; step < kRefinementSteps && now > enough; ++step) {
      copy(b, error, change);
      solve_shifted(b, change);
      add(b, Real(1), change, v);
      const Real before = now;
      now = residual(b, right_hand, v);
      if (now < before) continue;
      add(b, Real(-1), change, v);
      residual(b, right_hand, v);
      return;
    }
  }
  /// What the last `solve` or `residual` found left of the right-hand side.
  OPTNET_FUNCTION const Vector& last_error() const { return error; }

  /// The largest element of what v leaves of the right-hand side.
  OPTNET_LARGE_FUNCTION Real residual(const B& b, const Vector& right_hand, const Vector& v) const {
    apply(b, v, product);
    b.each(n, [&](int j) { error.x[j] = keep_x[j] * (right_hand.x[j] - product.x[j]); });
    b.each(stiff_rows, [&](int k) { error.nu[k] = keep_nu[k] * (right_hand.nu[k] - product.nu[k]); });
    b.each(data.rows, [&](int i) { error.y[i] = D[i] > 0 ? right_hand.y[i] - product.y[i] : Real(0); });
    return size(b, error);
  }

  /// The largest element; rows of C by their weight, which is what they add to the first n.
  OPTNET_FUNCTION Real size(const B& b, const Vector& v) const {
    Real most = b.max(n, [&](int j) { return abs(v.x[j]); });
    if (stiff_rows > 0) most = max(most, b.max(stiff_rows, [&](int k) { return abs(v.nu[k]); }));
    if (data.rows > 0)
      most = max(most, b.max(data.rows, [&](int i) { return abs(v.y[i]) * min(D[i], Real(1)); }));
    return most;
  }
  OPTNET_FUNCTION void copy(const B& b, const Vector& from, const Vector& to) const {
    b.each(n, [&](int j) { to.x[j] = from.x[j]; });
    b.each(stiff_rows, [&](int k) { to.nu[k] = from.nu[k]; });
    b.each(data.rows, [&](int i) { to.y[i] = from.y[i]; });
  }
  OPTNET_FUNCTION void fill(const B& b, const Vector& v) const {
    b.each(n, [&](int j) { v.x[j] = 0; });
    b.each(stiff_rows, [&](int k) { v.nu[k] = 0; });
    b.each(data.rows, [&](int i) { v.y[i] = 0; });
  }
  /// to ← to + times·from
  OPTNET_FUNCTION void add(const B& b, Real times, const Vector& from, const Vector& to) const {
    b.each(n, [&](int j) { to.x[j] += times * from.x[j]; });
    b.each(stiff_rows, [&](int k) { to.nu[k] += times * from.nu[k]; });
    b.each(data.rows, [&](int i) { to.y[i] += times * from.y[i]; });
  }

  /// w ← S x
  OPTNET_FUNCTION void multiply_stiff(const B& b, const Real* x, Real* w) const {
    if (stiff_rows > 0) b.multiply(S, x, w);
  }
  /// x ← x + Sᵀ nu
  OPTNET_FUNCTION void add_stiff_transpose(const B& b, const Real* nu, Real* x) const {
    if (stiff_rows == 0) return;
    b.multiply_transpose(S, nu, work);
    b.each(n, [&](int j) { x[j] += work[j]; });
  }

 private:
  const GeneralData<B>& data;
  int n, capacity;
  typename B::Triangle L, Le;
  typename B::Matrix S, Ys;
  typename B::WeightedGram G_work, S_work;
  Real *root, *bounded_D, *ones, *work, *work_x;
  Vector right, error, change, product;

  OPTNET_FUNCTION void bound_weights(const B& b) const {
    b.each(data.rows, [&](int i) { bounded_D[i] = min(D[i], Real(kLargestFactorWeight)); });
  }

  /// L ← Q + shift·I + SᵀS + CᵀDC
  OPTNET_FUNCTION void assemble(const B& b, Real shift) { add_rows(b, data.Q, shift); }

  /// L ← M + shift·I + SᵀS + CᵀDC
  OPTNET_FUNCTION void add_rows(const B& b, const typename B::Triangle& M, Real shift) {
    const int m = data.d.m;
    bound_weights(b);
    const bool weighted = m > 0 && b.max(m, [&](int i) { return D[i]; }) > Real(0);
    b.each(m, [&](int i) { root[i] = sqrt(bounded_D[i]); });
    if (weighted) b.add_weighted_gram(M, data.G, root, G_work, L);
    b.each(stiff_rows, [&](int k) { ones[k] = 1; });
    if (stiff_rows > 0) {
      S_work.columns = stiff_rows;
      b.add_weighted_gram(weighted ? L : M, S, ones, S_work, L);
    } else if (!weighted && M.data != L.data) {
      b.copy(M, L);
    }
    const Real* bounds = data.bounded ? bounded_D + data.offset : nullptr;
    b.add_diagonal(L, [&](int j) { return shift + (bounds ? bounds[j] : Real(0)); });
  }

  /// out ← the system's matrix times v; 0 in rows of weight 0.
  OPTNET_FUNCTION void apply(const B& b, const Vector& v, const Vector& out) const {
    b.multiply_symmetric(data.Q, v.x, out.x);
    if (data.rows > 0) {
      data.multiply_transpose(b, v.y, work);
      b.each(n, [&](int j) { out.x[j] += work[j]; });
      data.multiply(b, v.x, out.y);
      b.each(data.rows, [&](int i) { out.y[i] = D[i] > 0 ? out.y[i] - v.y[i] / D[i] : Real(0); });
    }
    add_stiff_transpose(b, v.nu, out.x);
    multiply_stiff(b, v.x, out.nu);
  }

  /// v ← the shifted system's solution for the right-hand side v.
  OPTNET_LARGE_FUNCTION void solve_shifted(const B& b, const Vector& v) const {
    if (data.rows > 0) {
      b.each(data.rows, [&](int i) { product.y[i] = bounded_D[i] * v.y[i]; });
      data.multiply_transpose(b, product.y, work);
      b.each(n, [&](int j) { v.x[j] += work[j]; });
    }
    add_stiff_transpose(b, v.nu, v.x);
    b.solve_lower(L, v.x);
    if (stiff_rows > 0) {
      b.multiply(Ys, v.x, product.nu);
      b.each(stiff_rows, [&](int k) { v.nu[k] = product.nu[k] - v.nu[k]; });
      b.solve_lower(Le, v.nu);
      b.solve_upper(Le, v.nu);
      b.multiply_transpose(Ys, v.nu, work);
      b.each(n, [&](int j) { v.x[j] -= work[j]; });
    }
    b.solve_upper(L, v.x);
    if (data.rows > 0) {
      data.multiply(b, v.x, product.y);
      b.each(data.rows, [&](int i) { v.y[i] = bounded_D[i] * (product.y[i] - v.y[i]); });
    }
  }
};

}  // namespace optnet
