// The arguments and the results of `solution.jvp`.
import type { NativeSolutionTangents, NativeTangents } from '../binding.js';

import { checkMemory, elementCount, format, readArray } from './arrays.js';
import type { GivenArray } from './arrays.js';
import { checkPlace, isSame } from './backward.js';
import { gpuName, unservedError } from './device.js';
import { argumentError, describe, deviceError, shapeError } from './errors.js';
import { allocated } from './memory.js';
import type { NumberArray } from './memory.js';
import { optionError, readObject } from './options.js';
import { allocateTensors } from './output.js';
import { datumNames, datumRanks } from './problem.js';
import type { DatumName, QpDatum } from './problem.js';
import { partNames, partShapes } from './solved.js';
import type { PartName, SolvedProblem } from './solved.js';
import { nativeArray } from './tensor.js';
import type { DType, Tensor } from './tensor.js';

/**
 * A direction in which the data of a problem move, each in exactly the shape that its datum was given in. At least one;
 * what is left out does not move. Of dQ, the symmetric part counts, ½(dQ + dQᵀ).
 */
export type Tangents<D extends DType = DType> = {
  readonly [Name in DatumName as `d${Name}`]?: QpDatum<D> | null | undefined;
};

/** There are none yet. */
export type JvpOptions = Readonly<Record<string, never>>;

/** How the solution moves, in the shapes of the solution. */
export type SolutionTangents<D extends DType = DType> = {
  readonly [Name in PartName as `d${Name}`]: Tensor<D>;
} & {
  /** Of the objective, [batch]. */
  readonly dobjective: Float64Array;
};

/** Arguments that were checked, and the arrays for the results. */
export interface JvpCall {
  tangents: NativeTangents;
  outputs: NativeSolutionTangents;
  result: SolutionTangents;
}

type TangentName = keyof Tangents;

const tangentNames: readonly TangentName[] = datumNames.map((name) => `d${name}` as const);

export function prepareJvp(problem: SolvedProblem, tangents: unknown, options: unknown): JvpCall {
  if (problem.ordinal >= 0 && !problem.fallback) throw unservedError({ argument: 'tangents', what: 'jvp' });
  // First everything that may run code of the caller's, then the checks of memory.
  const given = readTangents(tangents, problem);
  for (const key of Object.keys(readObject('options', options))) {
    throw optionError(key, `options has an unknown key ${describe(key)}; jvp has no options`);
  }
  const checked: NativeTangents = {};
  for (const name of datumNames) {
    const array = given[`d${name}`];
    if (array === undefined) continue;
    const count = checkTangent(array, problem, problem.shapes[name]!);
    if (count > 0) checked[`d${name}`] = nativeArray(array, problem.dtype) as NumberArray;
  }
  return { tangents: checked, ...makeOutputs(problem) };
}

function readTangents(
  tangents: unknown,
  { shapes }: SolvedProblem,
): Partial<Record<TangentName, GivenArray>> {
  if (typeof tangents !== 'object' || tangents === null || Array.isArray(tangents)) {
    throw argumentError(
      'tangents',
      `tangents is ${describe(tangents)}; expected an object with some of ${tangentNames.join(', ')}`,
    );
  }
  for (const key of Object.keys(tangents)) {
    if ((tangentNames as readonly string[]).includes(key)) continue;
    throw argumentError(
      key,
      `tangents has an unknown key ${describe(key)}; expected ${tangentNames.join(', ')}`,
    );
  }
  const given: Partial<Record<TangentName, GivenArray>> = {};
  for (const datum of datumNames) {
    const name = `d${datum}` as const;
    const value: unknown = (tangents as Record<string, unknown>)[name];
    if (value === undefined || value === null) continue;
    if (shapes[datum] === undefined) {
      throw argumentError(name, `${name} is given, and the problem was not given ${datum}`);
    }
    given[name] = readArray(name, value, datumRanks[datum]);
  }
  if (Object.keys(given).length === 0) {
    throw argumentError('tangents', `tangents is empty; expected at least one of ${tangentNames.join(', ')}`);
  }
  return given;
}

/** @returns how many elements it has */
function checkTangent(array: GivenArray, problem: SolvedProblem, expected: readonly number[]): number {
  const { name, shape } = array;
  const length = checkMemory(array);
  checkPlace(array, problem);
  if (array.data === undefined) {
    throw deviceError(name, `${name} is on ${gpuName(array.ordinal)}; expected it in host memory`);
  }
  const count = elementCount(name, expected);
  // A typed array is row-major, like all; [] is [0, n] too.
  const fits =
    shape === undefined ? length === count : isSame(shape, expected) || (count === 0 && isSame(shape, [0]));
  if (!fits) {
    const found = shape === undefined ? `${length} elements` : `shape ${format(shape)}`;
    throw shapeError(name, `${name} has ${found}; expected ${format(expected)}, like ${name.slice(1)}`);
  }
  if (length !== count) {
    throw shapeError(name, `${name} has ${length} elements; its shape ${format(shape!)} needs ${count}`);
  }
  return count;
}

function makeOutputs(problem: SolvedProblem): Omit<JvpCall, 'tangents'> {
  const dobjective = allocated(Float64Array, problem.batch);
  const tensors = allocateTensors('host', -1, problem.dtype, partShapes(problem));
  const outputs: NativeSolutionTangents = { dobjective };
  const result: Partial<Record<`d${PartName}`, Tensor>> = {};
  for (const name of partNames) {
    const tensor = tensors[name] as Tensor;
    result[`d${name}`] = tensor;
    if (tensor.data.length > 0) outputs[`d${name}`] = tensor.data;
  }
  return { outputs, result: { ...result, dobjective } as SolutionTangents };
}
