// Rung 1 of the Winograd ladder, first kernel: V = B^T x B of every tile of 2 x 2 pixels and its border, once for all output
// channels. Four channels of a tile an invocation. The 16 numbers of a tile go to 16 planes: each is a matrix [tiles, C].

struct Params {
  size: vec4u, // N, H, W, C / 4 of x
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>; // [N, H, W, C]
@group(0) @binding(1) var<storage, read_write> v: array<vec4f>; // [16, tiles, C]
@group(0) @binding(2) var<uniform> params: Params;

alias Line = array<vec4f, 4>; // four numbers in a line, for four channels

fn transform(d: Line) -> Line { return Line(d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]); }

fn load(n: u32, row: u32, column: u32, c: u32) -> vec4f {
  if (row >= params.size.y || column >= params.size.z) { return vec4f(); }
  return x[((n * params.size.y + row) * params.size.z + column) * params.size.w + c];
}

fn column_of(n: u32, row: u32, column: u32, c: u32) -> Line {
  return transform(Line(load(n, row, column, c), load(n, row + 1u, column, c), load(n, row + 2u, column, c), load(n, row + 3u, column, c)));
}

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let across = params.size.z / 2u;
  let down = params.size.y / 2u;
  let at = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  let c = at % params.size.w;
  let tile = at / params.size.w;
  let n = tile / (across * down);
  if (n >= params.size.x) { return; }
  let row = tile / across % down * 2u - 1u;
  let column = tile % across * 2u - 1u;
  let c0 = column_of(n, row, column, c);
  let c1 = column_of(n, row, column + 1u, c);
  let c2 = column_of(n, row, column + 2u, c);
  let c3 = column_of(n, row, column + 3u, c);
  let plane = params.size.x * across * down * params.size.w;
  store(at, plane, transform(Line(c0[0], c1[0], c2[0], c3[0])));
  store(at + 4u * plane, plane, transform(Line(c0[1], c1[1], c2[1], c3[1])));
  store(at + 8u * plane, plane, transform(Line(c0[2], c1[2], c2[2], c3[2])));
  store(at + 12u * plane, plane, transform(Line(c0[3], c1[3], c2[3], c3[3])));
}

fn store(at: u32, plane: u32, row: Line) {
  v[at] = row[0];
  v[at + plane] = row[1];
  v[at + 2u * plane] = row[2];
  v[at + 3u * plane] = row[3];
}
