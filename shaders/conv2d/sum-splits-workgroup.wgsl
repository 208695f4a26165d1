// sum-splits.wgsl for real GPUs, where a loop that waits for each load takes longer the more splits there are, and few weights keep few
// invocations busy. SHARES invocations add the splits of one value, each every SHARES-th and four of them a turn, so that four loads are
// under way; then the first adds the shares. The order depends on sizes alone.

const SHARES: u32 = 8u; // a power of two
alias Value = vec4f; // f32 where a split is no whole number of vec4s

const ACROSS = max(8u, 64u / SHARES); // values beside each other: 128 bytes, of vec4s
const THREADS = SHARES * ACROSS;
const TURN = 4u * SHARES; // splits

struct Params {
  values: u32, // in total
  splits: u32,
}

@group(0) @binding(0) var<storage, read> parts: array<Value>;
@group(0) @binding(1) var<storage, read_write> total: array<Value>;
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> shares: array<Value, THREADS>;

fn part(split: u32, i: u32) -> Value {
  let inside = split < params.splits;
  return select(Value(0.0), parts[select(0u, split * params.values + i, inside)], inside);
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let own = (workgroup.x + workgroup.y * workgroups.x) * ACROSS + local % ACROSS;
  let i = min(own, params.values - 1u);
  var sum = Value(0.0);
  for (var first = local / ACROSS; first < params.splits; first += TURN) {
    let s0 = part(first, i);
    let s1 = part(first + SHARES, i);
    let s2 = part(first + 2u * SHARES, i);
    let s3 = part(first + 3u * SHARES, i);
    sum += s0 + s1 + s2 + s3;
  }
  shares[local] = sum;
  workgroupBarrier();
  if (local >= ACROSS || own >= params.values) { return; }
  for (var share = 1u; share < SHARES; share++) { sum += shares[local + share * ACROSS]; }
  total[i] = sum;
}
