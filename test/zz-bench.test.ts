import { openDevice, empty, fromData } from "/work/main/engine/index.ts";
import { launch } from "/work/main/engine/launch.ts";
import { kernels } from "/work/main/shaders/kernels.ts";
import { it } from "vitest";
const rnd=(n:number,seed=1)=>{let s=seed>>>0;const a=new Float32Array(n);for(let i=0;i<n;i++){s=(Math.imul(s,1664525)+1013904223)>>>0;a[i]=(s/4294967296)*2-1;}return a};
it("bench", async () => {
const d = await openDevice();
const shapes = (process.env.SHAPES ? JSON.parse(process.env.SHAPES) : [[64,32],[128,16],[256,8],[512,4]]) as [number,number][];
const NB=32;
for (const [C,H] of shapes) {
  const P=NB*H*H, K=C;
  const xs=rnd(P*C,1), ws=rnd(9*C*K,2);
  const x=fromData(xs,[NB,H,H,C]), w=fromData(ws,[3,3,C,K]), y=empty([NB,H,H,K]), partials=empty([4]);
  for (const B of (process.env.B??"2").split(",").map(Number)) {
  const narrow=process.env.NARROW==="1";const W=K===16?2:4;const go=()=>launch((narrow?kernels.conv2d.forwardSubgroupNarrow:kernels.conv2d.forwardSubgroup) as typeof kernels.conv2d.forwardSubgroup,{bindings:{x,weight:w,y,partials},constants:{BLOCKS:B,...(K===16?{Block:"vec2f",WIDTH:2}:{})},params:{x_size:[NB,H,H,C],y_size:[NB,H,H,K],window:[3,3,1,1],step:[1,1,1,1]},workgroups:Math.ceil(P/32)*Math.ceil(K/W/(8*B)),flops:2*P*K*9*C});
  let t=performance.now(); go(); await d.idle(); const first=performance.now()-t; const ts:number[]=[];
  for(let i=0;i<7;i++){const c0=process.cpuUsage();go();await d.idle();const c1=process.cpuUsage(c0);ts.push((c1.user+c1.system)/2e3);}
  ts.sort((a,b)=>a-b);
  const got=await y.data(); let e=0; const at=(n:number,yy:number,xx:number,c:number)=>yy<0||xx<0||yy>=H||xx>=H?0:xs[((n*H+yy)*H+xx)*C+c];
  for(let i=0;i<100;i++){const pp=(i*7919+i*i*31)%P,c=(i*131)%K;const n=Math.floor(pp/(H*H)),yy=Math.floor(pp/H)%H,xx=pp%H;let s=0;for(let t=0;t<9;t++)for(let k=0;k<C;k++)s+=at(n,yy+Math.floor(t/3)-1,xx+t%3-1,k)*ws[(t*C+k)*K+c];e=Math.max(e,Math.abs(s-got[pp*K+c]));}
  const fl=2*P*K*9*C;
  console.log(`fwd ${C}@${H} B${B}: ${(fl/ts[3]/1e6).toFixed(1)} GF/s (best ${(fl/ts[0]/1e6).toFixed(1)}) first ${first.toFixed(0)} ms err ${e.toExponential(1)}`);
  }
}
d.dispose();
}, 300000);
