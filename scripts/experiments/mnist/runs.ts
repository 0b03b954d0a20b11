import type { Settings } from '../runner/experiment.js';

/** With a fully connected last layer, as the paper’s baseline, or with an OptNet layer. */
export type NetworkName = 'dense' | 'optnet';

/** One network, trained from one seed: a part of the experiment. */
export interface Run {
  /** The part's. */
  name: string;
  network: NetworkName;
  seed: number;
}

/** In the full experiment each network is trained from so many seeds, as one alone says little about 0.1 %. */
const SEEDS = 2;

export const NETWORKS: readonly { name: NetworkName; title: string }[] = [
  { name: 'dense', title: 'Fully connected' },
  { name: 'optnet', title: 'OptNet' },
];

/** Both networks from a seed, then both from the next. */
export function runsOf({ seed, quick }: Settings): Run[] {
  const seeds = Array.from({ length: quick ? 1 : SEEDS }, (_, i) => seed + i);
  return seeds.flatMap((each) =>
    NETWORKS.map(({ name }) => ({ name: `${name}, seed ${each}`, network: name, seed: each })),
  );
}
