import { type Arr, map, zeros } from "./array.ts";

export interface SgdOptions {
  lr: number;
  momentum?: number;
  dampening?: number;
  nesterov?: boolean;
  weightDecay?: number;
}

export interface SgdState {
  /** undefined before the first step, which sets it to the gradient without dampening. */
  buffer?: Arr;
}

/** torch.optim.SGD: the rate multiplies after the momentum. Gives the new weights and state; consumes nothing. */
export function sgdStep(w: Arr, g: Arr, state: SgdState, options: SgdOptions): { w: Arr; state: SgdState } {
  const { lr, momentum = 0, dampening = 0, nesterov = false, weightDecay = 0 } = options;
  const d = map(g, (value, i) => value + weightDecay * w.data[i]);
  if (momentum === 0) return { w: map(w, (value, i) => value - lr * d.data[i]), state };
  const previous = state.buffer;
  const buffer =
    previous === undefined ? d : map(d, (value, i) => momentum * previous.data[i] + (1 - dampening) * value);
  const step = nesterov ? map(d, (value, i) => value + momentum * buffer.data[i]) : buffer;
  return { w: map(w, (value, i) => value - lr * step.data[i]), state: { buffer } };
}

export interface AdamOptions {
  lr: number;
  betas?: readonly [number, number];
  eps?: number;
  weightDecay?: number;
  /** AdamW: the decay shrinks the weights by lr * weightDecay instead of joining the gradient. */
  decoupled?: boolean;
}

export interface AdamState {
  step: number;
  m: Arr;
  v: Arr;
}

export function adamState(w: Arr): AdamState {
  return { step: 0, m: zeros(w.shape), v: zeros(w.shape) };
}

/** torch.optim.Adam / AdamW (no amsgrad): eps is added outside the bias-corrected root; the correction uses the current betas. */
export function adamStep(w: Arr, g: Arr, state: AdamState, options: AdamOptions): { w: Arr; state: AdamState } {
  const { lr, betas = [0.9, 0.999], eps = 1e-8, decoupled = false, weightDecay = decoupled ? 1e-2 : 0 } = options;
  const [beta1, beta2] = betas;
  const step = state.step + 1;
  const d = decoupled ? g : map(g, (value, i) => value + weightDecay * w.data[i]);
  const shrink = decoupled ? 1 - lr * weightDecay : 1;
  const m = map(state.m, (value, i) => beta1 * value + (1 - beta1) * d.data[i]);
  const v = map(state.v, (value, i) => beta2 * value + (1 - beta2) * d.data[i] ** 2);
  const rate = lr / (1 - beta1 ** step);
  const correction = Math.sqrt(1 - beta2 ** step);
  const moved = map(w, (value, i) => {
    return value * shrink - (rate * m.data[i]) / (Math.sqrt(v.data[i]) / correction + eps);
  });
  return { w: moved, state: { step, m, v } };
}

export function adamWStep(w: Arr, g: Arr, state: AdamState, options: AdamOptions): { w: Arr; state: AdamState } {
  return adamStep(w, g, state, { ...options, decoupled: true });
}
