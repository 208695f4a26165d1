// Reading the options that layers share.
import { asPair, check, type Pair } from "../../engine/shape.ts";

/** Both numbers of a pair, checked to be whole and at least `least`. */
export function pairOf(layer: string, name: string, value: Pair, least: number): readonly [number, number] {
  const pair = asPair(value);
  pair.forEach((n) => whole(layer, name, n, least));
  return pair;
}

/** A whole number of at least `least`; throws, naming the layer and the option, otherwise. */
export function whole(layer: string, name: string, value: number, least = 1): number {
  check(
    Number.isInteger(value) && value >= least,
    layer,
    () => `${name} must be a whole number from ${least}, not ${value}`,
  );
  return value;
}

/** 3 for [3,3], [3,1] for [3,1]: how pairs are printed. */
export const showPair = ([a, b]: readonly [number, number]): string => (a === b ? `${a}` : `[${a},${b}]`);
