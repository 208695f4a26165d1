// Dynamic loss scaling, second pass, PyTorch's GradScaler: after an overflow the scale shrinks and the step is skipped; after so many
// steps without one it grows. state: the scale of the next step, the inverse of this one's, steps since the scale changed.
// skips: steps skipped in all, and 1 where this one is.

struct Params {
  count: u32, // entries of found
  growth: f32,
  backoff: f32,
  interval: u32, // steps without an overflow until the scale grows
}

// Where all gradients are zeros the scale grows for ever: it must stay finite.
const LARGEST: f32 = 0x1p+120;

@group(0) @binding(0) var<storage, read> found: array<u32>;
@group(0) @binding(1) var<storage, read_write> state: array<f32>;
@group(0) @binding(2) var<storage, read_write> skips: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> seen: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local: u32) {
  var overflowed = 0u;
  for (var i = local; i < params.count; i += 64u) { overflowed |= found[i]; }
  seen[local] = overflowed;
  workgroupBarrier();
  if (local > 0u) { return; }
  for (var i = 1u; i < 64u; i++) { overflowed |= seen[i]; }
  let scale = state[0];
  state[1] = 1.0 / scale;
  skips[1] = overflowed;
  if (overflowed == 1u) {
    skips[0]++;
    state[0] = scale * params.backoff;
    state[2] = 0.0;
    return;
  }
  state[2] += 1.0;
  if (state[2] >= f32(params.interval)) {
    state[0] = min(scale * params.growth, LARGEST);
    state[2] = 0.0;
  }
}
