// The most multiply-adds a second: every invocation has eight numbers in registers, each a chain of its own, so that one
// operation need not wait for another. y [n] = x after `rounds` times 32 times x * factor + offset. Reads and writes next to nothing.
// So many a round because of lavapipe, where a loop carries each number through a mask: with four it is a fifth slower.

struct Params {
  vectors: u32, // vec4s in x: the number of invocations
  rounds: u32,
  factor: f32,
  offset: f32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(2) var<uniform> params: Params;

fn four_times(a: ptr<function, vec4f>, b: ptr<function, vec4f>, f: f32, o: vec4f) {
  *a = *a * f + o;
  *b = *b * f + o;
  *a = *a * f + o;
  *b = *b * f + o;
  *a = *a * f + o;
  *b = *b * f + o;
  *a = *a * f + o;
  *b = *b * f + o;
}

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  if (index >= params.vectors) {
    return;
  }
  let f = params.factor;
  let o = vec4f(params.offset);
  // More chains would not fit the 16 registers of a processor's vector unit.
  var a = x[index];
  var b = a + 0.25;
  for (var i = 0u; i < params.rounds; i++) {
    four_times(&a, &b, f, o);
    four_times(&a, &b, f, o);
    four_times(&a, &b, f, o);
    four_times(&a, &b, f, o);
    four_times(&a, &b, f, o);
    four_times(&a, &b, f, o);
    four_times(&a, &b, f, o);
    four_times(&a, &b, f, o);
  }
  y[index] = a + b;
}
