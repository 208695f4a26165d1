// Class activation maps: what each method makes of a layer's activations and of their gradients.
import { suggestion } from "../suggest.ts";
import { mainComponent } from "./eigen.ts";

/** By the names of their papers; `camMethod` also knows the class names of pytorch-grad-cam. */
export const camMethods = [
  "grad-cam",
  "grad-cam++",
  "hires-cam",
  "layer-cam",
  "xgrad-cam",
  "eigen-cam",
  "score-cam",
  "ablation-cam",
] as const;
export type CamMethod = (typeof camMethods)[number];

/** The method of that name: "grad-cam++", "GradCAM++" or "GradCAMPlusPlus". Throws, listing all, where there is none. */
export function camMethod(name: string): CamMethod {
  const plain = (text: string): string => text.toLowerCase().replace(/[-_ ]/g, "").replace("plusplus", "++");
  const found = camMethods.find((method) => plain(method) === plain(name));
  if (!found) throw new Error(`unknown method "${name}"${suggestion(name, camMethods)}`);
  return found;
}

/** What a layer computed for one image. Its places are its pixels, row by row. */
export interface LayerResult {
  readonly places: number;
  readonly channels: number;
  /** A [places, channels] */
  readonly activations: Float32Array;
}

/**
 * One number for each channel (its place in the sum of all) or for each element (G-like). The map is the sum over the channels of that
 * times the activations.
 */
type Weights = (layer: LayerResult, gradient: Float32Array) => Float64Array;

/** The methods that need the gradient G [places, channels] of the class's logit at the layer. Sums in f64. */
export const gradientWeights: Partial<Record<CamMethod, Weights>> = {
  "grad-cam": ({ places, channels }, gradient) => perChannel(gradient, channels, (g) => g / places),
  "grad-cam++": ({ activations, channels }, gradient) => {
    const total = perChannel(activations, channels, (a) => a);
    return perChannel(gradient, channels, (g, at) => {
      const alpha = g === 0 ? 0 : g ** 2 / (2 * g ** 2 + total[at % channels] * g ** 3 + 1e-6);
      return Math.max(g, 0) * alpha;
    });
  },
  "xgrad-cam": ({ activations, channels }, gradient) => {
    const total = perChannel(activations, channels, (a) => a);
    return perChannel(gradient, channels, (g, at) => (g * activations[at]) / (total[at % channels] + 1e-7));
  },
  "hires-cam": (_, gradient) => Float64Array.from(gradient),
  "layer-cam": (_, gradient) => Float64Array.from(gradient, (g) => Math.max(g, 0)),
};

/** sum over channels of weights * A: [places]. `weights` are [channels] or [places, channels]. */
export function weightedSum({ activations, channels, places }: LayerResult, weights: ArrayLike<number>): Float64Array {
  const map = new Float64Array(places);
  const period = weights.length;
  for (let at = 0; at < activations.length; at++) {
    map[Math.floor(at / channels)] += weights[at % period] * activations[at];
  }
  return map;
}

/** What the activations have most in common, whatever the class: see `mainComponent`. */
export const eigenMap = ({ activations, channels }: LayerResult): Float64Array => mainComponent(activations, channels);

/** Softmax over the channels of the scores of an image that shows only what the channel sees. */
export function scoreWeights(scores: readonly number[]): Float64Array {
  const most = Math.max(...scores);
  const powers = Float64Array.from(scores, (score) => Math.exp(score - most));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** The share of the score that goes with each channel. A score of 0 has no shares. */
export const ablationWeights = (score: number, without: readonly number[]): Float64Array =>
  Float64Array.from(without, (rest) => (score === 0 ? 0 : (score - rest) / score));

/** Sums of `term` over the places, for each channel. */
function perChannel(values: Float32Array, channels: number, term: (value: number, at: number) => number): Float64Array {
  const sums = new Float64Array(channels);
  values.forEach((value, at) => (sums[at % channels] += term(value, at)));
  return sums;
}
