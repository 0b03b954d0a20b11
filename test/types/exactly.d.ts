/** Compiles where the type of the value is exactly T. */
declare function exactly<T>(): <U>(
  value: U,
  ...same: (<X>() => X extends T ? 1 : 2) extends <X>() => X extends U ? 1 : 2 ? [] : [never]
) => void;
