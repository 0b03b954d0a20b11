/** Expects every error to be at most its limit, and says which are not. NaN never is. */
export function expectWithin(errors: Record<string, number>, limits: Record<string, number> | number): void {
  const beyond = Object.entries(errors)
    .map(([name, error]) => ({ name, error, limit: typeof limits === 'number' ? limits : limits[name]! }))
    .filter(({ error, limit }) => !(error <= limit))
    .map(
      ({ name, error, limit }) => `${name}: ${error.toExponential(2)} is more than ${limit.toExponential(2)}`,
    );
  expect(beyond).toEqual([]);
}
