// What bench/compiler.js reads out of RADV's listings, of which this is one in short.
import { expect, it } from "vitest";
import { KERNEL_MARK, readListing } from "../bench/compiler/listing.js";

const STATISTICS = `
*** SHADER STATS ***
SGPRs: 128
VGPRs: 180
Spilled SGPRs: 1
Spilled VGPRs: 2
LDS size: 16384
Subgroups per SIMD: 8
********************
`;

// A loop that clears workgroup memory, then the kernel's own, with a branch inside that leads forwards.
const CODE = `
disasm:
BB0:
	s_mov_b32 s0, 1                                             ; be800081
BB1:
	ds_store_b128 v0, v[0:3]                                    ; db7c0000
	s_cbranch_scc0 BB1                                          ; bfa1fffe
BB2:
	ds_load_b128 v[4:7], v0                                     ; dbfc0000
	s_cbranch_execz BB3                                         ; bfa50002
	buffer_load_b128 v[8:11], v1, s[0:3], 0 offen               ; e05c0000
BB3:
	v_fmac_f32_e32 v0, v4, v8                                   ; 56000000
	s_waitcnt vmcnt(0)                                          ; bf8903f7
	v_dual_fmac_f32 v1, v5, v9 :: v_dual_fmac_f32 v2, v3, v9    ; c8000000
	v_wmma_f32_16x16x16_f16 v[0:7], v[8:15], v[16:23], v[0:7]   ; cc400000
	s_branch BB2                                                ; bfa0fff0
BB4:
	s_endpgm                                                    ; bfb00000
`;

it("finds a kernel's registers, and what its longest loop is made of", () => {
  const one = (name: string, code: string): string => `\n${KERNEL_MARK}${name}\nshader: ...${code}${STATISTICS}`;
  const straight = "\ndisasm:\nBB0:\n\tv_mov_b32_e32 v0, 0 ; 7e000280\n\ts_endpgm ; bfb00000\n";
  const listing = `WARNING: not conformant\n${one("matmul/workgroup {A=1}", CODE)}${one("copy/fill", straight)}`;
  const statistics = { registers: 180, spilled: 3, waves: 8, lds: 16384 };
  const loop = { instructions: 8, multiplyAdds: 3, matrixProducts: 1, ldsLoads: 1, memoryLoads: 1, hiding: 1 };
  expect(readListing(listing)).toEqual([
    { name: "matmul/workgroup {A=1}", ...statistics, loop },
    { name: "copy/fill", ...statistics, loop: null },
  ]);
});
